package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"callstitch/processor/call"
)

// Report is how two sides compare.
type Report struct {
	A Side `json:"a"`
	B Side `json:"b"`

	Equal     int `json:"equal"`
	Differing int `json:"differing"`
	// Excepted differ, and have a flag of those in which two right runs may.
	Excepted int `json:"excepted"`
	// Pending differ, and were published so lately that one side may not have come there.
	Pending int  `json:"pending"`
	Outside int  `json:"outside"` // of the time that was asked about
	OnlyA   Lone `json:"only_in_a"`
	OnlyB   Lone `json:"only_in_b"`

	// Otherwise are those of the differing of which nothing differs but how numbers are
	// shown: one side has them whole, say, and the other has tokens.
	Otherwise int `json:"numbers_shown_otherwise"`
	// Numbers are two such ways, of A and of B; empty where there is one.
	Numbers [2]string `json:"numbers,omitzero"`

	Fields   []FieldCount `json:"fields"`   // most sessions first
	Examined int          `json:"examined"` // differing sessions whose fields were counted
	Examples []Example    `json:"examples"`
}

// Side is what one side has.
type Side struct {
	Name       string `json:"name"`
	Final      int    `json:"final"`
	Open       int    `json:"open"`
	Superseded int    `json:"superseded"`
}

func (s *Side) count(r *row) {
	switch {
	case r == nil:
	case r.is(final):
		s.Final++
	case r.is(superseded):
		s.Superseded++
	default:
		s.Open++
	}
}

// Lone counts sessions that are final on one side, by how they stand on the other.
type Lone struct {
	Sessions   int `json:"sessions"`
	Absent     int `json:"absent"`
	Open       int `json:"open"`
	Superseded int `json:"superseded"`
}

func (l *Lone) count(other *row) {
	l.Sessions++
	switch {
	case other == nil:
		l.Absent++
	case other.is(superseded):
		l.Superseded++
	default:
		l.Open++
	}
}

// FieldCount is in how many sessions a field differs.
type FieldCount struct {
	Field    string `json:"field"`
	Sessions int    `json:"sessions"`
	shown    int    // examples that have it
}

// Finding is what is wrong with a session.
type Finding string

// The findings.
const (
	Differs Finding = "differs"
	OnlyA   Finding = "only_in_a"
	OnlyB   Finding = "only_in_b"
)

// Example is one session that is not the same on both sides.
type Example struct {
	ID      string       `json:"session_id"`
	Finding Finding      `json:"finding"`
	Other   string       `json:"other_side,omitempty"` // how it stands where it is not final
	Fields  []Difference `json:"fields,omitempty"`
	More    int          `json:"more_fields,omitempty"` // that differ, too, and are not listed
	Explain []string     `json:"explain"`               // commands that tell more
}

const (
	// examplesOfEach bounds the examples of each field, and of what is on one side only.
	examplesOfEach = 5
	// listedMax bounds the differences that an example lists: each of 64 legs may have some.
	listedMax = 64
)

// compared is how many sessions the comparison is about.
func (r *Report) compared() int {
	return r.Equal + r.Excepted + r.Pending + r.Differences()
}

// Differences is how many sessions are not the same on both sides, and must be.
func (r *Report) Differences() int { return r.Differing + r.OnlyA.Sessions + r.OnlyB.Sessions }

