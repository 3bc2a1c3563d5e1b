package faults

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

var (
	calls = flag.Int("calls", 400, "calls in each traffic")
	kills = flag.Int("kills", 5, "how often an instance is killed, at least once")
	seed  = flag.Uint64("seed", 1, "seed of the traffic, and of who is killed when")
)

// fault is what befalls an application while its traffic comes in.
type fault struct {
	name         string
	tenants      int
	instances    int // that run when the traffic begins
	parts        int // that the traffic is sent in, see meanwhile
	happens      func(*application)
	applications int // one after the other, on the same raw records
}

func faults() []fault {
	return []fault{
		{name: "frozen", tenants: 3, instances: 2, parts: 3, happens: frozen, applications: 1},
		{name: "kills", tenants: 3, instances: 2, parts: *kills, happens: killed, applications: 1},
		{name: "scaled", tenants: 3, instances: 1, parts: 5, happens: scaled, applications: 1},
		{name: "none-and-again", tenants: 3, instances: 2, parts: 1, happens: nothing, applications: 2},
		{name: "one-tenant", tenants: 1, instances: 2, parts: 1, happens: nothing, applications: 1},
	}
}

// TestFaults: whatever befalls the instances, each call comes out once and right,
// the books balance, no transaction stays open, and the processor runs on.
//
// Instances are killed, never the broker: see TestBrokersRestart of topology/kafka.
func TestFaults(t *testing.T) {
	p := newProgram(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // most of the time they wait
			traffic := newTraffic(t, p, f)
			for i := range f.applications {
				a := newApplication(t, p, traffic, fmt.Sprintf("%s-%d", f.name, i+1), "emit: {settled: true, settled_after: 1h}")
				a.settles = true
				a.begin(f.instances)
				f.happens(a)
				a.end()
			}
		})
	}
}

// nothing is a fault that is none.
func nothing(a *application) { a.meanwhile(func() {}) }

// killed kills one of two instances, starts it again, and when it is ready kills
// the next.
func killed(a *application) {
	rng := rand.New(rand.NewPCG(*seed, 1))
	var took []time.Duration
	open := 0 // transactions that were left open
	for range *kills {
		a.meanwhile(func() {
			in := a.instances[rng.IntN(len(a.instances))]
			time.Sleep(time.Duration(rng.IntN(int(sending / 2))))
			in.awaitWork()
			begun := time.Now()
			in.kill()
			in.start()
			open += len(in.transactions()) // the new process is not that far yet
			in.awaitReady()
			took = append(took, time.Since(begun))
		})
	}
	// A kill is aimed at an open transaction, but may miss it by milliseconds.
	if open == 0 {
		a.t.Errorf("none of %d kills left a transaction open: nothing was tried", *kills)
	}
	slices.Sort(took)
	a.t.Logf("%d kills left %d transactions open; ready again after %v (p50), %v (p99), %v (max)",
		len(took), open, quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1))
}

// quantile is the smallest of the sorted values that a share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[rank-1].Round(time.Millisecond)
}

// frozen stops an instance in the middle of its work, until the other one has
// taken over all of it, and lets it go on as if nothing had been.
func frozen(a *application) {
	in := a.instances[0]
	a.meanwhile(func() {
		time.Sleep(sending / 2)
		in.signal(syscall.SIGSTOP)
	})
	begun := time.Now()
	a.meanwhile(func() {})
	a.await("the books to hold what came while an instance was frozen", a.booksAreClosed)
	a.t.Logf("frozen: the other instance had it all after %v", time.Since(begun).Round(time.Millisecond))
	a.meanwhile(func() { in.signal(syscall.SIGCONT) })
	in.awaitReady()
}

// scaled is one instance, then three, then one, which is not the first one.
func scaled(a *application) {
	a.meanwhile(func() {})
	a.meanwhile(func() { a.begin(3) })
	a.meanwhile(func() {})
	a.meanwhile(func() { a.stop(a.instances[:2]) })
	a.instances = a.instances[2:]
	begun := time.Now()
	a.meanwhile(func() {})
	a.await("the books to hold what came after two of three stopped", a.booksAreClosed)
	a.t.Logf("scaled: the last instance had it all after %v", time.Since(begun).Round(time.Millisecond))
}
