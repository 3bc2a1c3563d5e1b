package memory_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

var (
	curveRounds = flag.Int("rounds", 3, "rounds of BenchmarkCurve, of which the median counts")
	curveHeld   = flag.Int("held", 10_000_000, "the most legs that BenchmarkCurve holds; ten million take 8 GiB")
	curveOnly   = flag.String("curve", "", "measure this curve only")
	curveAt     = flag.String("at", "", "measure this point of it only")
)

// BenchmarkCurve is how the cost of an event grows with what a processor has to do
// with: all of it but Kafka, on one core. It prints a table as Markdown; it is not for
// -count.
func BenchmarkCurve(b *testing.B) {
	held, err := topologytest.NewHeld(curveConfig(1).Config)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Println("\n| curve | at | CPU µs an event | |\n|---|---|---|---|")
	for _, c := range curves() {
		if *curveOnly == "" || *curveOnly == c.name {
			c.points = slices.DeleteFunc(c.points, func(p point) bool { return *curveAt != "" && *curveAt != p.at })
			c.run(b, held)
		}
	}
}

// curve is points that differ in one thing.
type curve struct {
	name   string
	points []point
}

// point is a run.
type point struct {
	at         string
	partitions int32
	batch      int
	held       int
	traffic    func(start time.Time) []topology.Record
	perKB      bool // the cost is also told for each kB of the raw records
}

func curves() []curve {
	usual := point{partitions: 16, batch: 5_000, traffic: simulated(3)}
	with := func(at string, change func(*point)) point {
		p := usual
		p.at = at
		change(&p)
		return p
	}
	var all []curve
	c := curve{name: "exchange partitions"}
	for _, n := range []int32{1, 4, 16, 64} {
		c.points = append(c.points, with(fmt.Sprint(n), func(p *point) { p.partitions = n }))
	}
	all, c = append(all, c), curve{name: "held legs"}
	for n := 1_000; n <= *curveHeld; n *= 10 {
		c.points = append(c.points, with(fmt.Sprint(n), func(p *point) { p.held = n }))
	}
	all, c = append(all, c), curve{name: "tenants"}
	for _, n := range []int{1, 1_000} {
		c.points = append(c.points, with(fmt.Sprint(n), func(p *point) { p.traffic = simulated(n) }))
	}
	all, c = append(all, c), curve{name: "legs in a session"}
	for _, n := range []int{10, 50, 100, 200} {
		c.points = append(c.points, with(fmt.Sprint(n), func(p *point) { p.batch, p.traffic = groups, transfers(n) }))
	}
	all, c = append(all, c), curve{name: "bytes of a raw record"}
	for _, n := range []int{100, 1_000, 8_000, 64_000} {
		c.points = append(c.points, with(fmt.Sprint(n), func(p *point) { p.traffic, p.perKB = padded(n), true }))
	}
	return append(all, c)
}

// run measures the points in turn, so that what else the machine does disturbs all of
// them alike, and prints them.
func (c curve) run(b *testing.B, held *topologytest.Held) {
	costs := make([][]cost, len(c.points))
	for range *curveRounds {
		for i, p := range c.points {
			costs[i] = append(costs[i], p.run(b, held))
		}
	}
	var first cost
	for i, p := range c.points {
		slices.SortFunc(costs[i], func(a, b cost) int { return cmp.Compare(a.event, b.event) })
		m := costs[i][len(costs[i])/2]
		note := ""
		switch {
		case p.held >= 100_000: // with less, what else is on the heap counts more
			note = fmt.Sprintf("%d B of heap a leg", m.heap/int64(p.held))
		case p.perKB && i == 0:
			first = m
		case p.perKB:
			note = fmt.Sprintf("%.2f µs for each kB more", float64((m.event-first.event).Nanoseconds())/float64(m.bytes-first.bytes))
		}
		fmt.Printf("| %s | %s | %.1f | %s |\n", c.name, p.at, float64(m.event.Nanoseconds())/1000, note)
	}
}

// cost is what a run took.
type cost struct {
	event time.Duration // CPU time of one
	bytes int64         // of its raw record
	heap  int64         // of what was held before the first
}

// leastGarbage is what comes together at least before the collector runs; else it is a
// quarter of what lives. By Go's rule it would be as much as lives.
const leastGarbage = 256 << 20

