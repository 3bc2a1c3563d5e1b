package topologytest

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
)

// worker is a member of the group: it polls, processes, and produces in one
// step, and ends its transaction in a later one, so that others run in between.
// The order of its work is topology.Worker's, as in production.
type worker struct {
	game     *game
	tasks    *topology.Worker
	decodes  []*input
	stitches []*input
	machines map[int32]*topology.StitchTask // by exchange partition

	tx       *transaction
	sent     []int64 // offsets of the envelopes of the open transaction
	lastTick int64
	heard    call.Arrival // broker's timestamp of the last progress record sent; call.Unheard if none
	busy     int64        // stalled until then
}

// newWorker is a worker without tasks.
func newWorker(g *game) worker {
	w := worker{game: g, heard: call.Unheard, tasks: topology.NewWorker(&g.cfg, g.Loop), machines: map[int32]*topology.StitchTask{}}
	if g.OnWorker != nil {
		g.OnWorker(w.tasks)
	}
	return w
}

// input is a partition that the worker reads.
type input struct {
	from *partition
	next int64 // to be fetched, once the open transaction commits
	busy int64 // paused, or not polled, until then

	idle  bool // of a source: a fetch since the last tick reached the end
	heard call.Arrival
	holds int64 // of a source: until when it is held, at the latest
	drop  bool  // of a source: it is to be dropped from the clock once the open transaction has committed
}

// step is one turn: the beginning of a transaction, or its end.
func (w *worker) step() error {
	if w.tx != nil {
		return w.end()
	}
	w.tx = w.game.broker.begin()
	for _, in := range w.stitches {
		if _, err := w.fetch(in, w.game.Faults.Lag); err != nil {
			return err
		}
	}
	for _, in := range w.decodes {
		if w.holds(in) {
			continue
		}
		if err := w.fetchRaw(in); err != nil {
			return err
		}
	}
	if w.game.ShortWay != nil { // a task that is handed something must be in the transaction
		for _, in := range w.stitches {
			if err := w.tasks.Pass(in.from.name(), in.next-1); err != nil {
				return err
			}
		}
	}
	var tick topology.Seen
	if w.tickDue() {
		w.lastTick = w.game.broker.now
		tick = w.seen
	}
	if err := w.tasks.Finish(tick); err != nil {
		return err
	}
	if tick != nil {
		w.heard = call.Arrival(w.game.broker.now)
	}
	return w.produce()
}

// fetch processes some of what a partition holds, unless it is busy; ok says that it
// was not. Whatever lies between the records, such as markers, is passed over.
func (w *worker) fetch(in *input, pause float64) (ok bool, err error) {
	if in.busy > w.game.broker.now && !w.game.calm {
		return false, nil
	}
	in.busy = w.game.late(pause)
	records, next := in.from.fetch(in.next, 1+w.game.rng.IntN(w.game.fetchMax()))
	for _, r := range records {
		if err := w.tasks.Process(r); err != nil {
			return true, err
		}
	}
	if next > in.next {
		in.next = next
		return true, w.tasks.Pass(in.from.name(), next-1)
	}
	return true, nil
}

// holds reports whether a source partition waits until what is read of it can be handed
// over. A worker that is stopped while it holds one, or whose tasks stand still, goes on
// after a while with the way that there is.
func (w *worker) holds(in *input) bool {
	if in.holds == 0 {
		in.holds = w.game.broker.now + holdMax*w.game.Pace
	}
	held := w.game.broker.now < in.holds && w.tasks.Closed(in.from.name()) && w.game.rng.Float64() < w.game.Hold
	w.tasks.Hold(in.from.name(), held)
	return held
}

// holdMax is for how long a worker holds a source partition, in milliseconds at the
// usual pace.
const holdMax = 5_000

func (w *worker) fetchRaw(in *input) error {
	before := in.next
	paused := in.busy
	ok, err := w.fetch(in, w.game.Faults.Pause)
	if !ok || err != nil {
		return err
	}
	in.drop = in.busy > paused && w.game.chance(w.game.Faults.Drop)
	if in.next > before {
		w.game.stats.Polls++
	}
	in.idle, in.heard = before >= in.from.end() && (w.game.calm || !w.game.Busy), w.heard
	return nil
}

