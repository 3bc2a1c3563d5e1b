package decode

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

type causeKey struct {
	scheme Scheme
	code   string
}

func TestCauseRows(t *testing.T) {
	seen := map[causeKey]bool{}
	for _, r := range Causes() {
		if k := (causeKey{r.Scheme, r.Code}); seen[k] {
			t.Errorf("%v twice", k)
		} else {
			seen[k] = true
		}
		if r.Cause == call.NoCause || r.Source == "" {
			t.Errorf("%s %s has no cause or no source", r.Scheme, r.Code)
		}
		n, err := strconv.Atoi(r.Code)
		switch r.Scheme {
		case Q850Scheme:
			if err != nil || n < 1 || n > 127 || r.Q850 != int32(n) {
				t.Errorf("%s is no Q.850 cause", r.Code)
			}
		case FreeSwitchScheme:
			if err != nil || (n >= 1 && n <= 127) || r.Q850 != 0 {
				t.Errorf("%s is none of FreeSWITCH's own causes", r.Code)
			}
		case SIPScheme:
			if err != nil || n < 200 || n > 699 || r.SIP != int32(n) {
				t.Errorf("%s is no final SIP status", r.Code)
			}
		}
		if r.SIP != 0 && (r.SIP < 200 || r.SIP > 699) || r.Q850 < 0 || r.Q850 > 127 {
			t.Errorf("%s %s maps to Q.850 %d, SIP %d", r.Scheme, r.Code, r.Q850, r.SIP)
		}
	}
}

// TestUnanswered checks the outcome of a leg that nobody answered, for the
// codes that are seen most.
func TestUnanswered(t *testing.T) {
	rows := map[causeKey]CauseRow{}
	for _, r := range Causes() {
		rows[causeKey{r.Scheme, r.Code}] = r
	}
	for _, tt := range []struct {
		scheme Scheme
		code   string
		cause  call.HangupCause
		want   call.Disposition
	}{
		{Q850Scheme, "1", call.CauseInvalidNumber, call.DispositionFailed},
		{Q850Scheme, "16", call.CauseNormal, call.DispositionCanceled},
		{Q850Scheme, "17", call.CauseBusy, call.DispositionBusy},
		{Q850Scheme, "18", call.CauseNoAnswer, call.DispositionNoAnswer},
		{Q850Scheme, "19", call.CauseNoAnswer, call.DispositionNoAnswer},
		{Q850Scheme, "20", call.CauseUnreachable, call.DispositionNoAnswer},
		{Q850Scheme, "21", call.CauseRejected, call.DispositionRejected},
		{Q850Scheme, "26", call.CauseCanceled, call.DispositionCanceled},
		{Q850Scheme, "31", call.CauseUnknown, call.DispositionUnknown},
		{Q850Scheme, "34", call.CauseCongestion, call.DispositionFailed},
		{Q850Scheme, "102", call.CauseNoAnswer, call.DispositionNoAnswer},
		{FreeSwitchScheme, "487", call.CauseCanceled, call.DispositionCanceled},
		{FreeSwitchScheme, "802", call.CauseMaxDuration, call.DispositionNoAnswer},
		{FreeSwitchScheme, "804", call.CauseMediaTimeout, call.DispositionFailed},
		{FreeSwitchScheme, "806", call.CauseUnreachable, call.DispositionNoAnswer},
		{FreeSwitchScheme, "816", call.CauseRejected, call.DispositionRejected},
		{SIPScheme, "404", call.CauseInvalidNumber, call.DispositionFailed},
		{SIPScheme, "408", call.CauseNoAnswer, call.DispositionNoAnswer},
		{SIPScheme, "480", call.CauseNoAnswer, call.DispositionNoAnswer},
		{SIPScheme, "486", call.CauseBusy, call.DispositionBusy},
		{SIPScheme, "487", call.CauseCanceled, call.DispositionCanceled},
		{SIPScheme, "503", call.CauseFailed, call.DispositionFailed},
		{SIPScheme, "603", call.CauseRejected, call.DispositionRejected},
		{stringeeScheme, "CAN_NOT_MAKE_CALL", call.CauseFailed, call.DispositionFailed},
		{bandwidthScheme, "timeout", call.CauseNoAnswer, call.DispositionNoAnswer},
		{bandwidthScheme, "cancel", call.CauseCanceled, call.DispositionCanceled},
		{bandwidthScheme, "rejected", call.CauseRejected, call.DispositionRejected},
		{bandwidthScheme, "node-capacity-exceeded", call.CauseCongestion, call.DispositionFailed},
		{bandwidthScheme, "unknown", call.CauseFailed, call.DispositionFailed},
	} {
		row := rows[causeKey{tt.scheme, tt.code}]
		if row.Cause != tt.cause || row.Unanswered != tt.want {
			t.Errorf("%s %s: %s, unanswered %s", tt.scheme, tt.code, row.Cause, row.Unanswered)
		}
	}
}

