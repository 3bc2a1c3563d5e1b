package receive

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/internal/receive/auth"
	"callstitch/processor/call"
)

// answers has a row for each provider: what it wants to hear, and what it does then. One
// without a row hears 200, and signs nothing.
var answers = map[call.Provider]answer{
	call.Opentact: {success: http.StatusOK},
	call.Stringee: {success: http.StatusOK, signature: &auth.Stringee},
	call.Sonetel:  {success: http.StatusOK},
	call.Bandwidth: {
		success: http.StatusNoContent,
		member:  []string{"eventType", "event_type"},
		wants:   bandwidthWants,
		unread:  notification, // the events that should come here
	},
}

func answerTo(p call.Provider) answer {
	if a, known := answers[p]; known {
		return a
	}
	return answer{success: http.StatusOK}
}

// answer is how a provider's requests are answered.
type answer struct {
	success   int              // the status that says that an event was taken
	signature *auth.Signature  // nil: the provider signs nothing
	member    []string         // the members that may name an event; none: all events are alike
	wants     map[string]wants // what it wants to hear to each
	unread    kind             // of an event that was refused before it was read
}

// wants is what an event must be answered with, and the setting that names the URL to
// which it was posted.
type wants struct {
	kind
	setting string
}

type kind uint8

const (
	// other: nothing is known of it, but that it can be refused with a status.
	other kind = iota
	// either may be answered with instructions, and goes on without.
	either
	// notification: the answer's content is ignored. The provider repeats it to the
	// same URL once, "in the event of a connection exception", and after no status. So
	// it is refused by ending the connection. Whether that counts as one is not
	// documented; where it does not, nothing is lost by it that a status would save.
	// https://dev.bandwidth.com/docs/voice/webhooks
	notification
	// control must be answered with instructions. The empty answer that it gets here
	// ends somebody's call, so it is told loudly. If it is refused with a status, the
	// provider asks its fallback URL.
	control
)

// bandwidthWants are the "Expected Response" of each page below
// https://dev.bandwidth.com/docs/voice/webhooks.
var bandwidthWants = map[string]wants{
	"initiate":             {control, "the application's CallInitiatedCallbackUrl"},
	"answer":               {control, "createCall's answerUrl"},
	"gather":               {control, "gatherUrl of <Gather>"},
	"redirect":             {control, "redirectUrl of <Redirect>, or of an updated call"},
	"recordComplete":       {control, "recordCompleteUrl of <Record>"},
	"recordingComplete":    {control, "recordCompleteUrl of <Record>"}, // as the SDK calls it
	"referComplete":        {control, "referCompleteUrl of <Refer>"},   // after a failure the call waits for instructions
	"transferAnswer":       {control, "transferAnswerUrl of <PhoneNumber> or <SipUri>"},
	"transferComplete":     {control, "transferCompleteUrl of <Transfer>"},
	"bridgeComplete":       {control, "bridgeCompleteUrl of <Bridge>"},
	"bridgeTargetComplete": {control, "bridgeTargetCompleteUrl of <Bridge>"},

	"conferenceCreated":    {kind: either},
	"conferenceMemberJoin": {kind: either},
	"conferenceMemberExit": {kind: either},
	"conferenceRedirect":   {kind: either},

	"disconnect":                     {kind: notification},
	"transferDisconnect":             {kind: notification},
	"dtmf":                           {kind: notification},
	"machineDetectionComplete":       {kind: notification},
	"recordingAvailable":             {kind: notification},
	"conferenceRecordingAvailable":   {kind: notification},
	"transcriptionAvailable":         {kind: notification},
	"conferenceCompleted":            {kind: notification},
	"mediaStreamStarted":             {kind: notification},
	"mediaStreamRejected":            {kind: notification},
	"mediaStreamStopped":             {kind: notification},
	"realTimeTranscriptionStarted":   {kind: notification},
	"realTimeTranscriptionAvailable": {kind: notification},
	"realTimeTranscriptionRejected":  {kind: notification},
	"realTimeTranscriptionStopped":   {kind: notification},
}

// event is the name of the event in a body, if it is one that has a row, and its row.
func (a *answer) event(body []byte) (string, wants) {
	if len(a.member) == 0 {
		return "", wants{}
	}
	name := textOf(body, a.member)
	row, known := a.wants[name]
	if !known {
		return "", wants{}
	}
	return name, row
}

// byteOrderMark is passed over, as it is when the record is decoded.
var byteOrderMark = []byte("\xef\xbb\xbf")

// textOf is the first member of an object with one of the names, where that is a
// string; else it is empty. Nothing is said of the rest of the body: whether it is an
// event is found when it is decoded.
func textOf(body []byte, names []string) string {
	body = bytes.TrimPrefix(body, byteOrderMark)
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return ""
		}
		if slices.Contains(names, name.String()) {
			value, err := d.ReadToken()
			if err != nil || value.Kind() != '"' {
				return ""
			}
			return value.String()
		}
		if d.SkipValue() != nil {
			return ""
		}
	}
	return ""
}