// tickEvery is the time between two ticks of a worker, in milliseconds at the
// usual pace.
const tickEvery = 200

func (w *worker) tickDue() bool {
	return w.game.broker.now-w.lastTick >= tickEvery*w.game.Pace && !w.tasks.Empty()
}

// seen is what the worker knows of a source partition at a tick.
func (w *worker) seen(p topology.TopicPartition) (idle bool, heard call.Arrival) {
	i := slices.IndexFunc(w.decodes, func(in *input) bool { return in.from.name() == p })
	if i < 0 {
		return false, call.Unheard
	}
	in := w.decodes[i]
	idle, heard = in.idle, in.heard
	if w.game.Faults.StaleIdle {
		return idle, w.heard
	}
	in.idle = false
	if !idle { // of one that was dropped from the clock
		heard = w.heard
	}
	return idle, heard
}

// produce writes everything of the open transaction to the broker.
func (w *worker) produce() error {
	b, fx := w.game.broker, w.tasks.Effects()
	w.sent = w.sent[:0]
	for i := 0; i < len(fx.Exchange); i++ {
		e := fx.Exchange[i]
		if taken, err := w.shortWay(e); err != nil {
			return err
		} else if taken {
			fx.Exchange[i].From = -1 // it has no offset
			w.sent = append(w.sent, 0)
			continue
		}
		to := b.exchange[e.Partition]
		offset := b.append(to, topology.Record{Key: e.Key, Value: e.Value}, w.tx)
		w.sent = append(w.sent, offset)
		if e.From >= 0 {
			b.flight[sentMessage{to, offset}] = e.Trig
			w.game.stats.Messages++
		}
	}
	for _, c := range fx.Changelog {
		b.append(b.changelog[c.Partition], topology.Record{Key: c.Key, Value: c.Value}, w.tx)
	}
	w.tx.outputs = append(w.tx.outputs, fx.Outputs...)
	for _, o := range w.tasks.Offsets() {
		w.tx.offsets[b.partition(o.TopicPartition)] = position{o.Next, o.Metadata}
	}
	return nil
}

// shortWay, where the scenario takes it, hands a message to a task of the same
// worker without the exchange.
func (w *worker) shortWay(e topology.Envelope) (taken bool, err error) {
	to := w.machines[e.Partition]
	if w.game.ShortWay == nil || e.From < 0 || to == nil {
		return false, nil
	}
	w.game.ShortWay(w.machines[e.From], to, e)
	_, err = to.Finish(w.tasks.Effects())
	return true, err
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
	w.game.stats.Handed += int(w.tasks.Ways().Memory)
	w.tasks.Commit(func(i int) int64 { return w.sent[i] })
	for _, in := range w.decodes {
		if in.drop {
			in.drop = false
			return w.drops(in)
		}
	}
	return nil
}

// drops has an operator drop a source partition from the clock: beside its offset, while
// no instance runs. Its task is then taken up anew.
func (w *worker) drops(in *input) error {
	at := w.game.broker.committed[in.from]
	task := topology.NewDecodeTask(&w.game.cfg, topology.Source{Topic: in.from.topic}, in.from.number)
	if err := task.Restore(at.metadata); err != nil {
		return err
	}
	task.Drop(w.game.broker.now)
	w.game.broker.committed[in.from] = position{at.offset, task.Metadata()}
	w.game.stats.Drops++
	busy := in.busy
	if w.game.rng.IntN(2) == 0 { // over a leap, too
		busy += w.game.rng.Int64N(2 * leap)
	}
	w.tasks.Remove(in.from.name())
	w.decodes = slices.DeleteFunc(w.decodes, func(o *input) bool { return o == in })
	if err := w.takeSource(in.from); err != nil {
		return err
	}
	w.decodes[len(w.decodes)-1].busy = busy
	return nil
}

