package topology

import (
	"fmt"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
)

// account is what a stitch task knows of one source partition: the running
// counts of its events here, and the latest answer, which is given again after
// a take-over, since the tick that carried it may never have been committed.
type account struct {
	counts Counts
	answer Answer
	due    []Answer // not stored
	dirty  bool
}

// answersMax bounds the answers for one source partition in one tick. A task
// that catches up meets progress faster than it answers; of more than this, the
// newest stands for the rest, and the book turns to a later offset.
const answersMax = 4

func (a *account) count(o stitch.Outcome) {
	switch o {
	case stitch.Accepted:
		a.counts.Accepted++
	case stitch.Duplicate:
		a.counts.Duplicate++
	case stitch.Conflicting:
		a.counts.Conflicting++
	case stitch.Late:
		a.counts.Late++
	}
	a.dirty = true
}

// progress makes an answer due where the offset moved.
func (a *account) progress(p Progress, task int32) {
	if p.Offset <= a.answer.Offset || p.Totals.Read == 0 {
		return
	}
	a.answer = Answer{p.Source, task, p.Offset, p.Arrival, p.Totals, a.counts}
	a.dirty = true
	if len(a.due) == answersMax {
		a.due = a.due[:answersMax-1]
	}
	a.due = append(a.due, a.answer)
}

const accountForm = 1

func (a *account) appendBinary(b []byte) []byte {
	c := call.NewWriter(append(b, accountForm))
	a.visit(c)
	return c.Buf
}

func (a *account) visit(c *call.Codec) {
	visitCounts(c, &a.counts)
	visitAnswer(c, &a.answer)
}

func (a *account) parse(b []byte) error {
	if len(b) == 0 || b[0] != accountForm {
		return fmt.Errorf("account: %w", ErrNewerState)
	}
	c := call.NewReader(b[1:])
	a.visit(c)
	if err := whole(c); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if a.answer.Offset > 0 {
		a.due = append(a.due, a.answer)
	}
	return nil
}

// book gathers the answers of all stitch tasks for one source partition. It
// keeps two offsets open: target stays until it is full, latest moves with the
// newest answer, so that both steady traffic and a single last record close.
type book struct {
	closed         int64 // offset of the last closing
	target, latest page
}

type page struct {
	offset, arrival int64
	totals          Totals
	counts          Counts // sum over those who answered
	answered        []bool // by stitch task
}

func newPage(a Answer, tasks int32) page {
	return page{offset: a.Offset, arrival: a.Arrival, totals: a.Totals, answered: make([]bool, tasks)}
}

func (p *page) add(a Answer) {
	if !p.answered[a.Task] {
		p.answered[a.Task] = true
		p.counts.Add(a.Counts)
	}
}

func (p *page) full() bool {
	for _, ok := range p.answered {
		if !ok {
			return false
		}
	}
	return len(p.answered) > 0
}

// answer enters an answer; the result is the page that it closed, if any.
func (b *book) answer(a Answer, tasks int32) *page {
	if a.Offset <= b.closed {
		return nil
	}
	if b.target.offset == 0 {
		b.target = newPage(a, tasks)
	}
	switch {
	case a.Offset == b.target.offset:
		b.target.add(a)
		if b.target.full() {
			return b.close(b.target)
		}
	case a.Offset > b.target.offset:
		return b.newer(a, tasks)
	}
	return nil
}

// newer enters an answer beyond the target. A task answers in ascending order,
// so a target that it passed over will never be full: latest takes its place.
func (b *book) newer(a Answer, tasks int32) *page {
	if a.Offset > b.latest.offset {
		b.latest = newPage(a, tasks)
	}
	if a.Offset == b.latest.offset {
		b.latest.add(a)
	}
	if b.latest.full() {
		return b.close(b.latest)
	}
	if !b.target.answered[a.Task] {
		b.target, b.latest = b.latest, page{}
	}
	return nil
}

func (b *book) close(p page) *page {
	b.closed = p.offset
	b.target = page{}
	if b.latest.offset > p.offset {
		b.target = b.latest
	}
	b.latest = page{}
	return &p
}

const bookForm = 1

func (b *book) appendBinary(buf []byte) []byte {
	c := call.NewWriter(append(buf, bookForm))
	b.visit(c)
	return c.Buf
}

func (b *book) visit(c *call.Codec) {
	c.Int64(&b.closed)
	for _, p := range []*page{&b.target, &b.latest} {
		c.Int64(&p.offset)
		c.Int64(&p.arrival)
		visitTotals(c, &p.totals)
		visitCounts(c, &p.counts)
		call.List(c, &p.answered, (*call.Codec).Bool)
	}
}

func (b *book) parse(buf []byte) error {
	if len(buf) == 0 || buf[0] != bookForm {
		return fmt.Errorf("book: %w", ErrNewerState)
	}
	c := call.NewReader(buf[1:])
	b.visit(c)
	if err := whole(c); err != nil {
		return fmt.Errorf("book: %w", err)
	}
	return nil
}

func audit(p SourcePartition, of *page) *call.Audit {
	t, n := of.totals, of.counts
	return &call.Audit{
		Topic: p.Topic, Partition: p.Partition, NextOffset: of.offset,
		Read: t.Read, Decoded: t.Decoded, Ignored: t.Ignored, Rejected: t.Rejected, Events: t.Events,
		Accepted: n.Accepted, Duplicate: n.Duplicate, Conflicting: n.Conflicting, Late: n.Late,
		ClosedAt: max(of.arrival, 0), // nothing is known of when where no record told
	}
}
