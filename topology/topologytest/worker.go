package topologytest

import (
	"fmt"

	"callstitch/topology"
)

// worker is a member of the group: it polls, processes, and produces in one
// step, and ends its transaction in a later one, so that others run in between.
type worker struct {
	game     *game
	decodes  []*decodeRun
	stitches []*stitchRun

	tx       *transaction
	effects  topology.Effects
	lastTick int64
	heard    int64 // broker's timestamp of the last progress record sent; 0 if none
	busy     int64 // stalled until then
}

type decodeRun struct {
	from  *partition
	task  *topology.DecodeTask
	next  int64
	after int64 // next, once the open transaction commits
	busy  int64 // paused until then

	idle  bool // a fetch since the last tick reached the end
	heard int64
}

type stitchRun struct {
	from  *partition
	task  *topology.StitchTask
	next  int64
	after int64
	busy  int64 // not polled until then

	touched bool // in this transaction
	more    bool // timers are due still
}

// step is one turn: the beginning of a transaction, or its end.
func (w *worker) step() error {
	if w.tx != nil {
		return w.end()
	}
	w.tx = w.game.broker.begin()
	w.effects.Reset()
	if err := w.stitch(); err != nil {
		return err
	}
	w.decode()
	w.tick()
	for _, s := range w.stitches {
		if s.touched || s.more {
			var err error
			if s.more, err = s.task.Finish(&w.effects); err != nil {
				return err
			}
			s.touched = false
		}
	}
	return w.produce()
}

func (w *worker) stitch() error {
	for _, s := range w.stitches {
		if s.busy > w.game.broker.now && !w.game.calm {
			continue
		}
		s.busy = w.game.late(w.game.Faults.Lag)
		records, next := s.from.fetch(s.next, 1+w.game.rng.IntN(w.game.fetchMax()))
		for _, r := range records {
			if err := s.task.Process(r, &w.effects); err != nil {
				return err
			}
		}
		s.after, s.touched = next, len(records) > 0
	}
	return nil
}

func (w *worker) decode() {
	for _, d := range w.decodes {
		if d.busy > w.game.broker.now && !w.game.calm {
			continue
		}
		d.busy = w.game.late(w.game.Faults.Pause)
		records, next := d.from.fetch(d.next, 1+w.game.rng.IntN(w.game.fetchMax()))
		for _, r := range records {
			d.task.Process(r, &w.effects)
		}
		if len(records) > 0 {
			w.game.stats.Polls++
		}
		d.after = next
		d.idle, d.heard = d.next >= d.from.end() && (w.game.calm || !w.game.Busy), w.heard
	}
}

// tick tells every exchange partition how far this worker is, behind the events
// of the same transaction.
func (w *worker) tick() {
	now := w.game.broker.now
	if now-w.lastTick < tickEvery*w.game.Pace || len(w.decodes)+len(w.stitches) == 0 {
		return
	}
	w.lastTick = now
	var k topology.Tick
	for _, d := range w.decodes {
		heard := d.heard
		if w.game.Faults.StaleIdle {
			heard = w.heard
		}
		k.Progress = append(k.Progress, d.task.Progress(d.idle, heard))
		d.idle = d.idle && w.game.Faults.StaleIdle
	}
	for _, s := range w.stitches {
		k.Clocks = append(k.Clocks, s.task.Clock())
		k.Answers = append(k.Answers, s.task.Answers()...)
		s.touched = true
	}
	w.effects.Exchange = append(w.effects.Exchange, k.Envelopes(&w.game.cfg)...)
	w.heard = now
}

// tickEvery is the time between two ticks of a worker, in milliseconds at the
// usual pace.
const tickEvery = 200

// produce writes everything of the open transaction to the broker.
func (w *worker) produce() error {
	b := w.game.broker
	for i := 0; i < len(w.effects.Exchange); i++ {
		e := w.effects.Exchange[i]
		if short, err := w.shortWay(e); short || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		to := b.exchange[e.Partition]
		offset := b.append(to, topology.Record{Key: e.Key, Value: e.Value}, w.tx)
		if e.From >= 0 {
			w.taskOf(e.From).task.Sent(e, offset)
			b.flight[sentMessage{to, offset}] = e.Trig
			w.game.stats.Messages++
		}
	}
	for _, c := range w.effects.Changelog {
		b.append(b.changelog[c.Partition], topology.Record{Key: c.Key, Value: c.Value}, w.tx)
	}
	w.tx.outputs = append(w.tx.outputs, w.effects.Outputs...)
	for _, s := range w.stitches {
		w.tx.offsets[s.from] = position{offset: s.after}
	}
	for _, d := range w.decodes {
		w.tx.offsets[d.from] = position{d.after, d.task.Metadata()}
	}
	return nil
}

