package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"callstitch/processor/call"
)

// drawn makes the events of legs of Opentact, one a line:
//
//	b<a 1 5 35 BLIND_TRANSFER
//
// is the leg b that a dialled, made at second 1, answered at 5, and over at 35
// because of a word of FreeSWITCH (NORMAL_CLEARING where none is written). A dash
// stands for what was not seen. A leg named a is the caller's and inbound, one named
// o an agent's and outbound. Further words: MACHINE answered, MESSAGE taken.
func drawn(t *testing.T, lines string) []*call.Event {
	t.Helper()
	var events []*call.Event
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name, parent, _ := strings.Cut(words[0], "<")
		direction := call.DirectionOutbound
		if name == "a" {
			direction = call.DirectionInbound
		}
		tells := []tell{directed(direction), called("1555010"+name, "to-"+name)}
		if parent != "" {
			tells = append(tells, under(parent))
		}
		for i, typ := range []call.EventType{call.EventCallInitiated, call.EventCallAnswered, call.EventCallEnded} {
			if words[i+1] == "-" {
				continue
			}
			s, err := strconv.ParseFloat(words[i+1], 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			told := slices.Clone(tells)
			if typ == call.EventCallEnded {
				told = append(told, endingIn(words[4:]))
			}
			if typ == call.EventCallAnswered && slices.Contains(words, "MACHINE") {
				told = append(told, func(e *call.Event) { e.AnsweredBy = call.AnswererMachine })
			}
			events = append(events, happened(call.Opentact, name, typ, s, told...))
		}
	}
	return events
}

func endingIn(words []string) tell {
	return func(e *call.Event) {
		e.HangupCause, e.Q850 = call.CauseNormal, call.Code{N: 16, Src: call.CodeReported}
		for _, word := range words {
			switch word {
			case "BLIND_TRANSFER", "ATTENDED_TRANSFER", "BOWOUT":
				e.Ending = call.Ending{HangupCause: call.CauseTransferred, HangupParty: call.HangupByTransfer, ProviderCause: word}
			case "ORIGINATOR_CANCEL":
				e.Ending = call.Ending{HangupCause: call.CauseCanceled, HangupParty: call.HangupByCaller, ProviderCause: word}
			case "LOSE_RACE", "PICKED_OFF":
				e.Ending = call.Ending{HangupCause: call.CauseCanceled, HangupParty: call.HangupByPlatform, ProviderCause: word}
			case "NON_SELECTED_USER_CLEARING":
				e.Ending = call.Ending{HangupCause: call.CauseCanceled, Q850: call.Code{N: 26, Src: call.CodeReported}, ProviderCause: word}
			case "USER_BUSY":
				e.Ending = call.Ending{HangupCause: call.CauseBusy, Q850: call.Code{N: 17, Src: call.CodeReported}, ProviderCause: word}
			case "NO_ANSWER":
				e.Ending = call.Ending{HangupCause: call.CauseNoAnswer, Q850: call.Code{N: 19, Src: call.CodeReported}, ProviderCause: word}
			case "UNTOLD":
				e.Ending = call.Ending{}
			case "MESSAGE":
				e.Voicemail = true
			}
		}
	}
}

// led writes the transfers of a session, one a line.
func led(s *call.Session) string {
	names := map[call.LegID]string{}
	for _, l := range s.Legs {
		names[l.ID] = l.CallID
	}
	name := func(id *call.LegID) string {
		if id == nil {
			return "?"
		}
		return names[*id]
	}
	var lines []string
	for _, tr := range s.Transfers {
		at := "?"
		if tr.At.Known() {
			at = fmt.Sprint(float64(tr.At-second(0)) / 1000)
		}
		lines = append(lines, fmt.Sprintf("%v %s>%s at %s %v", tr.Type, name(tr.FromLeg), name(tr.ToLeg), at, tr.Result))
	}
	return strings.Join(lines, "; ")
}

