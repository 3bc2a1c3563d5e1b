package topologytest

import "slices"

// balance is the group's coordinator: it gives partitions without an owner to
// somebody, and now and then takes one away.
func (g *game) balance() error {
	if g.chance(g.Faults.Rebalance) {
		if err := g.move(); err != nil {
			return err
		}
	}
	if g.unowned() && (g.stats.TakeOvers == 0 || g.calm || g.chance(0.3)) {
		return g.assign()
	}
	return nil
}

// move takes a worker's tasks: some of them, after it has finished what it was
// doing, or all, in the midst of it.
func (g *game) move() error {
	w := g.workers[g.rng.IntN(len(g.workers))]
	if w.tx != nil && w.tx.state == aborted || g.rng.IntN(2) == 0 {
		if w.tx != nil && w.tx.state == open {
			g.broker.finish(w.tx, aborted)
		}
		*w = newWorker(g)
		return nil
	}
	if w.tx != nil {
		if err := w.commit(); err != nil {
			return err
		}
	}
	w.drop(func() bool { return g.rng.IntN(2) == 0 })
	return nil
}

func (g *game) owned() map[*partition]bool {
	owned := map[*partition]bool{}
	for _, w := range g.workers {
		for _, in := range slices.Concat(w.decodes, w.stitches) {
			owned[in.from] = true
		}
	}
	return owned
}

func (g *game) unowned() bool {
	return len(g.owned()) < len(g.broker.raw)+len(g.broker.exchange)
}

// assign gives what has no owner to random workers, after it has fenced those
// who died.
func (g *game) assign() error {
	for _, tx := range g.orphaned {
		if tx.state == open {
			g.broker.finish(tx, aborted)
		}
	}
	g.orphaned = nil
	owned := g.owned()
	for _, p := range g.broker.raw {
		if w := g.anyone(); !owned[p] && w != nil {
			if err := w.takeSource(p); err != nil {
				return err
			}
		}
	}
	for _, p := range g.broker.exchange {
		if w := g.anyone(); !owned[p] && w != nil {
			g.stats.TakeOvers++
			if err := w.take(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyone is a worker that is between two transactions, nil where none is: the
// partition then waits.
func (g *game) anyone() *worker {
	between := slices.DeleteFunc(slices.Clone(g.workers), func(w *worker) bool { return w.tx != nil })
	if len(between) == 0 {
		return nil
	}
	return between[g.rng.IntN(len(between))]
}