func (w *worker) abort() error {
	w.game.broker.finish(w.tx, aborted)
	w.tx = nil
	if err := w.tasks.Abort(); err != nil {
		return err
	}
	for _, in := range slices.Concat(w.decodes, w.stitches) {
		in.next, _ = w.tasks.Position(in.from.name())
		in.idle = false
	}
	for _, in := range w.stitches {
		if err := w.compare(in.from); err != nil {
			return err
		}
	}
	return nil
}

// compare holds a task that went back against one that takes up the same state anew:
// what they do next is the same.
func (w *worker) compare(p *partition) error {
	aborted := w.machines[p.number]
	anew, err := w.takeUp(p)
	if err != nil {
		return err
	}
	var did, does topology.Effects
	if _, err := aborted.Finish(&did); err != nil {
		return err
	}
	if _, err := anew.Finish(&does); err != nil {
		return err
	}
	if a, b := aborted.Report().Nodes, anew.Report().Nodes; a != b {
		return fmt.Errorf("task %d counts %d nodes after an abort, and holds %d", p.number, a, b)
	}
	if d := cmp.Diff(written(does), written(did)); d != "" {
		return fmt.Errorf("task %d after an abort (-of its state +of itself):\n%s", p.number, d)
	}
	return aborted.Abort()
}

// written is what effects are, without the position: it says how far a clock is held,
// and a new owner does not know what was acknowledged.
func written(fx topology.Effects) (all []any) {
	for _, c := range fx.Changelog {
		if string(c.Key) != "P" {
			all = append(all, c)
		}
	}
	return append(all, fx.Exchange, fx.Outputs)
}

// lose is a crash: memory is gone, and a transaction that is open stays open.
func (w *worker) lose() {
	orphans := w.tx
	*w = newWorker(w.game)
	if orphans != nil && orphans.state == open {
		w.game.orphaned = append(w.game.orphaned, orphans)
	}
}

// takeSource makes the worker the owner of a source partition.
func (w *worker) takeSource(p *partition) error {
	task := topology.NewDecodeTask(&w.game.cfg, topology.Source{Topic: p.topic}, p.number)
	if w.game.OnDecode != nil {
		w.game.OnDecode(task)
	}
	at := w.game.broker.committed[p]
	if err := task.Restore(at.metadata); err != nil {
		return err
	}
	w.tasks.Add(task, at.offset)
	if w.game.HandOver {
		w.tasks.Route(task.Reads(), w.game.watermarks())
	}
	w.decodes = append(w.decodes, &input{from: p, next: at.offset})
	return nil
}

// take makes the worker the owner of an exchange partition: its state comes from the
// changelog.
func (w *worker) take(p *partition) error {
	task, err := w.takeUp(p)
	if err != nil {
		return err
	}
	next := w.game.broker.committed[p].offset
	if at := task.Position(); at > next {
		return fmt.Errorf("state of %s-%d is at %d, beyond the committed position %d", p.topic, p.number, at, next)
	}
	w.tasks.Add(task, next)
	for _, in := range w.decodes {
		in.holds = 0 // once more, for this one
	}
	w.machines[p.number] = task
	w.stitches = append(w.stitches, &input{from: p, next: next})
	return nil
}

// takeUp is a task with the state that is in the changelog.
func (w *worker) takeUp(p *partition) (*topology.StitchTask, error) {
	task := topology.NewStitchTask(&w.game.cfg, p.number, w.game.counts())
	if w.game.OnStitch != nil {
		w.game.OnStitch(task)
	}
	changelog := w.game.broker.changelog[p.number]
	changes, _ := changelog.fetch(0, int(changelog.end()))
	for _, r := range changes {
		task.Load(r.Key, r.Value)
	}
	return task, task.Restored(w.game.ends())
}

// drop gives up some of the worker's partitions, between two transactions.
func (w *worker) drop(some func() bool) {
	gone := func(in *input) bool {
		if !some() {
			return false
		}
		w.tasks.Remove(in.from.name())
		return true
	}
	w.decodes = slices.DeleteFunc(w.decodes, gone)
	w.stitches = slices.DeleteFunc(w.stitches, func(in *input) bool {
		if !gone(in) {
			return false
		}
		delete(w.machines, in.from.number)
		return true
	})
}