func TestWhereATransferLed(t *testing.T) {
	for _, tt := range []struct {
		name, legs, want string
		talk             int64 // -1: not known
	}{
		{
			"the new leg was made before the old one ended",
			"a 0 0.5 100.1\nb<a 1 5 30.4 BLIND_TRANSFER\nc<a 30.1 31.3 100",
			"BLIND b>c at 30.4 COMPLETED", 25_400 + 68_700,
		}, {
			"long after it, when a queue was over",
			"a 0 0.5 100.1\nb<a 1 5 30 BLIND_TRANSFER\nc<a 75 80 100",
			"BLIND b>c at 30 COMPLETED", 25_000 + 20_000,
		}, {
			"the old leg was parked until the new one was answered",
			"a 0 0.5 100.1\nb<a 1 5 45 BLIND_TRANSFER\nc<a 30 45 100",
			"BLIND b>c at 30 COMPLETED", 25_000 + 55_000,
		}, {
			"the old leg was parked until the end",
			"a 0 0.5 100.1\nb<a 1 5 100 BLIND_TRANSFER\nc<a 30 45 100",
			"BLIND b>c at 30 COMPLETED", 25_000 + 55_000,
		}, {
			"the old leg was parked beyond the caller's end",
			"a 0 0.5 42\nb<a 1 5 97 BLIND_TRANSFER\nc<a 30.1 - 42.05 ORIGINATOR_CANCEL",
			"BLIND b>c at 30.1 FAILED", 25_100,
		}, {
			"who lost the race against the one who passes on is no target",
			"a 0 0.5 70\nb<a 1 2.5 5.5 BLIND_TRANSFER\nc<a 1.02 - 2.52 LOSE_RACE\nd<a 5.4 9 70",
			"BLIND b>d at 5.5 COMPLETED", 3_000 + 61_000,
		}, {
			"nor one who lost it a moment later",
			"a 0 0.5 70\nb<a 1 2.5 3 BLIND_TRANSFER\nc<a 1.02 - 2.6 LOSE_RACE\nd<a 8.2 12 70",
			"BLIND b>d at 3 COMPLETED", 500 + 58_000,
		}, {
			"of a group it is the one who takes the call",
			"a 0 0.5 70\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 40.1 LOSE_RACE\nd<a 30.12 40 70\ne<a 30.15 - 40.1 LOSE_RACE",
			"BLIND b>d at 30 COMPLETED", 25_000 + 30_000,
		}, {
			"of a queue that rings two, one after the other, too",
			"a 0 0.5 90\nb<a 1 5 30 BLIND_TRANSFER\nc<a 60 - 62 USER_BUSY\nd<a 62.1 70 90",
			"BLIND b>d at 30 COMPLETED", 25_000 + 20_000,
		}, {
			"of a group that nobody takes, the first",
			"a 0 0.5 70\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 60 NO_ANSWER\nd<a 30.12 - 60 NO_ANSWER",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"a busy target may be over a moment before the old leg",
			"a 0 0.5 32\nb<a 1 5 30 BLIND_TRANSFER\nc<a 29.7 - 29.9 USER_BUSY",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"one who was over long before is no target",
			"a 0 0.5 30.05\nb<a 1 5 30 BLIND_TRANSFER\nc<a 26 - 28 USER_BUSY",
			"BLIND b>? at 30 UNKNOWN", 25_000,
		}, {
			"one who is called when the caller has left is none",
			"a 0 0.5 28\nb<a 1 5 30 BLIND_TRANSFER\nc<a 29 - 50 NO_ANSWER",
			"BLIND b>? at 28 FAILED", 23_000,
		}, {
			"one who answers when the caller has left",
			"a 0 0.5 40\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 40.2 41",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"one who is called long after the first had not answered is another matter",
			"a 0 0.5 90\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 55 NO_ANSWER\nd<a 55.1 70 90",
			"BLIND b>c at 30 FAILED", 25_000 + 20_000,
		}, {
			"two who had the call pass it on, in the order in which they leave",
			"a 0 0.5 100\nb<a 1 3 60 BLIND_TRANSFER\nx<a 2 4 30 BLIND_TRANSFER\nc<a 30.1 35 100\nd<a 60.1 65 100",
			"BLIND x>c at 30 COMPLETED; BLIND b>d at 60 COMPLETED", 97_000,
		}, {
			"a leg is the target of one transfer",
			"a 0 0.5 100\nb<a 1 3 30 BLIND_TRANSFER\nx<a 2 4 60 BLIND_TRANSFER\nc<a 30.1 35 100",
			"BLIND b>c at 30 COMPLETED; BLIND x>? at 60 UNKNOWN", -1,
		}, {
			"both legs of who asked say so, and another one whom he asked stayed",
			"a 0 0.5 100\nb<a 1 5 60 ATTENDED_TRANSFER\nk<b 15 16 60.02 ATTENDED_TRANSFER\nc<k 20 25 80\ne<k 42 50 100",
			"ATTENDED b>e at 60 COMPLETED", 95_000,
		}, {
			"back to the first one",
			"a 0 0.5 100\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60 BLIND_TRANSFER\nb2<a 60.1 65 100",
			"BLIND b>c at 30 COMPLETED; BLIND c>b2 at 60 COMPLETED", 25_000 + 25_000 + 35_000,
		}, {
			"a machine answered",
			"a 0 0.5 60\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60 MACHINE",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"a message was taken on it",
			"a 0 0.5 60\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60 MESSAGE",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"a message was taken on the caller's leg, which ended with it",
			"a 0 0.5 60 MESSAGE\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60",
			"BLIND b>c at 30 FAILED", 25_000,
		}, {
			"a message was taken after the next hop, seconds later",
			"a 0 0.5 64 MESSAGE\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60 BLIND_TRANSFER\nd<a 60.1 61 64",
			"BLIND b>c at 30 COMPLETED; BLIND c>d at 60 FAILED", 25_000 + 25_000,
		}, {
			"a message was taken when it was over",
			"a 0 0.5 80 MESSAGE\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60",
			"BLIND b>c at 30 COMPLETED", 25_000 + 25_000,
		}, {
			"after a consultation, below the leg of who asked",
			"a 0 0.5 100.1\nb<a 1 5 35 ATTENDED_TRANSFER\nd<b 20 24 100",
			"ATTENDED b>d at 35 COMPLETED", 95_000,
		}, {
			"after a consultation of minutes, below the caller's leg",
			"a 0 0.5 400.1\nb<a 1 5 300 ATTENDED_TRANSFER\nd<a 20 24 400",
			"ATTENDED b>d at 300 COMPLETED", 395_000,
		}, {
			"after one that failed and one that was declined",
			"a 0 0.5 100.1\nb<a 1 5 60 ATTENDED_TRANSFER\nc<b 20 - 25 USER_BUSY\nd<b 26 30 40\ne<b 42 50 100",
			"ATTENDED b>e at 60 COMPLETED", 95_000,
		}, {
			"of two who were asked and stayed it is the last",
			"a 0 0.5 100.1\nb<a 1 5 60 ATTENDED_TRANSFER\nc<b 20 25 80\ne<b 42 50 100",
			"ATTENDED b>e at 60 COMPLETED", 95_000,
		}, {
			"who was asked, and then another one blindly",
			"a 0 0.5 100.1\nb<a 1 5 60 BLIND_TRANSFER\nc<b 20 25 60\ne<a 60.1 66 100",
			"BLIND b>e at 60 COMPLETED", 55_000 + 34_000,
		}, {
			"from one hop to the next",
			"a 0 0.5 480\nb<a 1 5 35 ATTENDED_TRANSFER\nd<b 20 24 300.1 BLIND_TRANSFER\ne<a 300 306 480",
			"ATTENDED b>d at 35 COMPLETED; BLIND d>e at 300.1 COMPLETED", 295_100 + 174_000,
		}, {
			"a machine passes on within seconds, and so does the next",
			"a 0 0.5 60\nb<a 1 2 4 BLIND_TRANSFER\nc<a 4.1 5 7 BLIND_TRANSFER\nd<a 7.1 10 60",
			"BLIND b>c at 4 COMPLETED; BLIND c>d at 7 COMPLETED", 2_000 + 2_000 + 50_000,
		}, {
			"both legs of who asked say so",
			"a 0 0.5 100.1\nb<a 1 5 35 ATTENDED_TRANSFER\nk<b 19 19.5 35.02 ATTENDED_TRANSFER\nd<k 20 24 100",
			"ATTENDED b>d at 35 COMPLETED", 95_000,
		}, {
			"both legs of who asked say so, and nothing links who was asked",
			"a 0 0.5 35.1\nb<a 1 5 35 ATTENDED_TRANSFER\nk<b 19 19.5 35 ATTENDED_TRANSFER",
			"ATTENDED b>? at 35 UNKNOWN", 30_000,
		}, {
			"nothing links the one who was asked, and the caller goes on",
			"a 0 0.5 100\nb<a 1 5 35 ATTENDED_TRANSFER",
			"ATTENDED b>? at 35 UNKNOWN", -1,
		}, {
			"nothing links the one who was asked; a later leg is not he",
			"a 0 0.5 100\nb<a 1 5 35 ATTENDED_TRANSFER\ne<a 70 75 100",
			"ATTENDED b>? at 35 UNKNOWN", -1,
		}, {
			"the caller's leg ended with the transfer",
			"a 0 0.5 35.1\nb<a 1 5 35 ATTENDED_TRANSFER",
			"ATTENDED b>? at 35 UNKNOWN", 30_000,
		}, {
			"the caller had left, and nobody was called",
			"a 0 0.5 35\nb<a 1 5 90 BLIND_TRANSFER",
			"BLIND b>? at 35 FAILED", 30_000,
		}, {
			"when the old leg ended is not known",
			"a 0 0.5 100\nb<a 1 5 - \nc<a 35.1 40 100",
			"", -1,
		}, {
			"an agent passes on the customer whom he called",
			"o 0 3 40 BLIND_TRANSFER\nb<o 4 10 99.9\nc<o 40.1 50 100",
			"BLIND o>c at 40 COMPLETED", 30_000 + 49_900,
		}, {
			"… the second one whom he called",
			"o 0 3 60 BLIND_TRANSFER\nb<o 4 10 20\nc<o 25 30 100\nd<o 60.1 65 99.9",
			"BLIND o>d at 60 COMPLETED", 10_000 + 30_000 + 34_900,
		}, {
			"… whose leg is not known",
			"o 0 3 40 BLIND_TRANSFER\nc<o 40.1 50 100",
			"BLIND o>c at 40 COMPLETED", -1,
		}, {
			"… and who leaves before the colleague answers",
			"o 0 3 95 BLIND_TRANSFER\nb<o 4 10 50\nc<o 40.1 50.2 51",
			"BLIND o>c at 40.1 FAILED", 30_100,
		}, {
			"… having asked a colleague, who stays longer",
			"o 0 3 40 ATTENDED_TRANSFER\nb<o 4 10 100\nc<o 20 25 100.1",
			"ATTENDED o>c at 40 COMPLETED", 90_000,
		}, {
			"… having asked a colleague",
			"o 0 3 40 ATTENDED_TRANSFER\nb<o 4 10 100\nc<o 20 25 99.9",
			"ATTENDED o>c at 40 COMPLETED", 89_900,
		}, {
			"… who asks a third one and is gone, too",
			"o 0 3 40 BLIND_TRANSFER\nb<o 4 10 100\nc<o 40.1 50 70 ATTENDED_TRANSFER\nd<c 55 60 99.9",
			"BLIND o>c at 40 COMPLETED; ATTENDED c>d at 70 COMPLETED", 30_000 + 49_900,
		}, {
			"… and the customer leaves",
			"o 0 3 95 BLIND_TRANSFER\nb<o 4 10 50\nc<o 40.1 - 50.02 ORIGINATOR_CANCEL",
			"BLIND o>c at 40.1 FAILED", 30_100,
		}, {
			"the customer whom an agent called passes the agent on",
			"o 0 3 100\nb<o 4 10 40 BLIND_TRANSFER\nc<o 40.1 50 99.9",
			"BLIND b>c at 40 COMPLETED", 30_000 + 49_900,
		}, {
			"the caller passes the agent on",
			"a 0 0.5 40 BLIND_TRANSFER\nb<a 1 5 100\nc<a 40.1 50 99.9",
			"BLIND a>c at 40 COMPLETED", 35_000 + 49_900,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, drawn(t, tt.legs)...)
			if got := led(s); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if talk := call.Some(tt.talk); tt.talk >= 0 && s.TalkMS != talk || tt.talk < 0 && (s.TalkMS.Known || s.Complete) {
				t.Errorf("talk %v, complete %v, want %v", s.TalkMS, s.Complete, talk)
			}
			if completed := strings.Count(tt.want, "COMPLETED"); s.TransferCount != int32(completed) {
				t.Errorf("%d transfers, want %d", s.TransferCount, completed)
			}
			for _, tr := range s.Transfers {
				if tr.ToLeg == nil {
					continue
				}
				for _, l := range s.Legs {
					if l.ID == *tr.ToLeg && l.Role != call.RoleTransferTarget {
						t.Errorf("%s is %v", l.CallID, l.Role)
					}
				}
			}
			if s.Flags.Has(call.FlagNegativeClamped) {
				t.Errorf("flags %v: all clocks agree", s.Flags.Words())
			}
		})
	}
}

