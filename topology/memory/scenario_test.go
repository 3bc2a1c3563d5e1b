package memory_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
	"callstitch/topology/memory"
)

var update = flag.Bool("update", false, "rewrite the expected half of the scenario files; read the diff before you commit it")

// TestScenarios runs every story of testdata/scenarios. A file is raw events
// above a line of four dashes and the expected records below it:
//
//	# what the story is about, and its source
//	at 10:00:01.000 opentact {"uuid": …
//	    … more lines of the same event}
//	----
//	session …
//
// "at" gives the Kafka timestamp, on 2024-02-20 unless a date stands before it.
// "repeat N" sends the N-th record once more at the time that follows.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			story, want, _ := strings.Cut(string(text), "\n----\n")
			got := play(t, story)
			if *update {
				if err := os.WriteFile(file, []byte(story+"\n----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}

// play runs a story and tells the last record of every session, the rejects and
// the books.
func play(t *testing.T, story string) string {
	sessions := map[string]*call.Session{}
	var rejects []*call.Reject
	books := call.Audit{}
	r := memory.New(memory.Config{
		Config: topology.Config{
			ApplicationID: "scenario", Sources: []topology.Source{{Topic: "call.raw"}}, ExchangePartitions: 4,
			Stitch: stitch.Config{
				Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
				Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
			},
		},
		BatchRecords: 1,
	}, func(o topology.Output) {
		switch v := o.Value.(type) {
		case *call.Session:
			sessions[v.ID.String()] = v
		case *call.Reject:
			rejects = append(rejects, v)
		case *call.Audit:
			books = *v
		}
	})
	for _, rec := range records(t, story) {
		if err := r.Process(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, id := range slices.SortedFunc(keys(sessions), func(x, y string) int {
		return cmp.Or(cmp.Compare(sessions[x].Started.At, sessions[y].Started.At), cmp.Compare(x, y))
	}) {
		tellSession(&b, sessions[id])
	}
	for _, rej := range rejects {
		fmt.Fprintf(&b, "reject %s %s\n", rej.Reason, rej.Detail)
	}
	fmt.Fprintf(&b, "books read %d = decoded %d + ignored %d + rejected %d; events %d = accepted %d + duplicate %d + conflicting %d + late %d\n",
		books.Read, books.Decoded, books.Ignored, books.Rejected,
		books.Events, books.Accepted, books.Duplicate, books.Conflicting, books.Late)
	if !books.Balanced() {
		t.Error("the books do not balance")
	}
	return b.String()
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func records(t *testing.T, story string) (out []topology.Record) {
	offset := int64(0)
	add := func(at int64, provider, value string) {
		out = append(out, topology.Record{
			Topic: "call.raw", Offset: offset, Timestamp: at, Value: []byte(value),
			Headers: []call.Header{{Key: "provider", Value: []byte(provider)}},
		})
		offset++
	}
	lines := strings.Split(story, "\n")
	for i := 0; i < len(lines); i++ {
		word, rest, _ := strings.Cut(lines[i], " ")
		switch word {
		case "", "#":
		case "at":
			clock, rest, _ := strings.Cut(rest, " ")
			provider, value, _ := strings.Cut(rest, " ")
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") {
				i++
				value += "\n" + lines[i]
			}
			add(moment(t, clock), provider, value)
		case "repeat":
			number, clock, _ := strings.Cut(rest, " ")
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > len(out) {
				t.Fatalf("line %d: repeat which record? %q", i+1, lines[i])
			}
			add(moment(t, clock), string(out[n-1].Headers[0].Value), string(out[n-1].Value))
		default:
			t.Fatalf("line %d: neither a record nor a comment: %q", i+1, lines[i])
		}
	}
	return out
}

func moment(t *testing.T, clock string) int64 {
	if !strings.Contains(clock, "T") {
		clock = "2024-02-20T" + clock
	}
	at, err := time.Parse("2006-01-02T15:04:05.999", clock)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func tellSession(b *strings.Builder, s *call.Session) {
	fmt.Fprintf(b, "session %s %s %s %s", s.ID, s.Provider, s.State, s.Disposition)
	if s.SupersededBy != nil {
		fmt.Fprintf(b, " by %s\n", s.SupersededBy)
		return
	}
	fmt.Fprintf(b, " closed %s\n", s.CloseReason)
	fmt.Fprintf(b, "  %s from %s to %s, answered by %s\n", s.Direction, party(s.From), party(s.To), s.AnsweredBy)
	fmt.Fprintf(b, "  started %s, ringing %s, platform answered %s, answered %s, ended %s\n",
		instant(s.Started), instant(s.Ringing), instant(s.PlatformAnswered), instant(s.Answered), instant(s.Ended))
	fmt.Fprintf(b, "  ring %s, talk %s, total %s, provider says %s s\n",
		number(s.RingMS), number(s.TalkMS), number(s.TotalMS), number(s.ProviderDuration))
	fmt.Fprintf(b, "  hangup %s by %s, q850 %s, sip %s\n",
		cmp.Or(s.HangupCause.String(), "-"), cmp.Or(s.HangupParty.String(), "-"), code(s.Q850), code(s.SIPStatus))
	lost := ""
	for _, l := range []struct {
		is   bool
		word string
	}{{s.StartLost, " start lost"}, {s.InterimLost, " interim lost"}, {s.EndLost, " end lost"}, {s.Complete, " complete"}} {
		if l.is {
			lost += l.word
		}
	}
	fmt.Fprintf(b, "  %d events, %d duplicates;%s flags %s; joined by %v\n", s.EventCount, s.DuplicateCount, lost, s.Flags.Words(), s.CorrelationMethods)
	for _, l := range s.Legs {
		fmt.Fprintf(b, "  leg %s %s started %s, answered %s, ended %s: %s %s\n", l.Role, l.CallID,
			instant(l.Started), instant(l.Answered), instant(l.Ended), l.Disposition, cmp.Or(l.HangupCause.String(), "-"))
	}
	for _, tr := range s.Transfers {
		fmt.Fprintf(b, "  transfer %s %s at %s inferred=%t\n", tr.Type, tr.Result, instant(call.Instant{At: tr.At, Src: call.EventTime}), tr.Inferred)
	}
	for _, rec := range s.Recordings {
		fmt.Fprintf(b, "  recording %s %s\n", rec.ID, rec.Status)
	}
}

func party(p call.Party) string {
	switch {
	case p.Raw == "":
		return "-"
	case p.E164 != "":
		return fmt.Sprintf("%s(%s %s)", p.E164, p.Raw, p.Kind)
	default:
		return fmt.Sprintf("%s(%s)", p.Raw, p.Kind)
	}
}

func instant(i call.Instant) string {
	if !i.Known() || i.Src == call.EventTime && i.At == 0 {
		return "-"
	}
	return time.UnixMilli(i.At).UTC().Format("15:04:05.000") + " " + i.Src.String()
}

func number(n call.Int) string {
	if !n.Known {
		return "-"
	}
	return strconv.FormatInt(n.N, 10)
}

func code(c call.Code) string {
	if !c.Known() {
		return "-"
	}
	return fmt.Sprintf("%d %s", c.N, c.Src)
}

