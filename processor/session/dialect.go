package session

import "callstitch/processor/call"

// dialect is what a session must know of how its provider tells of calls.
type dialect struct {
	// answersInbound: an inbound leg is answered by the platform itself, before
	// anyone is called.
	answersInbound bool
	// consults: a leg on which one party asks another about the caller is known
	// by the legs beside it.
	consults bool
	// recordsMessages: a platform that answered, recorded, and connected nobody
	// has taken a message; it has no other word for that.
	recordsMessages bool
	// agentsDecline: an agent who leaves while it rings has rejected the call.
	// Elsewhere a channel ends whoever answers.
	agentsDecline bool
	// unknownCause is the disposition of a leg that nobody answered and whose
	// cause is none of those known; DispositionUnknown leaves it to what was seen.
	unknownCause call.Disposition
	// words are causes by which the provider says more than their group does, by
	// its word and by its number.
	words map[string]saying
	// transfers are the rules that find its transfers, in turn.
	transfers []transferRule
}

// saying is what a provider's word for a cause tells beside the cause.
type saying uint8

const (
	tookElsewhere saying = iota + 1 // another telephone took the call
	passedBlind                     // passed on unseen
	passedAsked                     // passed on after a consultation
	bowedOut                        // taken out of the path of media that no longer needs it: nobody was passed on
)

// dialects has the row of each provider.
var dialects = [...]dialect{
	call.Opentact: {
		answersInbound: true,
		words:          freeSwitch,
		transfers:      []transferRule{byCause, byEvent},
	},
	call.Stringee: {
		agentsDecline: true,
		words:         freeSwitch,
		transfers:     []transferRule{byAgent, byEvent},
	},
	call.Sonetel: {
		consults:  true,
		transfers: []transferRule{byConsultation, byFlow, byEvent},
	},
	call.Bandwidth: {
		answersInbound:  true,
		recordsMessages: true,
		unknownCause:    call.DispositionFailed, // a word of its open list for a call that it could not place
		// Its transfer events tell of dials, which are legs already.
		transfers: []transferRule{byRedial},
	},
}

// says is what the reason of an end tells beside its cause. A provider may send
// the word, the number, or both.
func (d *dialect) says(why call.Ending) saying {
	if s, known := d.words[why.ProviderCause]; known {
		return s
	}
	return d.words[why.ProviderCauseCode]
}

// freeSwitch are the words of FreeSWITCH, for platforms that run on it, and their
// numbers: since 2022, and before.
var freeSwitch = map[string]saying{
	"LOSE_RACE": tookElsewhere, "702": tookElsewhere, "502": tookElsewhere,
	"PICKED_OFF": tookElsewhere, "805": tookElsewhere, "605": tookElsewhere,
	"BLIND_TRANSFER": passedBlind, "800": passedBlind, "600": passedBlind,
	"ATTENDED_TRANSFER": passedAsked, "801": passedAsked, "601": passedAsked,
	"BOWOUT": bowedOut, "814": bowedOut, "614": bowedOut,
}
