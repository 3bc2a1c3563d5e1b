package memory_test

import (
	"flag"
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

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected half of the scenario files; read the diff before you commit it")

// TestScenarios plays every story of testdata/scenarios. A file is the story
// above a line of four dashes, and below it what must come out: each accepted
// event, the last record of each session, the rejects and the book. A story has
// one directive a line; a line that begins with a space continues the last one.
//
//	# what the story is about, and its source
//	day 2024-02-20
//	at 10:00:01.000 opentact {"uuid": …
//	repeat 1 10:00:02.000
//
// "at" is one raw record: its Kafka timestamp ("-" for none), its provider
// header ("-" for none), other headers as name=value, and its value. In place
// of a value, <null>, <empty>, <deep N> and <large> stand for what cannot be
// written here, and in it \xff and \ufeff for those bytes. "repeat" sends the N-th record once more. "each N" before "at"
// makes N records, with their number in place of $n. "show" adds to the report:
// timeline, revisions, rows. "hide" takes from it: events, legs, details.
// "set" configures: link_by_tag, partial, generation (to 2).
//
// Every story must also come out the same from another number of partitions.
//
// What a file expects is what the program said when it was written and what was
// then held to be right: read the diff of an update as carefully.
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
			told, want, _ := strings.Cut(string(text), "\n----\n")
			s := parseStory(t, told)
			got := s.play(t, 4)
			if diff := difference(got, s.play(t, 1)); diff != "" {
				t.Errorf("one exchange partition tells another story than four (-four +one):\n%s", diff)
			}
			if *update {
				if err := os.WriteFile(file, []byte(told+"\n----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := difference(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// difference compares texts line by line; empty where they are equal.
func difference(a, b string) string {
	return cmp.Diff(strings.Split(a, "\n"), strings.Split(b, "\n"))
}

// TestScenariosBeginWithTheirStory holds every file to a comment that says what
// it is about and where it comes from.
func TestScenariosBeginWithTheirStory(t *testing.T) {
	files, _ := filepath.Glob("testdata/scenarios/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		comment := ""
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "# ") {
				break
			}
			comment += line
		}
		if !strings.Contains(comment, "Source: ") {
			t.Errorf("%s does not begin with a comment that names its source", file)
		}
	}
}

// story is the upper half of a scenario file.
type story struct {
	day        string
	records    []topology.Record
	show, hide []string
	set        []string
}

func (s *story) shows(part string) bool { return slices.Contains(s.show, part) }
func (s *story) hides(part string) bool { return slices.Contains(s.hide, part) }

func parseStory(t *testing.T, text string) *story {
	t.Helper()
	s := &story{day: "2024-02-20"}
	for _, directive := range directives(text) {
		word, rest, _ := strings.Cut(directive, " ")
		switch word {
		case "day":
			s.day = rest
		case "show":
			s.show = append(s.show, strings.Fields(rest)...)
		case "hide":
			s.hide = append(s.hide, strings.Fields(rest)...)
		case "set":
			s.set = append(s.set, strings.Fields(rest)...)
		case "at":
			s.add(t, rest)
		case "each":
			s.addEach(t, rest)
		case "repeat":
			s.repeat(t, rest)
		default:
			t.Fatalf("neither a directive nor a comment: %q", directive)
		}
	}
	return s
}

// directives joins continued lines and drops comments.
func directives(text string) (all []string) {
	for _, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " ") && len(all) > 0:
			all[len(all)-1] += "\n" + line
		default:
			all = append(all, line)
		}
	}
	return all
}

// add takes "TIME PROVIDER [name=value …] VALUE".
func (s *story) add(t *testing.T, rest string) {
	t.Helper()
	clock, rest, _ := strings.Cut(rest, " ")
	provider, text, _ := strings.Cut(rest, " ")
	rec := topology.Record{Topic: "call.raw", Partition: 1, Offset: int64(len(s.records)), Timestamp: s.moment(t, clock)}
	if provider != "-" {
		rec.Headers = append(rec.Headers, call.Header{Key: "provider", Value: []byte(provider)})
	}
	for {
		word, after, found := strings.Cut(text, " ")
		name, header, isHeader := strings.Cut(word, "=")
		if !found || !isHeader || strings.ContainsAny(name, `{["<`) {
			break
		}
		header = strings.ReplaceAll(header, `\x01`, "\x01")
		rec.Headers = append(rec.Headers, call.Header{Key: name, Value: []byte(header)})
		text = after
	}
	rec.Value = rawValue(t, text)
	s.records = append(s.records, rec)
}

// addEach takes "N at TIME …".
func (s *story) addEach(t *testing.T, rest string) {
	t.Helper()
	count, rest, _ := strings.Cut(rest, " at ")
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatalf("each of how many? %q", count)
	}
	for i := range n {
		s.add(t, strings.ReplaceAll(rest, "$n", strconv.Itoa(i+1)))
	}
}

// repeat takes "N TIME".
func (s *story) repeat(t *testing.T, rest string) {
	t.Helper()
	number, clock, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(s.records) {
		t.Fatalf("repeat which record? %q", rest)
	}
	rec := s.records[n-1]
	rec.Offset, rec.Timestamp = int64(len(s.records)), s.moment(t, clock)
	s.records = append(s.records, rec)
}

func (s *story) moment(t *testing.T, clock string) int64 {
	t.Helper()
	if clock == "-" {
		return 0
	}
	if !strings.Contains(clock, "T") {
		clock = s.day + "T" + clock
	}
	at, err := time.Parse("2006-01-02T15:04:05.999", clock)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// unwritable are the bytes in values that would not be seen in a file.
var unwritable = strings.NewReplacer(`\xff`, "\xff", `\ufeff`, "\ufeff")

// rawValue is the bytes that a text stands for.
func rawValue(t *testing.T, text string) []byte {
	t.Helper()
	kind, size, _ := strings.Cut(strings.Trim(text, "<>"), " ")
	switch {
	case text == "<null>":
		return nil
	case text == "<empty>":
		return []byte{}
	case text == "<large>":
		return []byte(`{"callId":"` + strings.Repeat("c", 1<<20) + `"}`)
	case strings.HasPrefix(text, "<") && kind == "deep":
		n, err := strconv.Atoi(size)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
	default:
		return []byte(unwritable.Replace(text))
	}
}

// play runs the story over so many exchange partitions and reports what came out.
func (s *story) play(t *testing.T, partitions int32) string {
	t.Helper()
	out := newReport(s)
	s.run(t, partitions, out.take)
	if !out.book.Balanced() {
		t.Error("the book does not balance")
	}
	return out.String()
}

func (s *story) generation() int32 {
	if slices.Contains(s.set, "generation") {
		return 2
	}
	return 0
}

// run plays the story and hands on what comes out.
func (s *story) run(t *testing.T, partitions int32, take func(topology.Output)) {
	t.Helper()
	r := memory.New(memory.Config{
		Config: topology.Config{
			ApplicationID:      "scenario",
			Sources:            []topology.Source{{Topic: "call.raw", LinkByTag: slices.Contains(s.set, "link_by_tag")}},
			ExchangePartitions: partitions,
			Stitch: stitch.Config{
				Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
				Retention: 24 * time.Hour, StubRetention: 72 * time.Hour,
				Legs: true, Partial: slices.Contains(s.set, "partial"), Generation: s.generation(),
			},
		},
		BatchRecords: 1,
	}, take)
	for _, rec := range s.records {
		if err := r.Process(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