// While the session is open a transfer has not failed, and not succeeded before
// somebody answered.
func TestAnOpenTransferIsNotJudgedEarly(t *testing.T) {
	for _, tt := range []struct{ name, legs, want string }{
		{"nobody is called yet", "a 0 0.5 -\nb<a 1 5 30 BLIND_TRANSFER", "BLIND b>? at 30 UNKNOWN"},
		{"it rings", "a 0 0.5 -\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - -", "BLIND b>c at 30 UNKNOWN"},
		{"one of the group is busy", "a 0 0.5 -\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 33 USER_BUSY", "BLIND b>c at 30 UNKNOWN"},
		{"the next is answered", "a 0 0.5 -\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 33 USER_BUSY\nd<a 33.1 40 -", "BLIND b>d at 30 COMPLETED"},
		{"the caller has left, and the target's end is not told", "a 0 0.5 35\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - -", "BLIND b>c at 30 UNKNOWN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := led(session(t, false, drawn(t, tt.legs)...)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	t.Run("and in the end one whose end was lost", func(t *testing.T) {
		for legs, want := range map[string]string{
			"a 0 0.5 35\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - -":   "BLIND b>c at 30 FAILED",
			"a 0 0.5 -\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - -":    "BLIND b>c at 30 UNKNOWN",
			"a 0 0.5 100\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 -": "BLIND b>c at 30 COMPLETED",
		} {
			if got := led(session(t, true, drawn(t, legs)...)); got != want {
				t.Errorf("%s: %s, want %s", legs, got, want)
			}
		}
	})
}

