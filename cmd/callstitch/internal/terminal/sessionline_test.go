package terminal

import (
	"testing"
	"time"

	"callstitch/processor/call"
)

func TestSessionLine(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.Local).UnixMilli()
	answered := &call.Session{
		Provider: call.Bandwidth, Disposition: call.DispositionAnswered, Started: call.Instant{At: call.Time(at), Src: call.EvidenceReported},
		From: call.Party{E164: "+15550100101"}, To: call.Party{Raw: "sip:somebody.with.a.long.name@example.com"},
		RingMS: call.Some(6140), TalkMS: call.Some(99_400), LegCount: 3, TransferCount: 1,
	}
	for _, test := range []struct {
		session *call.Session
		want    string
	}{
		{answered, "10:00:00  bandwidth +15550100101       → somebody.with.a.l…  answered   ring 6.1s   talk 1m39s   3 legs  transferred"},
		{
			&call.Session{Provider: call.Sonetel, Disposition: call.DispositionNoAnswer, LegCount: 1, TalkMS: call.Some(0), EndLost: true, Amended: true, Revision: 4},
			"          sonetel   unknown            → unknown             no answer                           1 leg   end lost, amended, revision 4",
		},
	} {
		if got := (Writer{}).SessionLine(test.session); got != test.want {
			t.Errorf("\n got %q\nwant %q", got, test.want)
		}
	}
	if got := (Writer{Colours: true}).SessionLine(answered); len(got) <= len((Writer{}).SessionLine(answered)) {
		t.Error("no colour where colour is wanted")
	}
}
