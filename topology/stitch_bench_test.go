package topology_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// stitchers are the stitch tasks of one worker, with the exchange as queues: what
// production does to an event once it is decoded, as long as it has a backlog.
type stitchers struct {
	cfg    topology.Config
	tasks  []*topology.StitchTask
	queues [][]topology.Record // by exchange partition
	ends   []int64             // by exchange partition
	fx     topology.Effects
}

// backlogged is how a worker with a backlog goes: so many events to a transaction, and
// a tick with every fifth.
const (
	backlogEvents = 4_000
	backlogTicks  = 5
)

func newStitchers(cfg topology.Config, sources int32) *stitchers {
	s := &stitchers{cfg: cfg, queues: make([][]topology.Record, cfg.ExchangePartitions), ends: make([]int64, cfg.ExchangePartitions)}
	for p := range cfg.ExchangePartitions {
		s.tasks = append(s.tasks, topology.NewStitchTask(&s.cfg, p, map[string]int32{"call.raw": sources}))
	}
	return s
}

// transact hands events over, with what waits in the exchange, and commits.
func (s *stitchers) transact(b *testing.B, events []topology.Decoded, progress []topology.Progress) {
	fx := &s.fx
	for p, task := range s.tasks {
		for _, r := range s.queues[p] {
			if err := task.Process(r, fx); err != nil {
				b.Fatal(err)
			}
		}
		s.queues[p] = s.queues[p][:0]
	}
	for _, d := range events {
		node := call.LegNode(d.Event.Leg)
		if err := s.tasks[topology.Partition(node[:], s.cfg.ExchangePartitions)].TakeEvent(d); err != nil {
			b.Fatal(err)
		}
	}
	for _, task := range s.tasks {
		if progress != nil {
			task.TakeProgress(progress)
		}
		if _, err := task.Finish(fx); err != nil {
			b.Fatal(err)
		}
	}
	if progress != nil {
		var tick topology.Tick
		for _, task := range s.tasks {
			task.Tick(&tick, false, call.Unheard)
		}
		for p := range s.tasks {
			fx.Exchange = append(fx.Exchange, tick.EnvelopeFor(&s.cfg, int32(p)))
		}
	}
	for _, e := range fx.Exchange {
		at := s.ends[e.Partition]
		s.ends[e.Partition]++
		s.queues[e.Partition] = append(s.queues[e.Partition], topology.Record{
			Topic: s.cfg.ExchangeTopic(), Partition: e.Partition, Offset: at, Key: e.Key, Value: e.Value,
		})
		if e.From >= 0 {
			s.tasks[e.From].Sent(e, at)
		}
	}
	for p, task := range s.tasks {
		task.Commit(s.ends[p] - int64(len(s.queues[p])))
	}
	fx.Reset()
}

// BenchmarkStitch is what becomes of decoded events in the stitch tasks of one worker
// that works off a backlog, all but Avro and Kafka: 300 calls a second of call time, of
// all providers. An operation is an event; cpu-ns/op is the process's CPU time, with the
// collector's, which a busy machine disturbs less than the clock.
func BenchmarkStitch(b *testing.B) {
	const sources = 8
	var cpu time.Duration
	b.ReportAllocs()
	b.StopTimer()
	for left := b.N; left > 0; {
		s := newStitchers(topology.Config{
			ApplicationID: "bench", ExchangePartitions: 16,
			Stitch: stitch.Config{
				Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
				Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true,
			},
		}, sources)
		traffic := newTraffic(sources)
		for n := 0; n < 100 && left > 0; n++ {
			events, progress := traffic.next(min(left, backlogEvents))
			left -= len(events)
			if n%backlogTicks > 0 {
				progress = nil
			}
			before := cpuTime(b)
			b.StartTimer()
			s.transact(b, events, progress)
			b.StopTimer()
			cpu += cpuTime(b) - before
		}
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// decodedTraffic is traffic of the simulator that was decoded.
type decodedTraffic struct {
	sim     *simulator.Simulator
	tasks   []*topology.DecodeTask // by source partition
	offsets []int64
	left    []topology.Decoded
}

func newTraffic(sources int32) *decodedTraffic {
	t := &decodedTraffic{
		sim: simulator.New(simulator.Config{
			Seed: 1, Rate: 300, Duplicates: 0.12, Disorder: 0.05, Transfers: 0.1, Tenants: 3, DiscardTruth: true,
		}),
		offsets: make([]int64, sources),
	}
	cfg := &topology.Config{Sources: []topology.Source{{Topic: "call.raw"}}}
	for p := range sources {
		t.tasks = append(t.tasks, topology.NewDecodeTask(cfg, cfg.Sources[0], p))
	}
	return t
}

// next is the next n events, and how far their partitions are.
func (t *decodedTraffic) next(n int) ([]topology.Decoded, []topology.Progress) {
	fx := topology.Effects{Decoded: t.left}
	for len(fx.Decoded) < n {
		r, _ := t.sim.Next()
		p := topology.Partition(r.Key, int32(len(t.tasks)))
		rec := topology.Record{Topic: "call.raw", Partition: p, Offset: t.offsets[p], Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
		t.offsets[p]++
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, call.Header{Key: h.Key, Value: h.Value})
		}
		t.tasks[p].Process(rec, &fx)
	}
	t.left = slices.Clone(fx.Decoded[n:])
	var progress []topology.Progress
	for _, task := range t.tasks {
		progress = append(progress, task.Progress(false, call.Unheard))
	}
	return fx.Decoded[:n], progress
}