// A platform's own word for what became of a transfer beats what the legs show, and
// stands where none was seen.
func TestWhatIsToldOfATransferBeatsWhatIsSeen(t *testing.T) {
	told := func(typ call.EventType) *call.Event { return happened(call.Opentact, "b", typ, 30, under("a")) }
	unlinked, answered := "a 0 0.5 100\nb<a 1 5 30 BLIND_TRANSFER", "a 0 0.5 100\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 40 100"
	for _, tt := range []struct {
		legs string
		told call.EventType
		want string
	}{
		{unlinked, call.EventTransferCompleted, "BLIND b>? at 30 COMPLETED"},
		{unlinked, call.EventTransferFailed, "BLIND b>? at 30 FAILED"},
		{answered, call.EventTransferFailed, "BLIND b>c at 30 FAILED"},
		{answered, call.EventTransferStarted, "BLIND b>c at 30 COMPLETED"},
		{"a 0 0.5 100\nb<a 1 5 30\nc<a 1.1 - 5 LOSE_RACE\nd<a 29 40 100", call.EventTransferCompleted, "UNKNOWN b>d at 30 COMPLETED"},
	} {
		if got := led(session(t, true, append(drawn(t, tt.legs), told(tt.told))...)); got != tt.want {
			t.Errorf("%v of %q: %s, want %s", tt.told, tt.legs, got, tt.want)
		}
	}
}

