package compare

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// given are the sessions of a test: records in any order, the nil ones deleted.
type given struct {
	records []record
	reads   int
}

type record struct {
	id   call.LegID
	text string // empty: the session was deleted
}

func (g *given) String() string { return "given" }

func (g *given) Read(_ context.Context, wanted func(call.LegID) bool, yield func(call.LegID, []byte) error) error {
	g.reads++
	for _, r := range g.records {
		if !wanted(r.id) {
			continue
		}
		text := []byte(r.text)
		if r.text == "" {
			text = nil
		}
		if err := yield(r.id, text); err != nil {
			return err
		}
	}
	return nil
}

func id(n uint64) (id call.LegID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

type object map[string]any

// session is a record: some fields of all that there are, which is enough for a comparison.
func session(n uint64, version int, state string, more object) record {
	fields := object{
		"session_id": id(n).String(), "record_version": version, "record_state": state, "emitted_at": 1000 + version,
		"revision": version, "disposition": "ANSWERED", "started_at": 100, "quality_flags": []string{},
		"from_e164": "+15550100101",
		"legs":      []object{{"leg_id": id(n).String(), "role": "ORIGIN", "from_e164": "+15550100101"}},
	}
	maps.Copy(fields, more)
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return record{id(n), string(b)}
}

func compareAll(t *testing.T, a, b []record, o Options) *Report {
	t.Helper()
	r, err := Compare(t.Context(), &given{records: a}, &given{records: b}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatCounts(t *testing.T) {
	same := session(1, 3, "FINAL", nil)
	tests := []struct {
		name    string
		a, b    []record
		options Options
		want    Report
	}{
		{
			"the record with the largest version counts, whenever it comes",
			[]record{same, session(1, 2, "FINAL", object{"disposition": "BUSY"})},
			[]record{session(1, 1, "PARTIAL", object{"disposition": "IN_PROGRESS"}), same},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"how a record came to be does not matter, nor the order of fields",
			[]record{same},
			[]record{session(1, 9, "FINAL", object{
				"generation": 4, "amended": true, "emitted_at": 5, "change_reason": "LATE_EVENT", "first_src_topic": "other",
				"quality_flags": []string{"LATE_EVENTS", "OUT_OF_ORDER"}, "duplicate_count": 7, "merged_session_ids": []string{"x"},
			})},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"nor that of the fields in lists",
			[]record{same},
			[]record{{same.id, strings.Replace(same.text, `"leg_id":"`+same.id.String()+`","role":"ORIGIN"`, `"role": "ORIGIN", "leg_id":"`+same.id.String()+`"`, 1)}},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"a field that an older version does not have is as one that says nothing",
			[]record{same},
			[]record{session(1, 3, "FINAL", object{"new": nil, "newer": false, "newest": []string{}, "last": object{}})},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"nor does one in a leg",
			[]record{same},
			[]record{session(1, 3, "FINAL", object{"legs": []object{{
				"leg_id": id(1).String(), "role": "ORIGIN", "from_e164": "+15550100101", "new": nil, "newer": false, "newest": []string{}, "last": object{"of": nil},
			}}})},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"a leg that says nothing is one",
			[]record{session(1, 3, "FINAL", object{"legs": []object{{"role": "ORIGIN"}, {}}})},
			[]record{session(1, 3, "FINAL", object{"legs": []object{{}, {"role": "ORIGIN"}}}), session(2, 3, "PARTIAL", nil)},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1, Open: 1}, Differing: 1},
		},
		{
			"nor does it matter how a text is escaped",
			[]record{session(1, 3, "FINAL", object{"provider_cause": "a"})},
			[]record{{same.id, strings.Replace(same.text, `"revision"`, `"provider_cause":"\u0061","revision"`, 1)}},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"null is not 0",
			[]record{session(1, 3, "FINAL", object{"talk_ms": nil})},
			[]record{session(1, 3, "FINAL", object{"talk_ms": 0})},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Differing: 1},
		},
		{
			"what is ignored is not compared",
			[]record{same},
			[]record{session(1, 3, "FINAL", object{"disposition": "BUSY"})},
			Options{Ignore: []string{"disposition"}},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"in legs too",
			[]record{same},
			[]record{session(1, 3, "FINAL", object{"legs": []object{{"leg_id": id(1).String(), "role": "CONSULT", "from_e164": "+15550100101"}}})},
			Options{Ignore: []string{"legs.role"}},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Equal: 1},
		},
		{
			"a superseded session is none; an open one is none yet",
			[]record{same, session(2, 1, "FINAL", nil), session(2, 2, "SUPERSEDED", nil), session(3, 1, "PARTIAL", nil)},
			[]record{same, session(3, 4, "SUPERSEDED", nil), session(4, 4, "PARTIAL", nil)},
			Options{},
			Report{A: Side{Final: 1, Superseded: 1, Open: 1}, B: Side{Final: 1, Superseded: 1, Open: 1}, Equal: 1},
		},
		{
			"final on one side only, by how it stands on the other",
			[]record{same, session(2, 1, "FINAL", nil), session(3, 1, "FINAL", nil), session(4, 1, "FINAL", nil)},
			[]record{same, session(2, 1, "SUPERSEDED", nil), session(3, 1, "PARTIAL", nil), session(5, 1, "FINAL", nil)},
			Options{},
			Report{
				A: Side{Final: 4}, B: Side{Final: 2, Superseded: 1, Open: 1}, Equal: 1,
				OnlyA: Lone{Sessions: 3, Absent: 1, Open: 1, Superseded: 1}, OnlyB: Lone{Sessions: 1, Absent: 1},
			},
		},
		{
			"a session that was deleted is absent",
			[]record{same, session(2, 1, "FINAL", nil)},
			[]record{same, session(2, 1, "FINAL", nil), {id(2), ""}},
			Options{},
			Report{A: Side{Final: 2}, B: Side{Final: 1}, Equal: 1, OnlyA: Lone{Sessions: 1, Absent: 1}},
		},
		{
			"a session is within the time if either side has it so",
			[]record{session(1, 1, "FINAL", object{"started_at": 50}), session(2, 1, "FINAL", object{"started_at": 99}), session(3, 1, "FINAL", object{"started_at": 200})},
			[]record{session(1, 1, "FINAL", object{"started_at": 50}), session(2, 1, "FINAL", object{"started_at": 100}), session(3, 1, "FINAL", object{"started_at": 200})},
			Options{From: 100, Until: 200},
			Report{A: Side{Final: 3}, B: Side{Final: 3}, Differing: 1, Outside: 2},
		},
		{
			"a session without a start goes by its first event, and one without any instant is never left out",
			[]record{session(1, 1, "FINAL", object{"started_at": nil, "first_event_at": 50}), session(2, 1, "FINAL", object{"started_at": nil})},
			[]record{session(1, 1, "FINAL", object{"started_at": nil, "first_event_at": 50}), session(2, 1, "FINAL", object{"started_at": nil})},
			Options{From: 100},
			Report{A: Side{Final: 2}, B: Side{Final: 2}, Equal: 1, Outside: 1},
		},
		{
			"what was just published may differ",
			[]record{same, session(2, 9, "FINAL", nil), session(3, 9, "FINAL", object{"disposition": "BUSY"})},
			[]record{same, session(3, 1, "FINAL", nil)},
			Options{Fresh: 1009},
			Report{A: Side{Final: 3}, B: Side{Final: 2}, Equal: 1, Pending: 2},
		},
		{
			"the two exceptions to the promise",
			[]record{same, session(2, 1, "FINAL", object{"quality_flags": []string{"ID_CONFLICT"}}), session(3, 1, "FINAL", nil)},
			[]record{same, session(2, 1, "FINAL", nil), session(3, 1, "FINAL", object{"disposition": "BUSY", "quality_flags": []string{"LINK_OVERFLOW"}})},
			Options{},
			Report{A: Side{Final: 3}, B: Side{Final: 3}, Equal: 1, Excepted: 2},
		},
		{
			"another flag is compared",
			[]record{same},
			[]record{session(1, 3, "FINAL", object{"quality_flags": []string{"CLOCK_SKEW"}})},
			Options{},
			Report{A: Side{Final: 1}, B: Side{Final: 1}, Differing: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, mirrored := range []bool{false, true} {
				a, b, want := tt.a, tt.b, tt.want
				if mirrored {
					a, b = b, a
					want.A, want.B, want.OnlyA, want.OnlyB = want.B, want.A, want.OnlyB, want.OnlyA
				}
				got := *compareAll(t, a, b, tt.options)
				got.A.Name, got.B.Name, got.Examples, got.Fields, got.Examined = "", "", nil, nil, 0
				if d := cmp.Diff(want, got, cmp.AllowUnexported(Report{})); d != "" {
					t.Errorf("mirrored %v: -want +got\n%s", mirrored, d)
				}
			}
		})
	}
}

