package rejects

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/internal/docpage"
	"callstitch/processor/call"
	"callstitch/topology"
)

const (
	answered = `{"eventType":"answer","callId":"c-1","eventTime":"2022-05-04T18:53:01.832Z"}`
	rawTime  = 1_772_442_000_000
)

// replayOf is a replay of whatever comes, with a source that has one raw record.
func replayOf(has topology.Record) *Replay {
	return &Replay{
		Config:     &topology.Config{Sources: []topology.Source{{Topic: "call.raw", Provider: call.Bandwidth}, {Topic: "other.raw"}}},
		MaxReplays: 3,
		Fetch: func(at call.Source) (topology.Record, error) {
			if has.Value == nil || at.Offset != has.Offset {
				return topology.Record{}, errors.New("retention took it")
			}
			return has, nil
		},
		Takes: func(r topology.Record) error {
			if len(r.Value) > 1000 {
				return errors.New("too large for its topic")
			}
			return nil
		},
	}
}

// rejectRecord is the record of a reject at call.rejects 3 1042.
func rejectRecord(r call.Reject) topology.Record {
	if r.Source.Topic == "" {
		r.Source = call.Source{Topic: "call.raw", Partition: 2, Offset: 7}
	}
	r.Timestamp = rawTime
	return topology.Record{
		Topic: "call.rejects", Partition: 3, Offset: 1042, Timestamp: rawTime, Key: r.Key, Value: r.Value,
		Headers: append(r.Headers, topology.RejectHeaders(&r)...),
	}
}

func sha(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// conflictOf is an ID_CONFLICT about a raw record of a leg.
func conflictOf(src topology.Source, raw string) call.Reject {
	leg := Judge(src, topology.Record{Value: []byte(raw)}).Taken[0].Leg
	sum := sha(raw)
	return call.Reject{
		Reason: call.RejectIDConflict, Key: []byte(leg.String()),
		Value: fmt.Appendf(nil, `{"provider":"BANDWIDTH","raw_sha256":%q}`, hex.EncodeToString(sum[:])),
	}
}

func TestFates(t *testing.T) {
	bandwidth := topology.Source{Topic: "call.raw", Provider: call.Bandwidth}
	whole := topology.Record{Topic: "call.raw", Partition: 2, Offset: 7, Timestamp: rawTime, Key: []byte("k"), Value: []byte(answered)}
	replayedTwice := whole
	replayedTwice.Headers = headers("callstitch.replays", "2")
	replayedThrice := whole
	replayedThrice.Headers = headers("callstitch.replays", "3")
	cut := &call.Cut{Length: int64(len(answered)), SHA256: sha(answered)}
	for name, c := range map[string]struct {
		reject call.Reject
		has    topology.Record
		with   func(*Replay)
		fate   Fate
		why    string // part of it
	}{
		"mended by the configuration": {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered)}},
		"not mended":                  {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte("{")}, fate: RejectedAgain, why: "would be rejected again as MALFORMED_JSON"},
		"not mended, insisted upon":   {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte("{")}, with: func(p *Replay) { p.EvenIfRejected = true }, fate: SentAnyway, why: "MALFORMED_JSON"},
		"of no call any more":         {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte("[]")}, fate: IgnoredNow, why: "would be ignored as empty"},
		"without a value":             {reject: call.Reject{Reason: call.RejectBadHeader}, fate: IgnoredNow, why: "null"},
		"a wrong header":              {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered), Headers: headers("provider", "x")}, fate: RejectedAgain, why: "UNKNOWN_PROVIDER"},
		"a wrong header, set":         {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered), Headers: headers("provider", "x")}, with: func(p *Replay) { p.Set = headers("provider", "bandwidth") }},
		"edited":                      {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte(answered + "}")}, with: func(p *Replay) { p.Edit = func(v []byte) ([]byte, error) { return v[:len(v)-1], nil } }},
		"edited in vain":              {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte(answered)}, with: func(p *Replay) { p.Edit = func([]byte) ([]byte, error) { return nil, errors.New("exit status 5") } }, fate: NotEdited, why: "exit status 5"},
		"of a topic that is none":     {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte(answered), Source: call.Source{Topic: "gone.raw"}}, fate: NoTopic, why: "gone.raw is none of the sources"},
		"of one, sent to another":     {reject: call.Reject{Reason: call.RejectMalformedJSON, Value: []byte(answered), Source: call.Source{Topic: "gone.raw"}}, with: func(p *Replay) { p.To = "other.raw" }},
		"too large for its topic":     {reject: call.Reject{Reason: call.RejectTooLarge, Value: []byte(answered + strings.Repeat(" ", 1000))}, fate: NoTopic, why: "too large"},
		"came three times":            {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered), Headers: headers("callstitch.replays", "3")}, fate: ReplayedEnough, why: "3 times"},
		"came twice":                  {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered), Headers: headers("callstitch.replays", "2")}},
		"unreadable":                  {reject: call.Reject{Reason: call.RejectUnreadable, Value: []byte("batch"), Batch: "5-9"}, has: whole, fate: NotToBeHad, why: "by its sender"},

		"cut, and fetched":              {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte("{"), Cut: cut}, has: whole},
		"cut, and gone":                 {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte("{"), Cut: cut}, fate: NotToBeHad, why: "retention took it"},
		"cut, and another is there":     {reject: call.Reject{Reason: call.RejectUnknownProvider, Value: []byte("{"), Cut: &call.Cut{Length: 5, SHA256: sha("other")}}, has: whole, fate: NotToBeHad, why: "another"},
		"a conflict, as before":         {reject: conflictOf(bandwidth, answered), has: whole, fate: RejectedAgain, why: "in conflict again"},
		"a conflict, of another scope":  {reject: conflictOf(bandwidth, answered), has: whole, with: func(p *Replay) { p.Set = headers("scope", "b") }},
		"a conflict, and another there": {reject: conflictOf(bandwidth, answered+" "), has: whole, fate: NotToBeHad, why: "another"},
		"a conflict that came twice":    {reject: conflictOf(bandwidth, answered), has: replayedTwice, with: func(p *Replay) { p.Set = headers("scope", "b") }},
		"a conflict that came thrice":   {reject: conflictOf(bandwidth, answered), has: replayedThrice, with: func(p *Replay) { p.Set = headers("scope", "b") }, fate: ReplayedEnough, why: "3 times"},
	} {
		t.Run(name, func(t *testing.T) {
			p := replayOf(c.has)
			if c.with != nil {
				c.with(p)
			}
			again, err := p.Choose(rejectRecord(c.reject))
			if err != nil {
				t.Fatal(err)
			}
			fate, why := WouldBeTaken, ""
			for f, n := range p.Tally.fates {
				if n == 1 {
					fate = Fate(f)
				}
			}
			if len(p.Tally.left) > 0 {
				why = p.Tally.left[0].why
			}
			if fate != c.fate || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
				t.Errorf("%s: %q, want %s: %q", fate, why, c.fate, c.why)
			}
			if (again != nil) != c.fate.Sent() {
				t.Errorf("sent: %v", again)
			}
		})
	}
}