func (p point) run(b *testing.B, held *topologytest.Held) (c cost) {
	cfg := curveConfig(p.partitions)
	cfg.BatchRecords = p.batch
	var value []byte
	r := memory.New(cfg, func(o topology.Output) {
		if _, avro := schemas.Of(o.Value); avro {
			value, _ = schemas.AppendAvro(schemas.AppendFrame(value[:0], 1), o.Value)
		}
	})
	records := p.traffic(held.Until.Add(time.Minute))
	before := live()
	percent := debug.SetGCPercent(25)
	defer debug.SetGCPercent(percent)
	if err := r.Hold(held.Each(p.held)); err != nil {
		b.Fatal(err)
	}
	now := live()
	c.heap = now - before
	debug.SetGCPercent(int(max(leastGarbage*100/now, 25)))
	begun := cpuTime(b)
	for _, rec := range records {
		if err := r.Process(rec); err != nil {
			b.Fatal(err)
		}
		c.bytes += int64(len(rec.Value))
	}
	if err := r.Commit(); err != nil {
		b.Fatal(err)
	}
	spent := cpuTime(b) - begun
	events := r.Totals().Events
	if events == 0 {
		b.Fatal("no events")
	}
	return cost{event: spent / time.Duration(events), bytes: c.bytes / events, heap: c.heap}
}

// curveConfig has the defaults of `run`.
func curveConfig(partitions int32) memory.Config {
	return memory.Config{Config: topology.Config{
		ApplicationID: "bench", Sources: []topology.Source{{Topic: topologytest.Topic}}, ExchangePartitions: partitions,
		Stitch: stitch.Config{
			Grace: 30 * time.Second, UnansweredTimeout: 5 * time.Minute, AnsweredTimeout: 4 * time.Hour,
			Retention: 24 * time.Hour, StubRetention: 72 * time.Hour, Partial: true,
		},
	}}
}

// simulated is calls of all providers.
func simulated(tenants int) func(time.Time) []topology.Record {
	return func(start time.Time) (records []topology.Record) {
		sim := simulator.New(simulator.Config{Seed: 2, Calls: 10_000, Rate: 100, Duplicates: 0.12, Disorder: 0.05, Transfers: 0.1, Tenants: tenants, Start: start, DiscardTruth: true})
		for r, ok := sim.Next(); ok; r, ok = sim.Next() {
			rec := topology.Record{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				rec.Headers = append(rec.Headers, call.Header{Key: h.Key, Value: h.Value})
			}
			records = append(records, rec)
		}
		return numbered(records)
	}
}

// groups is how many sessions of many legs go on at a time. A batch has one event of
// each, as in live traffic: what a session costs is not shared by its events.
const groups = 100

// transfers is calls that are passed on again and again: so many legs, the first of
// which all others name.
func transfers(legs int) func(time.Time) []topology.Record {
	return func(start time.Time) (records []topology.Record) {
		add := func(kind string, group, leg int, at time.Time) {
			parent := ""
			if leg > 0 {
				parent = fmt.Sprintf(`"parentCallId":"c-%d-0",`, group)
			}
			records = append(records, topology.Record{Timestamp: at.UnixMilli(), Value: fmt.Appendf(nil,
				`{"eventType":%q,"eventTime":%q,"callId":"c-%d-%d",%s"direction":"outbound","from":"+15550100101","to":"+15550100102","startTime":%q}`,
				kind, at.UTC().Format(time.RFC3339), group, leg, parent, start.UTC().Format(time.RFC3339))})
		}
		for leg := range legs {
			at := start.Add(time.Duration(leg) * time.Second)
			for group := range groups {
				add("transferAnswer", group, leg, at)
			}
			for group := range groups {
				add("transferDisconnect", group, leg, at.Add(500*time.Millisecond))
			}
		}
		return numbered(records)
	}
}

// padded is calls of one leg each in raw records of a size, most of which nobody reads.
func padded(size int) func(time.Time) []topology.Record {
	return func(start time.Time) (records []topology.Record) {
		const calls = 4_000
		for i := range 3 * calls {
			kind := []string{"initiate", "answer", "disconnect"}[i/calls]
			at := start.Add(time.Duration(i) * 10 * time.Millisecond)
			b := fmt.Appendf(nil, `{"eventType":%q,"eventTime":%q,"callId":"c-%d"`, kind, at.UTC().Format(time.RFC3339), i%calls)
			if pad := size - len(b); pad > 64 {
				b = append(b, `,"log":[0`...)
				b = append(b, bytes.Repeat([]byte(`,{"at":1700000000,"text":"ringing","ok":true}`), pad/45)...)
				b = append(b, ']')
			}
			records = append(records, topology.Record{Timestamp: at.UnixMilli(), Value: append(b, '}')})
		}
		return numbered(records)
	}
}

// numbered is records in one partition.
func numbered(records []topology.Record) []topology.Record {
	for i := range records {
		records[i].Topic, records[i].Offset = topologytest.Topic, int64(i)
	}
	return records
}

func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