func TestFieldsThatDiffer(t *testing.T) {
	leg := func(role, from string) []object {
		return []object{{"leg_id": "00", "role": "ORIGIN"}, {"leg_id": "01", "role": role, "from_e164": from}, {"leg_id": "02", "role": role}}
	}
	a := []record{session(1, 1, "FINAL", object{
		"legs": leg("DESTINATION", "+15550100177"), "talk_ms": nil, "started_at": 1708425609000, "provider_cause": "busy here 5550100177",
		"quality_flags": []string{"CLOCK_SKEW"}, "attributes": object{"tag": "5550100177"}, "transfers": []object{}, "end_lost": false, "recordings": nil,
	})}
	b := []record{session(1, 2, "FINAL", object{
		"legs": leg("CONSULT", "+15550100188"), "talk_ms": 0, "started_at": 1708425609001, "provider_cause": "declined",
		"quality_flags": []string{"CLOCK_SKEW", "OUT_OF_ORDER", "TIMES_INFERRED"}, "attributes": object{"tag": "x"},
		"transfers": []object{{"type": "BLIND"}}, "from_e164": "+15550100102",
	})}
	// A record that another one has replaced tells nothing, though it may come later.
	a = append(a, session(1, 0, "FINAL", object{"provider": "x", "talk_ms": 9}))
	var out strings.Builder
	report := compareAll(t, a, b, Options{})
	for i := range report.Examples {
		report.Examples[i].Explain = []string{"callstitch explain …"}
	}
	report.Print(&out)
	want := `A  given: 1 final sessions, 0 open, 0 superseded
B  given: 1 final sessions, 0 open, 0 superseded

         0  equal
         1  differ
         0  only in A
         0  only in B

fields that differ, and in how many sessions
         1  attributes.tag
         1  from_e164
         1  legs.from_e164
         1  legs.role
         1  provider_cause
         1  quality_flags
         1  started_at
         1  talk_ms
         1  transfers

examples
00000000000000010000000000000000
    from_e164  +•••••••••01 → +•••••••••02
    started_at  2024-02-20T10:40:09.000Z → 2024-02-20T10:40:09.001Z
    talk_ms  null → 0
    provider_cause  •••• •••• ••••••••77 → ••••••ed
    quality_flags  [CLOCK_SKEW] → [CLOCK_SKEW TIMES_INFERRED]
    legs[1].role  DESTINATION → CONSULT
    legs[1].from_e164  +•••••••••77 → +•••••••••88
    legs[2].role  DESTINATION → CONSULT
    transfers  null → 1 elements
    attributes.tag  ••••••••77 → •
    callstitch explain …
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for _, number := range []string{"0100177", "0100188", "0100101"} {
		if b, _ := json.Marshal(report); strings.Contains(string(b), number) {
			t.Errorf("the report has a number: %s", b)
		}
	}
}

// TestIgnoredFieldsAreNotTold: what is ignored in a leg is no difference where another is.
func TestIgnoredFieldsAreNotTold(t *testing.T) {
	leg := func(role string) object { return object{"legs": []object{{"role": role}}, "disposition": role} }
	r := compareAll(t, []record{session(1, 1, "FINAL", leg("ORIGIN"))}, []record{session(1, 1, "FINAL", leg("CONSULT"))}, Options{Ignore: []string{"legs.role"}})
	if len(r.Fields) != 1 || r.Fields[0].Field != "disposition" || len(r.Examples[0].Fields) != 1 {
		t.Errorf("differing are %+v", r.Fields)
	}
}

// TestAnyNumberOfParts compares random sessions in one part, and in many, with what a
// plain map says.
func TestAnyNumberOfParts(t *testing.T) {
	for n := range uint64(50) {
		rnd := rand.New(rand.NewPCG(n, 1))
		a, b := draw(rnd), draw(rnd)
		var reports []*Report
		for _, most := range []int{1 << 20, 1 + rnd.IntN(40)} {
			of, other := &given{records: a}, &given{records: b}
			c := &comparison{a: of, b: other, report: &Report{}, max: most}
			if err := c.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			reports = append(reports, c.report)
			if most < 40 && of.reads < 3 {
				t.Errorf("with %d sessions at a time the records were read %d times", most, of.reads)
			}
		}
		if d := cmp.Diff(reports[0], reports[1], cmp.AllowUnexported(FieldCount{}, Difference{})); d != "" {
			t.Fatalf("seed %d: -one part +many\n%s", n, d)
		}
		equal, differing := plainly(t, a, b)
		if r := reports[0]; r.Equal != equal || r.Differences() != differing {
			t.Errorf("seed %d: %d equal and %d differences, must be %d and %d", n, r.Equal, r.Differences(), equal, differing)
		}
	}
}

// TestPartsAreWide: ids are hashes, so the parts after the first are about as wide, and the
// records are not read more often than they must be.
func TestPartsAreWide(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var all []record
	for range 10_000 {
		all = append(all, session(rnd.Uint64(), 1, "FINAL", nil))
	}
	a, b := &given{records: all}, &given{records: all}
	c := &comparison{a: a, b: b, report: &Report{}, max: 1000}
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.reads < 10 || a.reads > 15 || c.report.Equal != len(all) {
		t.Errorf("%d sessions are equal after %d reads, must be %d after 10 to 15", c.report.Equal, a.reads, len(all))
	}
}

func draw(rnd *rand.Rand) (records []record) {
	for range 400 {
		n := rnd.Uint64N(200)
		if n%2 == 0 {
			n *= 0x0123456789ABCDEF // the others are close together
		}
		state := []string{"PARTIAL", "FINAL", "FINAL", "SUPERSEDED"}[rnd.IntN(4)]
		version := rnd.IntN(50)
		words := rand.New(rand.NewPCG(n, uint64(version)/25)) // one content for a version
		records = append(records, session(n, version, state, object{"disposition": []string{"BUSY", "ANSWERED"}[words.IntN(2)]}))
	}
	return records
}

// plainly counts equal sessions and differences with maps of everything.
func plainly(t *testing.T, a, b []record) (equal, differing int) {
	t.Helper()
	last := func(records []record) map[call.LegID]object {
		all := map[call.LegID]object{}
		for _, r := range records {
			var s object
			if err := json.Unmarshal([]byte(r.text), &s); err != nil {
				t.Fatal(err)
			}
			if old, ok := all[r.id]; !ok || old["record_version"].(float64) <= s["record_version"].(float64) {
				all[r.id] = s
			}
		}
		maps.DeleteFunc(all, func(_ call.LegID, s object) bool { return s["record_state"] != "FINAL" })
		for _, s := range all {
			delete(s, "record_version")
			delete(s, "revision")
			delete(s, "emitted_at")
		}
		return all
	}
	inA, inB := last(a), last(b)
	for id, s := range inA {
		if reflect.DeepEqual(s, inB[id]) {
			equal++
		} else {
			differing++
		}
	}
	for id := range inB {
		if inA[id] == nil {
			differing++
		}
	}
	return equal, differing
}

func TestExamplesAreBounded(t *testing.T) {
	var a, b []record
	for n := range uint64(fieldsMax + 7) {
		a = append(a, session(n<<40, 1, "FINAL", nil))
		b = append(b, session(n<<40, 1, "FINAL", object{"disposition": "BUSY"}))
	}
	for n := range uint64(20) {
		a = append(a, session(n<<40|1, 1, "FINAL", nil))
		b = append(b, session(n<<40|2, 1, "FINAL", nil))
	}
	r := compareAll(t, a, b, Options{})
	if r.Differing != fieldsMax+7 || r.Examined != fieldsMax || r.Fields[0].Sessions != fieldsMax || r.OnlyA.Sessions != 20 {
		t.Errorf("%d differ, %d were looked at, %d have another disposition, %d are only in A", r.Differing, r.Examined, r.Fields[0].Sessions, r.OnlyA.Sessions)
	}
	found := map[Finding][]string{}
	for _, e := range r.Examples {
		found[e.Finding] = append(found[e.Finding], e.ID)
	}
	for finding, ids := range found {
		if len(ids) != examplesOfEach || !slices.IsSorted(ids) {
			t.Errorf("%s: the examples are %v", finding, ids)
		}
	}
}

// TestRecordsThatAreKeptAreBounded: of sessions that differ, whatever their size and the
// order in which they come, the first are looked at, and no more than there is room for.
func TestRecordsThatAreKeptAreBounded(t *testing.T) {
	const large = 100_000
	var a, b []record
	for n := range uint64(40) {
		a = append(a, session(n<<40, 1, "FINAL", object{"provider_cause": strings.Repeat("a", large)}))
		b = append(b, session(n<<40, 1, "FINAL", object{"provider_cause": "b"}))
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, sides := range [][2][]record{{a, b}, {b, a}} {
		for _, of := range sides {
			rnd.Shuffle(len(of), func(i, k int) { of[i], of[k] = of[k], of[i] })
		}
		c := &comparison{a: &given{records: sides[0]}, b: &given{records: sides[1]}, report: &Report{}, max: sessionsMax, textMax: 10*large + 1}
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := c.report
		if r.Differing != 40 || r.Examined != 9 || r.Fields[0].Sessions != 9 {
			t.Errorf("%d differ, %d were looked at, %d have another cause", r.Differing, r.Examined, r.Fields[0].Sessions)
		}
		if len(r.Examples) != examplesOfEach || r.Examples[0].ID != id(0).String() {
			t.Errorf("the examples are %v", r.Examples)
		}
		if text, err := json.Marshal(r); err != nil || len(text) > 20_000 {
			t.Errorf("the report has %d bytes: %v", len(text), err)
		}
	}
}

// TestAnExampleIsBounded has sessions as large as may be that differ in everything.
func TestAnExampleIsBounded(t *testing.T) {
	whole := func(of string) object {
		var legs []object
		for i := range 64 {
			legs = append(legs, object{"leg_id": id(uint64(i)).String(), "role": of, "from_e164": of, "provider_cause": of})
		}
		return object{"legs": legs, "merged_leg_ids": slices.Repeat([]string{of}, 1000)}
	}
	r := compareAll(t, []record{session(1, 1, "FINAL", whole("a"))}, []record{session(1, 1, "FINAL", whole("b"))}, Options{})
	if e := r.Examples[0]; len(e.Fields) != listedMax || e.More != 3*64+1-listedMax {
		t.Errorf("%d are listed, and %d are not", len(e.Fields), e.More)
	}
	if i := slices.IndexFunc(r.Fields, func(f FieldCount) bool { return f.Field == "merged_leg_ids" }); i < 0 {
		t.Error("a field that is not listed is not counted")
	}
	long := newDifferences(&Options{ShowNumbers: true}).shown("x", slices.Repeat([]any{strings.Repeat("é", textShown)}, elementsShown+6)).([]any)
	if len(long) != elementsShown+1 || long[elementsShown] != "and 6 more" || len(long[0].(string)) != textShown+len("…") {
		t.Errorf("of a list %d elements are shown, the first of %d bytes, the last is %q", len(long), len(long[0].(string)), long[len(long)-1])
	}
}

func TestNothingToCompareIsAnError(t *testing.T) {
	open := []record{session(1, 1, "PARTIAL", nil)}
	for _, sides := range [][2][]record{{nil, nil}, {open, open}} {
		if _, err := Compare(t.Context(), &given{records: sides[0]}, &given{records: sides[1]}, Options{}); !errors.Is(err, ErrNothing) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestFileSaysWhereItIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.ndjson")
	for _, tt := range []struct{ text, want string }{
		{session(1, 1, "FINAL", nil).text + "\n\n{\"from\":\"+15550100177\"}\n", "line 3: it is no session"},
		{"+15550100177", "line 1: it is no session"},
		{`{"session_id":"+15550100177","record_version":1,"record_state":"FINAL"}`, "line 1: it is no session"},
		{`{"session_id":"` + id(1).String() + `","record_version":1}`, "line 1: it is no session"},
		{session(1, 1, "FINAL", nil).text[:40], "line 1: it is no session"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path, new(atomic.Int64))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compare(t.Context(), f, f, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "0100177") {
			t.Errorf("%s: the error is %v", tt.text, err)
		}
	}
	if _, err := OpenFile(os.DevNull, new(atomic.Int64)); err == nil || !strings.Contains(err.Error(), "read more than once") {
		t.Errorf("the error of a device is %v", err)
	}
}

// BenchmarkTable tells how much a session takes.
func BenchmarkTable(b *testing.B) {
	const sessions = 3_500_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		t := newTable(everything, sessionsMax)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range sessions {
			t.put(id(rnd.Uint64()), row{version: 1, digest: rnd.Uint64()})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/session")
		runtime.KeepAlive(t)
	}
}

func BenchmarkRead(b *testing.B) {
	r := newReader(&Options{})
	text := []byte(session(1, 1, "FINAL", nil).text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.read(text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNumbersShownInTwoWays: whether a token is a number's cannot be told, so such fields are
// neither counted nor shown, and what differs besides is.
func TestNumbersShownInTwoWays(t *testing.T) {
	const token = "hmac:7f3a:000102030405060708090a0b0c0d0e0f"
	legs := func(from string) object {
		return object{"from_e164": from, "legs": []object{{"from_e164": from}}, "attributes": object{"to_alias": from, "tag": "t"}}
	}
	whole, hidden := legs("+15550100101"), legs(token)
	busy := legs(token)
	busy["disposition"] = "BUSY"
	a := []record{session(1, 1, "FINAL", whole), session(2, 1, "FINAL", whole), session(3, 1, "FINAL", object{"from_e164": "anonymous"})}
	b := []record{session(1, 1, "FINAL", hidden), session(2, 1, "FINAL", busy), session(3, 1, "FINAL", object{"from_e164": "anonymous"})}
	r := compareAll(t, a, b, Options{})
	var out strings.Builder
	r.Print(&out)
	if r.Equal != 1 || r.Differing != 2 || r.Otherwise != 1 || r.Numbers != [2]string{"full", "hmac:7f3a"} {
		t.Errorf("got %+v", r)
	}
	if len(r.Fields) != 1 || r.Fields[0].Field != "disposition" || len(r.Examples) != 1 {
		t.Errorf("differing are %+v", r.Fields)
	}
	const hint = "--ignore from_raw,from_e164,to_raw,to_e164,legs.from_e164,legs.to_e164,transfers.transferor,attributes"
	if said := out.String(); !strings.Contains(said, "numbers are shown as full in A and as hmac:7f3a in B") || !strings.Contains(said, hint+"\n") || strings.Contains(said, "from_e164  ") {
		t.Error(said)
	}
	_, ignored, _ := strings.Cut(hint, " ")
	if r := compareAll(t, a, b, Options{Ignore: strings.Split(ignored, ",")}); r.Equal != 2 || r.Differing != 1 {
		t.Errorf("without those fields, %+v", r)
	}
	// Two keys are two ways, and two numbers in one way a difference.
	r = compareAll(t, []record{session(1, 1, "FINAL", hidden)}, []record{session(1, 1, "FINAL", legs("hmac:7f3b"+token[9:]))}, Options{})
	if r.Otherwise != 1 || len(r.Fields) != 0 {
		t.Errorf("of two keys, %+v", r)
	}
	r = compareAll(t, []record{session(1, 1, "FINAL", hidden)}, []record{session(1, 1, "FINAL", legs(token[:len(token)-1]+"e"))}, Options{})
	if r.Otherwise != 0 || len(r.Fields) != 3 {
		t.Errorf("of two tokens, %+v", r)
	}
}