// TestReportedCodesStay: a mapped code never takes the place of a reported one.
func TestReportedCodesStay(t *testing.T) {
	reported := func(n int32) call.Code { return call.Code{N: n, Src: call.CodeReported} }
	mappedTo := func(n int32) call.Code { return call.Code{N: n, Src: call.CodeMapped} }
	for _, tt := range []struct {
		name      string
		end       func(*call.Ending)
		q850, sip call.Code
		cause     call.HangupCause
	}{
		{"Q.850 17", func(e *call.Ending) { endsWithNumber(e, 17) }, reported(17), mappedTo(486), call.CauseBusy},
		{"Q.850 16", func(e *call.Ending) { endsWithNumber(e, 16) }, reported(16), call.Code{}, call.CauseNormal},
		{"Q.850 8, unlisted", func(e *call.Ending) { endsWithNumber(e, 8) }, reported(8), call.Code{}, call.CauseUnknown},
		{"FreeSWITCH 487", func(e *call.Ending) { endsWithNumber(e, 487) }, call.Code{}, mappedTo(487), call.CauseCanceled},
		{"FreeSWITCH 0", func(e *call.Ending) { endsWithNumber(e, 0) }, call.Code{}, call.Code{}, call.CauseUnknown},
		{"a number beyond all", func(e *call.Ending) { endsWithNumber(e, -5) }, call.Code{}, call.Code{}, call.CauseUnknown},
		{"SIP 486", func(e *call.Ending) { endsWithStatus(e, 486) }, mappedTo(17), reported(486), call.CauseBusy},
		{"SIP 487", func(e *call.Ending) { endsWithStatus(e, 487) }, call.Code{}, reported(487), call.CauseCanceled},
		{"SIP 499, unlisted", func(e *call.Ending) { endsWithStatus(e, 499) }, call.Code{}, reported(499), call.CauseFailed},
		{"SIP 302", func(e *call.Ending) { endsWithStatus(e, 302) }, call.Code{}, reported(302), call.CauseUnknown},
	} {
		var e call.Ending
		tt.end(&e)
		if e.Q850 != tt.q850 || e.SIPStatus != tt.sip || e.HangupCause != tt.cause {
			t.Errorf("%s: Q.850 %v, SIP %v, %s", tt.name, e.Q850, e.SIPStatus, e.HangupCause)
		}
	}
}

// TestNumberAndWordAreOne: FreeSWITCH's cause says the same by its number, since
// 2022 or before, by its name, and by both.
func TestNumberAndWordAreOne(t *testing.T) {
	for _, row := range slices.Concat(q850Causes, freeSwitchCauses) {
		numbered := opentactEnd(t, `"q850_cause":`+row.Code)
		for form, members := range map[string]string{
			"number as text": `"q850_cause":"` + row.Code + `"`,
			"name":           `"q850_cause_string":"` + row.Name + `"`,
			"name alone":     `"q850_cause":null,"q850_cause_string":"` + row.Name + `"`,
			"both":           `"q850_cause":` + row.Code + `,"q850_cause_string":"` + row.Name + `"`,
		} {
			if diff := cmp.Diff(unworded(numbered), unworded(opentactEnd(t, members))); diff != "" {
				t.Errorf("%s %s: %s is not what the number says (-number +%s):\n%s", row.Code, row.Name, form, form, diff)
			}
		}
		if n, _ := strconv.Atoi(row.Code); n > 127 && numbered.Q850.Known() {
			t.Errorf("%s is no Q.850 cause, and became %d", row.Code, numbered.Q850.N)
		}
	}
}

func opentactEnd(t *testing.T, members string) call.Ending {
	t.Helper()
	e := event(t, []byte(`{"type":"call_state","uuid":"e-1","created_on":"2026-03-10T10:00:42.000Z","payload":{"state":"hangup"},
		"call":{"uuid":"leg-1","hangup_on":"2026-03-10T10:00:42.000Z",`+members+`}}`))
	return e.Ending
}

// unworded is an ending without what shows in which form it was sent.
func unworded(e call.Ending) call.Ending {
	e.ProviderCause, e.ProviderCauseCode, e.Q850.Src = "", "", call.NoCode
	return e
}

// TestWordOfUnknownNumber: a name that is known tells more than a number that is not.
func TestWordOfUnknownNumber(t *testing.T) {
	for _, members := range []string{
		`"q850_cause":999,"q850_cause_string":"LOSE_RACE"`, `"q850_cause":0,"q850_cause_string":"LOSE_RACE"`, `"q850_cause":"","q850_cause_string":"LOSE_RACE"`,
	} {
		if e := opentactEnd(t, members); e.HangupCause != call.CauseCanceled || e.HangupParty != call.HangupByPlatform {
			t.Errorf("%s: %s by %s", members, e.HangupCause, e.HangupParty)
		}
	}
}

// TestFreeSwitchWordsAtStringee: they mean what they mean at Opentact.
func TestFreeSwitchWordsAtStringee(t *testing.T) {
	for _, row := range slices.Concat(q850Causes, freeSwitchCauses) {
		e := event(t, []byte(`{"call_status":"ended","call_id":"call-1","timestamp_ms":1773136842000,"duration":9,"answerDuration":0,"endCallCause":"`+row.Name+`"}`))
		if diff := cmp.Diff(unworded(opentactEnd(t, `"q850_cause_string":"`+row.Name+`"`)), unworded(e.Ending)); diff != "" {
			t.Errorf("%s (-opentact +stringee):\n%s", row.Name, diff)
		}
	}
}