// What is sent is the raw record, with how often it came, where its reject is and when
// it came first.
func TestWhatIsSent(t *testing.T) {
	whole := topology.Record{
		Topic: "call.raw", Partition: 2, Offset: 7, Timestamp: rawTime + 99, Key: []byte("k"), Value: []byte(answered),
		Headers: append(headers("provider", "x"), headers("callstitch.timestamp", fmt.Sprint(rawTime-5))...),
	}
	p := replayOf(whole)
	p.Set = append(headers("provider", "bandwidth"), headers("scope", "b")...)
	again, err := p.Choose(rejectRecord(conflictOf(topology.Source{Provider: call.Bandwidth}, answered)))
	if err != nil || again == nil {
		t.Fatal(again, err)
	}
	want := topology.Record{Topic: "call.raw", Timestamp: rawTime - 5, Key: []byte("k"), Value: []byte(answered), Headers: []call.Header{
		{Key: "callstitch.replays", Value: []byte("1")},
		{Key: "callstitch.replayed", Value: []byte("call.rejects/3/1042")},
		{Key: "callstitch.timestamp", Value: fmt.Append(nil, rawTime-5)},
		{Key: "provider", Value: []byte("bandwidth")},
		{Key: "scope", Value: []byte("b")},
	}}
	if d := cmp.Diff(want, *again, cmp.AllowUnexported(topology.Record{})); d != "" {
		t.Error(d)
	}
	p.Now = true
	again, _ = p.Choose(rejectRecord(call.Reject{Reason: call.RejectUnknownProvider, Value: []byte(answered)}))
	if again.Timestamp != 0 || slices.ContainsFunc(again.Headers, func(h call.Header) bool { return h.Key == "callstitch.timestamp" }) {
		t.Error("with --now it has a time of before")
	}
}