// The session's hang-up is that of the conversation's end, which a leg that a
// transfer ended was not.
func TestATransferDoesNotEndTheCall(t *testing.T) {
	for _, tt := range []struct {
		name, legs string
		cause      call.HangupCause
		party      call.HangupParty
	}{
		{"completed", "a 0 0.5 100.1\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 100", call.CauseNormal, call.NoHangupParty},
		{"failed: the target did not answer", "a 0 0.5 70\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 60 NO_ANSWER", call.CauseNormal, call.NoHangupParty},
		{"failed: the caller left", "a 0 0.5 42\nb<a 1 5 97 BLIND_TRANSFER\nc<a 30.1 - 42.05 ORIGINATOR_CANCEL", call.CauseNormal, call.HangupByCaller},
		{"failed: the caller left before anybody was called", "a 0 0.5 35\nb<a 1 5 90 BLIND_TRANSFER", call.CauseNormal, call.HangupByCaller},
		{"failed: the customer left whom an agent had called", "o 0 3 95 BLIND_TRANSFER\nb<o 4 10 50\nc<o 40.1 - 50.02 ORIGINATOR_CANCEL", call.CauseNormal, call.HangupByCallee},
		{"failed: the target did not answer, and the caller left at once", "a 0 0.5 60.3\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 - 60 NO_ANSWER", call.CauseNormal, call.NoHangupParty},
		{
			"one who was asked, and would not, had left before",
			"a 0 0.5 90\nb<a 1 5 60 ATTENDED_TRANSFER\nc<b 20 25 30\ne<b 42 50 89.9 USER_BUSY", call.CauseBusy, call.NoHangupParty,
		},
		{"into a mailbox", "a 0 0.5 60\nb<a 1 5 30 BLIND_TRANSFER\nc<a 30.1 35 60 MESSAGE", call.CauseNormal, call.NoHangupParty},
		{"to nobody known", "a 0 0.5 100\nb<a 1 5 35 ATTENDED_TRANSFER", call.CauseNormal, call.NoHangupParty},
		{"and nothing else is known", "b 1 5 35 ATTENDED_TRANSFER", call.CauseTransferred, call.HangupByTransfer},
	} {
		s := session(t, true, drawn(t, tt.legs)...)
		if s.HangupCause != tt.cause || s.HangupParty != tt.party {
			t.Errorf("%s: %v by %v, want %v by %v", tt.name, s.HangupCause, s.HangupParty, tt.cause, tt.party)
		}
	}
}

