package terminal

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"callstitch/processor/call"
)

var dispositionColours = map[call.Disposition]Colour{
	call.DispositionAnswered: Green, call.DispositionVoicemail: Violet, call.DispositionInProgress: Blue,
	call.DispositionNoAnswer: Yellow, call.DispositionBusy: Yellow, call.DispositionRejected: Red, call.DispositionFailed: Red,
	call.DispositionCanceled: Dim, call.DispositionUnknown: Dim,
}

// SessionLine is a closed session as one line without its end, columns aligned
// with those of other lines: when it began (local time), provider, caller, callee,
// outcome, ring and talk time, legs, and what is out of the ordinary.
func (w Writer) SessionLine(s *call.Session) string {
	started := "        "
	if s.Started.Known() {
		started = time.UnixMilli(int64(s.Started.At)).Format(time.TimeOnly)
	}
	outcome := strings.ToLower(strings.ReplaceAll(s.Disposition.String(), "_", " "))
	return fmt.Sprintf("%s  %-9s %s → %s  %s %s %s  %s%s",
		w.Paint(Dim, started), s.Provider, pad(Party(s.From), 18), pad(Party(s.To), 18),
		w.Paint(dispositionColours[s.Disposition], fmt.Sprintf("%-10s", outcome)),
		pad(length("ring ", s.RingMS), 11), pad(length("talk ", s.TalkMS), 11),
		legCount(s.LegCount), w.Paint(Yellow, remarks(s)))
}

// Party is a party, as short as it can be shown whole: the user of a SIP URI,
// "unknown" where there is nothing to show.
func Party(p call.Party) string {
	text := p.E164
	if text == "" {
		text = p.Raw
	}
	if user, _, ok := strings.Cut(text, "@"); ok {
		return strings.TrimPrefix(user, "sip:")
	}
	if text == "" {
		return "unknown"
	}
	return text
}

// length is a length of time with one decimal below a minute; nothing where it is
// zero or not known.
func length(what string, ms call.Int) string {
	switch d := time.Duration(ms.N) * time.Millisecond; {
	case d == 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%s%.1fs", what, d.Seconds())
	default:
		return what + d.Round(time.Second).String()
	}
}

func legCount(n int32) string {
	if n == 1 {
		return "1 leg "
	}
	return fmt.Sprintf("%d legs", n)
}

// remarks are what is out of the ordinary.
func remarks(s *call.Session) string {
	var words []string
	if s.TransferCount > 0 {
		words = append(words, "transferred")
	}
	if s.EndLost {
		words = append(words, "end lost")
	}
	if s.Amended {
		words = append(words, fmt.Sprintf("amended, revision %d", s.Revision))
	}
	if len(words) == 0 {
		return ""
	}
	return "  " + strings.Join(words, ", ")
}

// pad fills a text up with spaces to a width in characters; one that is too long
// ends in an ellipsis.
func pad(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width-1]) + "…"
	}
	return text + strings.Repeat(" ", width-n)
}