// add counts the fields of a session that differs, and keeps it as an example where those
// of one of its fields are few yet.
func (r *Report) add(id call.LegID, found []Difference) {
	r.Examined++
	found = slices.DeleteFunc(found, func(d Difference) bool {
		if d.forms != nil {
			r.Numbers = *d.forms
		}
		return d.forms != nil
	})
	if len(found) == 0 {
		r.Otherwise++
		return
	}
	example, seen := false, map[string]bool{}
	for _, d := range found {
		if seen[d.Field] {
			continue
		}
		seen[d.Field] = true
		i := slices.IndexFunc(r.Fields, func(f FieldCount) bool { return f.Field == d.Field })
		if i < 0 {
			i = len(r.Fields)
			r.Fields = append(r.Fields, FieldCount{Field: d.Field})
		}
		r.Fields[i].Sessions++
		example = example || r.Fields[i].shown < examplesOfEach
	}
	if !example {
		return
	}
	for i := range r.Fields {
		if seen[r.Fields[i].Field] {
			r.Fields[i].shown++
		}
	}
	listed := slices.Clone(found[:min(len(found), listedMax)])
	r.Examples = append(r.Examples, Example{ID: id.String(), Finding: Differs, Fields: listed, More: len(found) - len(listed)})
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	for _, side := range []struct {
		name string
		of   Side
	}{{"A", r.A}, {"B", r.B}} {
		fmt.Fprintf(w, "%s  %s: %d final sessions, %d open, %d superseded\n", side.name, side.of.Name, side.of.Final, side.of.Open, side.of.Superseded)
	}
	fmt.Fprintf(w, "\n%10d  equal\n%10d  differ\n", r.Equal, r.Differing)
	printLone(w, r.OnlyA, "A", "B")
	printLone(w, r.OnlyB, "B", "A")
	for _, line := range []struct {
		n    int
		what string
	}{
		{r.Excepted, "differ and are flagged " + strings.Join(exceptions, " or ") + ", in which two right runs may"},
		{r.Pending, "differ and were published just now (--fresh): one side may not have come there"},
		{r.Outside, "began at another time than was asked about"},
	} {
		if line.n > 0 {
			fmt.Fprintf(w, "%10d  %s\n", line.n, line.what)
		}
	}
	if r.Numbers != [2]string{} {
		fmt.Fprintf(w, "\nnumbers are shown as %s in A and as %s in B (emit.numbers), so whether they are the same cannot be told:\n%10d  of those that differ, differ in nothing else; to compare the rest: --ignore %s\n",
			r.Numbers[0], r.Numbers[1], r.Otherwise, strings.Join(numberFields(), ","))
	}
	r.printFields(w)
	r.printExamples(w)
}

func printLone(w io.Writer, l Lone, here, there string) {
	fmt.Fprintf(w, "%10d  only in %s", l.Sessions, here)
	if l.Sessions > 0 {
		fmt.Fprintf(w, " (in %s %d absent, %d open, %d superseded)", there, l.Absent, l.Open, l.Superseded)
	}
	fmt.Fprintln(w)
}

// numberFields are those that emit.numbers is about.
func numberFields() (paths []string) {
	for _, f := range fields() {
		if f.Number {
			paths = append(paths, f.Path)
		}
	}
	return append(paths, "attributes")
}

func (r *Report) printFields(w io.Writer) {
	if len(r.Fields) == 0 {
		return
	}
	fmt.Fprint(w, "\nfields that differ, and in how many sessions")
	if r.Examined < r.Differing {
		fmt.Fprintf(w, ", of %d looked at", r.Examined)
	}
	fmt.Fprintln(w)
	for _, f := range r.Fields {
		fmt.Fprintf(w, "%10d  %s\n", f.Sessions, f.Field)
	}
}

func (r *Report) printExamples(w io.Writer) {
	if len(r.Examples) > 0 {
		fmt.Fprintln(w, "\nexamples")
	}
	for _, e := range r.Examples {
		switch e.Finding {
		case OnlyA:
			fmt.Fprintf(w, "%s  only in A; %s in B\n", e.ID, e.Other)
		case OnlyB:
			fmt.Fprintf(w, "%s  only in B; %s in A\n", e.ID, e.Other)
		default:
			fmt.Fprintln(w, e.ID)
		}
		for _, d := range e.Fields {
			fmt.Fprintf(w, "    %s  %s → %s\n", d.Path, text(d.Field, d.A), text(d.Field, d.B))
		}
		if e.More > 0 {
			fmt.Fprintf(w, "    and %d more\n", e.More)
		}
		for _, command := range e.Explain {
			fmt.Fprintf(w, "    %s\n", command)
		}
	}
}
