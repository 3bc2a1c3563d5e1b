package compare

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"callstitch/processor/call"
)

// Sessions are the records of one side. They can be read more than once.
type Sessions interface {
	// Read hands on every record of a session whose id is wanted, as JSON; nil where the
	// session was deleted. It may hand on others, too.
	Read(ctx context.Context, wanted func(call.LegID) bool, yield func(id call.LegID, text []byte) error) error
	// String is what they are, for people.
	String() string
}

// ErrNothing is that neither side has a session that could be compared: that they agree
// would say nothing.
var ErrNothing = errors.New("neither side has a session that is final and within the time asked about: there is nothing to compare")

// fieldsMax bounds the sessions whose differing fields are counted, and textsMax what is
// kept of their records on each side, in bytes: most take some kilobytes, and a few may
// take a thousand times that.
const (
	fieldsMax = 10_000
	textsMax  = 128 << 20
)

// comparison is one comparison under way.
type comparison struct {
	a, b    Sessions
	options Options
	report  *Report
	max     int // sessions of one side at a time
	textMax int // bytes of the records of one side

	differing []differing // with the smallest ids, at most fieldsMax
	onlyA     []lone
	onlyB     []lone
}

type differing struct {
	id   call.LegID
	a, b int64 // versions
}

// lone is a session that is final on one side only.
type lone struct {
	id    call.LegID
	other string // how it stands on the other side
}

// Compare compares the last records of the sessions of two sides. The report says what
// there is where the error is ErrNothing, too.
func Compare(ctx context.Context, a, b Sessions, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &comparison{a: a, b: b, options: o, max: sessionsMax, textMax: textsMax, report: &Report{
		A: Side{Name: a.String()}, B: Side{Name: b.String()}, Fields: []FieldCount{}, Examples: []Example{},
	}}
	return c.report, c.run(ctx)
}

func (c *comparison) run(ctx context.Context) error {
	for of, more := everything, true; more; {
		a, b := newTable(of, c.max), newTable(of, c.max)
		reading, ctx := errgroup.WithContext(ctx)
		reading.Go(func() error { return c.fill(ctx, a, c.a) })
		reading.Go(func() error { return c.fill(ctx, b, c.b) })
		if err := reading.Wait(); err != nil {
			return err
		}
		last := min(a.last, b.last)
		a.narrow(last)
		b.narrow(last)
		c.join(a.rows, b.rows)
		of, more = a.rest()
	}
	if r := c.report; r.compared() == 0 {
		return ErrNothing
	}
	return c.explain(ctx)
}

// fill reads the sessions of one side into its table.
func (c *comparison) fill(ctx context.Context, t *table, from Sessions) error {
	r := newReader(&c.options)
	return from.Read(ctx, t.has, func(id call.LegID, text []byte) error {
		if text == nil {
			t.remove(id)
			return nil
		}
		id, s, err := r.read(text)
		if err == nil {
			t.put(id, s)
		}
		return err
	})
}

// join compares what both sides have of a part of the ids.
func (c *comparison) join(a, b map[call.LegID]row) {
	for id, of := range a {
		if other, ok := b[id]; ok {
			c.both(id, &of, &other)
		} else {
			c.both(id, &of, nil)
		}
	}
	for id, of := range b {
		if _, ok := a[id]; !ok {
			c.both(id, nil, &of)
		}
	}
	slices.SortFunc(c.differing, func(x, y differing) int { return bytes.Compare(x.id[:], y.id[:]) })
	c.differing = c.differing[:min(len(c.differing), fieldsMax)]
	for _, only := range []*[]lone{&c.onlyA, &c.onlyB} {
		slices.SortFunc(*only, func(x, y lone) int { return bytes.Compare(x.id[:], y.id[:]) })
		*only = (*only)[:min(len(*only), examplesOfEach)]
	}
}

// both counts a session, which one of the sides may not have.
func (c *comparison) both(id call.LegID, a, b *row) {
	r := c.report
	r.A.count(a)
	r.B.count(b)
	finalA, finalB := a != nil && a.is(final), b != nil && b.is(final)
	var all facts
	for _, side := range []*row{a, b} {
		if side != nil {
			all |= side.facts
		}
	}
	switch {
	case !finalA && !finalB:
	case all&within == 0:
		r.Outside++
	case finalA && finalB && a.digest == b.digest:
		r.Equal++
	case all&fresh != 0:
		r.Pending++
	case all&excepted != 0:
		r.Excepted++
	case finalA && finalB:
		r.Differing++
		c.differing = append(c.differing, differing{id, a.version, b.version})
	case finalA:
		r.OnlyA.count(b)
		c.onlyA = append(c.onlyA, lone{id, b.state()})
	default:
		r.OnlyB.count(a)
		c.onlyB = append(c.onlyB, lone{id, a.state()})
	}
}

// explain reads the records of sessions that differ again, and says in which fields.
func (c *comparison) explain(ctx context.Context) error {
	for _, l := range c.onlyA {
		c.report.Examples = append(c.report.Examples, Example{ID: l.id.String(), Finding: OnlyA, Other: l.other})
	}
	for _, l := range c.onlyB {
		c.report.Examples = append(c.report.Examples, Example{ID: l.id.String(), Finding: OnlyB, Other: l.other})
	}
	if len(c.differing) == 0 {
		return nil
	}
	versions := func(of func(differing) int64) map[call.LegID]int64 {
		all := make(map[call.LegID]int64, len(c.differing))
		for _, d := range c.differing {
			all[d.id] = of(d)
		}
		return all
	}
	textsA, err := c.collect(ctx, c.a, versions(func(d differing) int64 { return d.a }))
	if err != nil {
		return err
	}
	textsB, err := c.collect(ctx, c.b, versions(func(d differing) int64 { return d.b }))
	if err != nil {
		return err
	}
	w := newDifferences(&c.options)
	for i := range min(len(textsA), len(textsB)) {
		a, b := textsA[i], textsB[i]
		if a == nil || b == nil {
			continue // compacted away meanwhile: the session has moved on
		}
		found, err := w.between(a, b)
		if err != nil {
			return fmt.Errorf("compare the records of session %s: %w", c.differing[i].id, err)
		}
		c.report.add(c.differing[i].id, found)
	}
	slices.SortFunc(c.report.Fields, func(x, y FieldCount) int {
		return cmp.Or(cmp.Compare(y.Sessions, x.Sessions), cmp.Compare(x.Field, y.Field))
	})
	return nil
}

// collect reads the records of one side that have these versions, in the order of the
// sessions that differ: of the first as many as may be kept.
func (c *comparison) collect(ctx context.Context, from Sessions, versions map[call.LegID]int64) (texts [][]byte, err error) {
	r, size := newReader(&c.options), 0
	texts = make([][]byte, len(c.differing))
	wanted := func(id call.LegID) bool { _, ok := versions[id]; return ok }
	err = from.Read(ctx, wanted, func(_ call.LegID, text []byte) error {
		if text == nil {
			return nil
		}
		id, s, err := r.read(text)
		if version, ok := versions[id]; !ok || err != nil || version != s.version {
			return err
		}
		i, _ := slices.BinarySearchFunc(c.differing, id, func(d differing, id call.LegID) int { return bytes.Compare(d.id[:], id[:]) })
		if i >= len(texts) {
			return nil
		}
		size += len(text) - len(texts[i])
		texts[i] = bytes.Clone(text)
		for size > c.textMax && len(texts) > 1 {
			last := len(texts) - 1
			size -= len(texts[last])
			texts = texts[:last]
		}
		return nil
	})
	return texts, err
}