// shortWay, where the scenario takes it, hands a message to a task of the same
// worker without the exchange.
func (w *worker) shortWay(e topology.Envelope) (taken bool, err error) {
	if w.game.ShortWay == nil || e.From < 0 {
		return false, nil
	}
	s := w.taskOf(e.Partition)
	if s == nil {
		return false, nil
	}
	w.game.ShortWay(w.taskOf(e.From).task, s.task, e)
	s.more, err = s.task.Finish(&w.effects)
	return true, err
}

func (w *worker) taskOf(partition int32) *stitchRun {
	for _, s := range w.stitches {
		if s.from.number == partition {
			return s
		}
	}
	return nil
}

// end ends the open transaction in one of the ways that there are.
func (w *worker) end() error {
	f := &w.game.Faults
	switch {
	case w.tx.state == aborted: // it took too long, and the broker fenced it
		w.lose()
	case w.game.chance(f.CrashBefore):
		w.game.stats.Crashes++
		w.lose()
	case w.game.chance(f.Abort):
		w.game.stats.Aborts++
		return w.abort()
	case w.game.chance(f.CrashAfter), w.game.broker.hides(w.tx) && w.game.chance(f.CrashHidden):
		w.game.stats.Crashes++
		if err := w.game.commit(w.tx); err != nil {
			return err
		}
		w.lose()
	default:
		return w.commit()
	}
	return nil
}

func (w *worker) commit() error {
	if err := w.game.commit(w.tx); err != nil {
		return err
	}
	w.tx = nil
	for _, d := range w.decodes {
		d.task.Commit()
		d.next = d.after
	}
	for _, s := range w.stitches {
		s.next = s.after
		s.task.Commit(s.next)
	}
	return nil
}

func (w *worker) abort() error {
	w.game.broker.finish(w.tx, aborted)
	w.tx = nil
	for _, d := range w.decodes {
		d.task.Abort()
		d.after, d.idle = d.next, false
	}
	for _, s := range w.stitches {
		if err := s.task.Abort(); err != nil {
			return err
		}
		s.after = s.next
	}
	return nil
}

// lose is a crash: memory is gone, and a transaction that is open stays open.
func (w *worker) lose() {
	orphans := w.tx
	*w = worker{game: w.game}
	if orphans != nil && orphans.state == open {
		w.game.orphaned = append(w.game.orphaned, orphans)
	}
}

// take makes the worker the owner of a source partition.
func (w *worker) takeSource(p *partition) error {
	b := w.game.broker
	d := &decodeRun{from: p, task: topology.NewDecodeTask(&w.game.cfg, topology.Source{Topic: p.topic}, p.number)}
	if w.game.OnDecode != nil {
		w.game.OnDecode(d.task)
	}
	at := b.committed[p]
	if err := d.task.Restore(at.metadata); err != nil {
		return err
	}
	d.next, d.after = at.offset, at.offset
	w.decodes = append(w.decodes, d)
	return nil
}

// take makes the worker the owner of an exchange partition: its state comes
// from the changelog.
func (w *worker) take(p *partition) error {
	b := w.game.broker
	s := &stitchRun{from: p, task: topology.NewStitchTask(&w.game.cfg, p.number, w.game.counts())}
	if w.game.OnStitch != nil {
		w.game.OnStitch(s.task)
	}
	changes, _ := b.changelog[p.number].fetch(0, int(b.changelog[p.number].end()))
	for _, r := range changes {
		s.task.Load(r.Key, r.Value)
	}
	if err := s.task.Restored(w.game.ends()); err != nil {
		return err
	}
	s.next = b.committed[p].offset
	s.after = s.next
	if at := s.task.Position(); at > s.next {
		return fmt.Errorf("state of %s-%d is at %d, beyond the committed position %d", p.topic, p.number, at, s.next)
	}
	w.stitches = append(w.stitches, s)
	return nil
}
