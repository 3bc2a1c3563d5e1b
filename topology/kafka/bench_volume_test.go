package kafka_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/topology"
)

var counted = flag.Int("volume", 0, "seconds for which what brokers take in and keep is counted, at each rate; 0: not at all")

// volumeCases are so many instances, and events a second. An instance writes a little
// where nothing comes, and the less comes, the more of it there is for an event.
var volumeCases = []struct{ instances, rate int }{{1, 0}, {3, 0}, {3, 100}, {1, 1_000}, {3, 1_000}, {1, squeezedRate}}

const (
	// settling is what comes before: calls end by then as often as they begin.
	settling = 75 * time.Second
	// volumeCalls makes the calls of the traffic go by three times as fast as they would,
	// so that they do.
	volumeCalls = 1.0 / 20 // calls a second of call time, for each event a second
)

// volumes has instances keep up with traffic and counts, by the brokers' own word, the bytes
// by which each topic grows: with one replica, what it takes in.
func (l *laboratory) volumes() {
	if *counted == 0 {
		return
	}
	fmt.Printf("instances that keep up, %d s of each\n\n", *counted)
	fmt.Println("| instances | events/s | CPU µs an event: all of them / broker | RSS MiB: all of them | events that cross the exchange |")
	fmt.Println("|---|---|---|---|---|")
	var all []kept
	for _, c := range volumeCases {
		k := l.keepUp(c.instances, c.rate)
		all = append(all, k)
		if n := float64(k.events); c.rate > 0 {
			fmt.Printf("| %d | %.0f | %.0f / %.0f | %d | %.2f |\n", c.instances, n/k.took.Seconds(), k.self.Seconds()*1e6/n, k.broker.Seconds()*1e6/n, k.rss>>20, float64(k.crossed)/n)
		} else {
			fmt.Printf("| %d | 0 | %.1f / %.1f %% of a core | %d | – |\n", c.instances, 100*k.self.Seconds()/k.took.Seconds(), 100*k.broker.Seconds()/k.took.Seconds(), k.rss>>20)
		}
	}
	fmt.Print("\nbytes that each topic takes in, and offsets, which markers have too: an event; where there are none, a second\n\n| topic |")
	for _, c := range volumeCases {
		fmt.Printf(" %d at %d/s |", c.instances, c.rate)
	}
	fmt.Println("\n|" + strings.Repeat("---|", len(all)+1))
	for _, topic := range slices.Sorted(maps.Keys(all[len(all)-1].grown)) {
		fmt.Print("| ", topic, " |")
		for _, k := range all {
			of := float64(k.events)
			if of == 0 {
				of = k.took.Seconds()
			}
			fmt.Printf(" %.0f, %.2f |", float64(k.grown[topic].bytes)/of, float64(k.grown[topic].offsets)/of)
		}
		fmt.Println()
	}
	fmt.Printf("\n%s\n\n", all[len(all)-1].changelog)
}

// kept is what instances used while they kept up, and what they wrote.
type kept struct {
	took         time.Duration
	events       int64 // raw records
	crossed      int64 // events that went through the exchange
	self, broker time.Duration
	rss          int64
	grown        map[string]size
	changelog    string // what it comes to, after the last case
}

// size is what there is of a topic.
type size struct{ bytes, offsets int64 }

