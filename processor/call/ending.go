package call

import (
	"cmp"
	"strings"
)

// Ending is why and by whom a leg ended, all told at one time. What the provider
// did not tell is unknown, or mapped from what it did.
type Ending struct {
	HangupParty       HangupParty
	HangupCause       HangupCause
	Q850              Code
	SIPStatus         Code
	ProviderCause     string
	ProviderCauseCode string
}

// Facts counts what an ending tells; a reported code counts double, because
// everything else can be mapped from it.
func (e *Ending) Facts() int {
	n := 0
	if e.Q850.Src == CodeReported {
		n += 2
	}
	if e.SIPStatus.Src == CodeReported {
		n += 2
	}
	if e.HangupCause != NoCause && e.HangupCause != CauseUnknown {
		n++
	}
	if e.HangupParty != NoHangupParty && e.HangupParty != HangupByUnknown {
		n++
	}
	return n
}

// CompareEndings puts the ending with more facts first.
func CompareEndings(a, b Ending) int {
	return cmp.Or(
		cmp.Compare(b.Facts(), a.Facts()),
		cmp.Compare(a.HangupCause, b.HangupCause), cmp.Compare(a.HangupParty, b.HangupParty),
		compareCodes(a.Q850, b.Q850), compareCodes(a.SIPStatus, b.SIPStatus),
		strings.Compare(a.ProviderCause, b.ProviderCause), strings.Compare(a.ProviderCauseCode, b.ProviderCauseCode),
	)
}

func compareCodes(a, b Code) int {
	return cmp.Or(cmp.Compare(a.Src, b.Src), cmp.Compare(a.N, b.N))
}