// Telephones that were told that another one took the call explain it only if one
// did.
func TestARaceThatNobodyWonWasGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name, legs  string
		disposition call.Disposition
		cause       call.HangupCause
		party       call.HangupParty
	}{
		{
			"the caller's leg says so", "a 0 0.5 13 ORIGINATOR_CANCEL\nb<a 1 - 13.05 LOSE_RACE\nc<a 1 - 13.06 LOSE_RACE",
			call.DispositionCanceled, call.CauseCanceled, call.HangupByCaller,
		},
		{
			"it ended with them", "a 0 0.5 13\nb<a 1 - 13.05 LOSE_RACE\nc<a 1 - 13.06 NON_SELECTED_USER_CLEARING",
			call.DispositionCanceled, call.CauseNormal, call.HangupByCaller,
		},
		{
			"its end was lost", "a 0 0.5 -\nb<a 1 - 13.05 NON_SELECTED_USER_CLEARING\nc<a 1 - 13.06 NON_SELECTED_USER_CLEARING",
			call.DispositionCanceled, call.CauseCanceled, call.HangupByCaller,
		},
		{
			"one of them was busy before", "a 0 0.5 13 ORIGINATOR_CANCEL\nb<a 1 - 13.05 LOSE_RACE\nc<a 1 - 2 USER_BUSY",
			call.DispositionBusy, call.CauseBusy, call.NoHangupParty,
		},
		{
			"the caller went on: somebody may have taken it", "a 0 0.5 60\nb<a 1 - 13.05 PICKED_OFF\nc<a 1 - 13.06 PICKED_OFF",
			call.DispositionCanceled, call.CauseNormal, call.NoHangupParty,
		},
		{
			"a single dial that was taken elsewhere", "o 0 - 13.05 LOSE_RACE",
			call.DispositionCanceled, call.CauseCanceled, call.HangupByPlatform,
		},
		{
			"somebody won", "a 0 0.5 60.1\nb<a 1 - 13.05 LOSE_RACE\nc<a 1 13 60",
			call.DispositionAnswered, call.CauseNormal, call.NoHangupParty,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, true, drawn(t, tt.legs)...)
			if s.Disposition != tt.disposition || s.HangupCause != tt.cause || s.HangupParty != tt.party {
				t.Errorf("%v, %v by %v, want %v, %v by %v", s.Disposition, s.HangupCause, s.HangupParty, tt.disposition, tt.cause, tt.party)
			}
		})
	}
}