// Those that are meant are counted, others passed over, and after enough of them it ends.
func TestTally(t *testing.T) {
	p := replayOf(topology.Record{})
	p.Max, p.LateBefore = 8, time.UnixMilli(rawTime+1)
	p.Selection.Reasons = []call.RejectReason{call.RejectMalformedJSON}
	for range 7 {
		_, _ = p.Choose(rejectRecord(call.Reject{Reason: call.RejectMalformedJSON, Value: []byte("{")}))
	}
	_, _ = p.Choose(rejectRecord(call.Reject{Reason: call.RejectUnknownProvider, Value: []byte("{")}))
	_, _ = p.Choose(topology.Record{Topic: "call.rejects", Value: []byte("stranger")})
	_, _ = p.Choose(rejectRecord(call.Reject{Reason: call.RejectMalformedJSON, Value: []byte(answered)}))
	if _, err := p.Choose(rejectRecord(call.Reject{Reason: call.RejectMalformedJSON})); !errors.Is(err, io.EOF) {
		t.Errorf("after enough: %v", err)
	}
	tally := &p.Tally
	if tally.Read.Load() != 10 || tally.Matched.Load() != 8 || tally.Chosen() != 1 || tally.LeftOver() != 7 || tally.Foreign != 1 || tally.Late != 1 {
		t.Errorf("%+v", tally)
	}
	var out bytes.Buffer
	tally.Write(terminal.Writer{Writer: &out})
	if lines := strings.Split(out.String(), "\n"); len(lines) != 2+examplesMax+2 || lines[1] != "MALFORMED_JSON  call.raw  1      7" ||
		!strings.HasPrefix(lines[2], "call.rejects 3 1042  MALFORMED_JSON  would be rejected again as MALFORMED_JSON: ") || lines[7] != "and 2 more: rejected again" {
		t.Error(out.String())
	}
	b, err := tally.JSON(true, 1, nil)
	if err != nil || !bytes.HasPrefix(b, []byte(`{"executed":true,"read":10,"matched":8,"sent":1,"maybe_late":1,"no_rejects":1,"fates":{`)) || !bytes.Contains(b, []byte(`"notes":[]`)) {
		t.Errorf("%s %v", b, err)
	}
}

// Topics are what headers say, and bound no row.
func TestTallyIsBounded(t *testing.T) {
	var tally Tally
	for i := range 5000 {
		tally.add(&Entry{Reject: call.Reject{Source: call.Source{Topic: fmt.Sprint(i) + strings.Repeat("x", 1000)}}}, RejectedAgain, "why")
	}
	for k := range tally.rows {
		if len(k.topic) > wordMax+len("…") {
			t.Fatalf("a row is kept by %d bytes", len(k.topic))
		}
	}
	if len(tally.rows) > kindsMax+1 || len(tally.left) > examplesMax || tally.fates[RejectedAgain] != 5000 {
		t.Errorf("%d rows, %d examples", len(tally.rows), len(tally.left))
	}
}

// The examples in docs/operations.md are what the command writes.
func TestDocumentedReplay(t *testing.T) {
	var tally Tally
	tally.Read.Store(5210)
	tally.Matched.Store(1204)
	entry := func(partition int32, offset int64) *Entry {
		return &Entry{
			Place:  Place{topology.TopicPartition{Topic: "call.rejects", Partition: partition}, offset},
			Reject: call.Reject{Reason: call.RejectUnknownProvider, Source: call.Source{Topic: "call.raw"}},
		}
	}
	for range 1202 {
		tally.add(entry(0, 0), WouldBeTaken, "")
	}
	const why = "would be rejected again as MALFORMED_JSON: invalid JSON at byte 270"
	tally.add(entry(3, 1042), RejectedAgain, why)
	tally.add(entry(5, 988), RejectedAgain, why)
	var text bytes.Buffer
	tally.Write(terminal.Writer{Writer: &text})
	object, err := tally.JSON(false, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := string(docpage.Read(t, "../../../../docs/operations.md"))
	for _, example := range []string{text.String(), string(object) + "\n"} {
		if !strings.Contains(page, example) {
			t.Errorf("docs/operations.md does not have\n%s", example)
		}
	}
}