// keepUp runs instances under traffic of a rate.
func (l *laboratory) keepUp(instances, rate int) (k kept) {
	l.b.Helper()
	raw := fmt.Sprint("raw-volume-", l.runs)
	l.create(raw, rawPartitions, "message.timestamp.type", "LogAppendTime")
	s := l.subject(false, raw)
	last := make([]atomic.Pointer[sample], instances)
	var all []*running
	for i := range instances {
		s.Instance = fmt.Sprint(i)
		r := start(l.b, s, l.broker)
		all = append(all, r)
		go func() {
			for at := range r.samples {
				last[i].Store(&at)
			}
		}()
		time.Sleep(joinTime)
	}
	used := func() (self time.Duration, crossed int64, legs int) {
		for i, r := range all {
			self += cpu(r.cmd.Process.Pid)
			if at := last[i].Load(); at != nil {
				crossed += at.Crossed
				legs += at.Legs
			}
		}
		return self, crossed, legs
	}
	stop := func() {}
	if rate > 0 {
		stop = l.live(raw, rate, float64(rate)*volumeCalls)
	}
	time.Sleep(settling)
	was, begun := l.sizes(s, raw), time.Now()
	self, crossed, _ := used()
	broker := cpu(l.broker)
	time.Sleep(time.Duration(*counted) * time.Second)
	is := l.sizes(s, raw)
	k.took = time.Since(begun)
	selfNow, crossedNow, _ := used()
	k.self, k.broker, k.crossed = selfNow-self, cpu(l.broker)-broker, crossedNow-crossed
	k.grown = map[string]size{}
	for topic, now := range is {
		k.grown[topic] = size{now.bytes - was[topic].bytes, now.offsets - was[topic].offsets}
	}
	k.events = k.grown["source"].offsets
	for _, r := range all {
		k.rss += memory(r.cmd.Process.Pid, "VmRSS")
	}
	if rate == squeezedRate {
		k.changelog = l.squeeze(s, raw, func() int { _, _, legs := used(); return legs }, stop)
	} else {
		stop()
	}
	for _, r := range all {
		r.end()
	}
	l.clear(s)
	l.clear(subject{App: raw})
	return k
}

// squeezedRate is the rate after which it is looked what the changelog comes to: the last.
const squeezedRate = 5_000

// squeeze has the brokers compact the changelog as they do in time, and says what is left
// for a node that is held. A partition's last segment is never compacted, so it is made small.
func (l *laboratory) squeeze(s subject, raw string, legs func() int, stop func()) string {
	l.b.Helper()
	app := topology.Config{ApplicationID: s.App}
	before := l.sizes(s, raw)["changelog"].bytes
	var settings []kadm.AlterConfig
	for name, value := range map[string]string{"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.0", "delete.retention.ms": "0"} {
		settings = append(settings, kadm.AlterConfig{Name: name, Value: &value})
	}
	if _, err := l.admin.AlterTopicConfigs(context.Background(), settings, app.ChangelogTopic()); err != nil {
		l.b.Fatal(err)
	}
	time.Sleep(5 * time.Second) // the last segment ends when something comes after a second
	stop()
	held := legs()
	least := before
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		least = min(least, l.sizes(s, raw)["changelog"].bytes)
	}
	return fmt.Sprintf("%d nodes held: the changelog has %d bytes for each, and %d when it is compacted", held, before/int64(held), least/int64(held))
}

// sizes are the bytes that brokers have on disk of each topic, and the offsets that they have
// given, by what the topic is to an application.
func (l *laboratory) sizes(s subject, raw string) map[string]size {
	l.b.Helper()
	ctx := context.Background()
	dirs, err := l.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		l.b.Fatal(err)
	}
	ends, err := l.admin.ListEndOffsets(ctx)
	if err != nil {
		l.b.Fatal(err)
	}
	all := map[string]size{}
	add := func(topic string, more size) {
		rest, ours := strings.CutPrefix(topic, s.App)
		switch {
		case topic == raw:
			topic = "source"
		case ours:
			topic = strings.NewReplacer("-stitch-", "", "-repartition", "", "-", "", ".", "").Replace(rest)
		case !strings.HasPrefix(topic, "__"):
			return // another run's
		}
		all[topic] = size{all[topic].bytes + more.bytes, all[topic].offsets + more.offsets}
	}
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { add(p.Topic, size{bytes: p.Size}) })
	})
	ends.Each(func(o kadm.ListedOffset) { add(o.Topic, size{offsets: o.Offset}) })
	return all
}
