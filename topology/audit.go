package topology

import (
	"callstitch/processor/call"
	"callstitch/processor/codec"
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

// progress makes an answer due where more was read. Records are counted, and not their
// offsets compared: those begin anew with a topic that is made anew.
func (a *account) progress(p Progress, task int32) {
	if p.Totals.Read <= a.answer.Totals.Read {
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

// Visit visits what is stored of the account.
func (a *account) Visit(c *codec.Codec) {
	c.Form(accountForm)
	a.counts.Visit(c)
	a.answer.Visit(c)
}

// restored ends the reading of an account: its latest answer is given again.
func (a *account) restored() {
	if a.answer.Offset > 0 {
		a.due = append(a.due, a.answer)
	}
}

// book gathers the answers of all stitch tasks for one source partition. It
// keeps two pages open: target stays until it is full, latest moves with the
// newest answer, so that both steady traffic and a single last record close.
// Answers are in the order of how much was read.
type book struct {
	// closed is what was read at the last closing, below zero. The first version, which
	// kept the offset there, takes it for none, and at worst closes a page twice.
	closed         int64
	target, latest page
}

// has reports whether a page was closed already with what an answer tells, or more.
func (b *book) has(a Answer) bool {
	if b.closed > 0 { // an offset, and no more can have been read than there are
		return a.Offset <= b.closed && a.Totals.Read <= b.closed
	}
	return a.Totals.Read <= -b.closed
}

type page struct {
	offset   int64
	arrival  call.Arrival
	totals   Totals
	counts   Counts // sum over those who answered
	answered []bool // by stitch task
}

func newPage(a Answer, tasks int32) page {
	return page{offset: a.Offset, arrival: a.Arrival, totals: a.Totals, answered: make([]bool, tasks)}
}

// read is how much was read when the page was opened; 0 where there is none.
func (p *page) read() int64 { return p.totals.Read }

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
	if b.has(a) {
		return nil
	}
	if b.target.read() == 0 {
		b.target = newPage(a, tasks)
	}
	switch {
	case a.Totals.Read == b.target.read():
		b.target.add(a)
		if b.target.full() {
			return b.close(b.target)
		}
	case a.Totals.Read > b.target.read():
		return b.newer(a, tasks)
	}
	return nil
}

// newer enters an answer beyond the target. A task answers in ascending order,
// so a target that it passed over will never be full: latest takes its place.
func (b *book) newer(a Answer, tasks int32) *page {
	if a.Totals.Read > b.latest.read() {
		b.latest = newPage(a, tasks)
	}
	if a.Totals.Read == b.latest.read() {
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
	b.closed = -p.read()
	b.target = page{}
	if b.latest.read() > p.read() {
		b.target = b.latest
	}
	b.latest = page{}
	return &p
}

const bookForm = 1

// Visit visits the book.
func (b *book) Visit(c *codec.Codec) {
	c.Form(bookForm)
	c.Int64(&b.closed)
	b.target.Visit(c)
	b.latest.Visit(c)
}

// Visit visits a page.
func (p *page) Visit(c *codec.Codec) {
	c.Int64(&p.offset)
	p.arrival.Visit(c)
	p.totals.Visit(c)
	p.counts.Visit(c)
	codec.List(c, &p.answered, func(ok *bool, c *codec.Codec) { c.Bool(ok) })
}

// of reports whether the pages are of a book that so many tasks answer for.
func (b *book) of(tasks int32) bool {
	for _, p := range []*page{&b.target, &b.latest} {
		if len(p.answered) != 0 && len(p.answered) != int(tasks) || len(p.answered) == 0 && p.offset != 0 {
			return false
		}
	}
	return true
}

func audit(p TopicPartition, of *page) *call.Audit {
	t, n := of.totals, of.counts
	return &call.Audit{
		Topic: p.Topic, Partition: p.Partition, NextOffset: of.offset,
		Read: t.Read, Decoded: t.Decoded, Ignored: t.Ignored, Rejected: t.Rejected, Events: t.Events,
		Accepted: n.Accepted, Duplicate: n.Duplicate, Conflicting: n.Conflicting, Late: n.Late,
		ClosedAt: max(of.arrival, 0), // nothing is known of when where no record told
	}
}
