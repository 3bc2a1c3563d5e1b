package kafka_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"callstitch/deploy/localkafka"
	"callstitch/schemas"
)

var (
	events   = flag.Int("events", 300_000, "raw records of a throughput round")
	rounds   = flag.Int("rounds", 3, "throughput rounds of each subject")
	seconds  = flag.Int("seconds", 6, "length of a latency run; 0: none")
	scale    = flag.Bool("scale", false, "also measure two and four instances")
	rolling  = flag.Bool("rolling", false, "also measure a rolling restart of two instances")
	held     = flag.Int("held", 0, "raw records that are read before the rolling restart, and whose legs are held then")
	soak     = flag.Int("soak", 0, "raw records of the run that watches memory; 0: none")
	codec    = flag.String("codec", "snappy", "compression of everything that writes: snappy, which is franz-go's own choice and callstitch's, or lz4")
	profiles = flag.String("profiles", "", "folder for profiles of callstitch, of CPU time and of memory")
	spec     = flag.String("subject", "", "be this subject; the benchmark starts itself with it")
)

// BenchmarkKafka compares callstitch with a plain pass-through of two hops on one
// Apache Kafka on this machine, and prints what it finds as Markdown. Each
// subject runs in a process of its own, in turn; figures are medians. It is not
// for -count: `make bench-kafka` runs it, ARGS are its flags.
func BenchmarkKafka(b *testing.B) {
	if *spec != "" {
		var s subject
		if err := json.Unmarshal([]byte(*spec), &s); err != nil {
			b.Fatal(err)
		}
		s.run(b)
		return
	}
	l := newLaboratory(b)
	fmt.Printf("\n%s; %d raw and %d exchange partitions, %d workers, commits every %v, %s\n\n", machine(), rawPartitions, exchange, benchWorkers, interval, *codec)
	l.throughput()
	l.latency()
	l.scaling()
	l.restarts()
	l.memory()
	l.volumes()
}

// laboratory is a broker, a registry, and the program that makes traffic.
type laboratory struct {
	b        *testing.B
	brokers  []string
	broker   int // pid
	registry string
	program  string
	admin    *kadm.Client
	runs     int
}

func newLaboratory(b *testing.B) *laboratory {
	cluster := localkafka.ForTest(b, localkafka.Options{LongLived: true})
	pid, err := os.ReadFile(filepath.Join(cluster.Dir(), "broker-1", "pid"))
	if err != nil {
		b.Fatal(err)
	}
	l := &laboratory{b: b, brokers: cluster.Brokers(), program: filepath.Join(b.TempDir(), "callstitch")}
	if l.broker, err = strconv.Atoi(strings.TrimSpace(string(pid))); err != nil {
		b.Fatal(err)
	}
	registry := srfake.New()
	b.Cleanup(registry.Close)
	l.registry = registry.URL()
	if out, err := exec.Command("go", "build", "-o", l.program, "callstitch/cmd/callstitch").CombinedOutput(); err != nil {
		b.Fatalf("build the program that makes traffic: %v\n%s", err, out)
	}
	client := l.client()
	b.Cleanup(client.Close)
	l.admin = kadm.NewClient(client)
	return l
}

func (l *laboratory) client(opts ...kgo.Opt) *kgo.Client {
	l.b.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.brokers...), kgo.MetadataMinAge(100 * time.Millisecond), compression()}, opts...)...)
	if err != nil {
		l.b.Fatal(err)
	}
	return cl
}

func (l *laboratory) create(topic string, partitions int32, configs ...string) {
	l.b.Helper()
	c := map[string]*string{"retention.ms": kadm.StringPtr("-1")}
	for i := 0; i < len(configs); i += 2 {
		c[configs[i]] = &configs[i+1]
	}
	resp, err := l.admin.CreateTopic(context.Background(), partitions, 1, c, topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		l.b.Fatal(err)
	}
}

// subject is a fresh application over a raw topic.
func (l *laboratory) subject(plain bool, raw string) subject {
	l.runs++
	s := subject{
		Plain: plain, App: fmt.Sprint("bench-", l.runs), Brokers: l.brokers, Registry: l.registry,
		Raw: raw, Retention: 24 * time.Hour,
	}
	if plain {
		l.create(s.exchange(), exchange)
		l.create(s.out(), outPartitions)
	}
	return s
}

// clear deletes the topics of an application.
func (l *laboratory) clear(s subject) {
	l.b.Helper()
	topics, err := l.admin.ListTopics(context.Background())
	if err != nil {
		l.b.Fatal(err)
	}
	for _, t := range topics.Names() {
		if strings.HasPrefix(t, s.App+".") || strings.HasPrefix(t, s.App+"-") {
			if _, err := l.admin.DeleteTopics(context.Background(), t); err != nil {
				l.b.Fatal(err)
			}
		}
	}
}

// traffic is what `callstitch simulate` prints.
type traffic struct {
	l     *laboratory
	cmd   *exec.Cmd
	out   io.Closer
	lines *bufio.Scanner
	bytes int64 // values so far
	count int
}

// simulate starts traffic of so many calls a second of call time; it never ends,
// and is dated so that ten million records do not reach the present, beyond which
// a broker takes none.
func (l *laboratory) simulate(seed int, callRate float64) *traffic {
	l.b.Helper()
	cmd := exec.Command(l.program, "simulate", "--calls=0", "--start=2025-01-01T00:00:00Z", "--duplicates=0.12",
		"--seed="+fmt.Sprint(seed), "--rate="+fmt.Sprint(callRate))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.b.Fatal(err)
	}
	t := &traffic{l: l, cmd: cmd, out: out, lines: bufio.NewScanner(out)}
	t.lines.Buffer(nil, 4<<20)
	return t
}

func (t *traffic) next(topic string) *kgo.Record {
	t.l.b.Helper()
	if !t.lines.Scan() {
		t.l.b.Fatalf("the traffic ended: %v", t.lines.Err())
	}
	var line struct {
		TS      int64
		Key     string
		Payload *string
		Headers []string
	}
	if err := json.Unmarshal(t.lines.Bytes(), &line); err != nil {
		t.l.b.Fatal(err)
	}
	r := &kgo.Record{Topic: topic, Key: []byte(line.Key), Timestamp: time.UnixMilli(line.TS)}
	if line.Payload != nil {
		r.Value = []byte(*line.Payload)
	}
	for i := 0; i+1 < len(line.Headers); i += 2 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: line.Headers[i], Value: []byte(line.Headers[i+1])})
	}
	t.bytes += int64(len(r.Value))
	t.count++
	return r
}

func (t *traffic) mean() int64 { return t.bytes / int64(t.count) }

func (t *traffic) close() {
	t.out.Close()
	t.cmd.Wait() // it ends because nobody reads
}

// Of two seeds, so that calls that are made live are none that were poured.
const pouredSeed, liveSeed = 1, 2

// fill makes a raw topic of n records.
func (l *laboratory) fill(topic string, n int, callRate float64) (bytes int64) {
	l.b.Helper()
	l.create(topic, rawPartitions)
	return l.pour(topic, n, callRate)
}

// pour writes n records to a raw topic.
func (l *laboratory) pour(topic string, n int, callRate float64) (bytes int64) {
	l.b.Helper()
	t := l.simulate(pouredSeed, callRate)
	defer t.close()
	cl := l.client(kgo.MaxBufferedRecords(50_000))
	defer cl.Close()
	var failed error
	for range n {
		cl.Produce(context.Background(), t.next(topic), func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil || failed != nil {
		l.b.Fatal(err, failed)
	}
	return t.mean()
}

// measured is a throughput round.
type measured struct {
	rate         float64 // raw records a second
	self, broker float64 // CPU seconds per million raw records
	peak         float64 // resident bytes
	samples      []sample
	app          string
}

// runLimit is how long a run may stand still.
const runLimit = time.Minute

// round runs a subject over a full raw topic, from its first fetch to its last
// output; what is accounted for later is waited for, but not measured.
func (l *laboratory) round(s subject, n int) measured {
	l.b.Helper()
	r := start(l.b, s, l.broker)
	all := []sample{r.next(runLimit)}
	last := 0
	for at := all[0]; at.Read < int64(n); {
		at = r.next(runLimit)
		all = append(all, at)
		if at.Done > all[last].Done {
			last = len(all) - 1
		}
	}
	peak := memory(r.cmd.Process.Pid, "VmHWM")
	r.end()
	l.clear(s)
	a, z := all[0], all[last]
	return measured{
		rate: float64(n) / z.At.Sub(a.At).Seconds(),
		self: (z.self - a.self).Seconds() * 1e6 / float64(n), broker: (z.broker - a.broker).Seconds() * 1e6 / float64(n),
		peak: float64(peak), samples: all, app: s.App,
	}
}

// callRate makes 1,800 records a second of call time, so that some minutes of
// calls are under way at any moment of a round.
const callRate = 300

// warmRounds do not count: for half a minute a broker's JVM spends more on compiling than
// on records.
const warmRounds = 2

// throughput runs both subjects in turn.
func (l *laboratory) throughput() {
	if *rounds == 0 {
		return
	}
	const raw = "raw-throughput"
	size := l.fill(raw, *events, callRate)
	found := map[bool][]measured{}
	for i := range *rounds + warmRounds {
		for _, plain := range []bool{true, false} {
			m := l.round(l.subject(plain, raw), *events)
			if i >= warmRounds {
				found[plain] = append(found[plain], m)
			}
		}
	}
	base := median(found[true], func(m measured) float64 { return m.rate })
	fmt.Printf("%d raw records of %d bytes, medians of %d rounds\n\n", *events, size, *rounds)
	fmt.Println("| subject | events/s | CPU s per million events: self / broker | peak RSS MiB | ratio |")
	fmt.Println("|---|---|---|---|---|")
	for _, plain := range []bool{true, false} {
		rate := median(found[plain], func(m measured) float64 { return m.rate })
		fmt.Printf("| %s | %.0f | %.1f / %.1f | %.0f | %.2f |\n", title(plain), rate,
			median(found[plain], func(m measured) float64 { return m.self }),
			median(found[plain], func(m measured) float64 { return m.broker }),
			median(found[plain], func(m measured) float64 { return m.peak })/(1<<20), rate/base)
	}
	fmt.Println()
	l.written(found)
}

// written prints what each subject writes to the broker for an event.
func (l *laboratory) written(found map[bool][]measured) {
	fmt.Println("| subject | topic | records an event | bytes an event | compressed | records a batch |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, plain := range []bool{true, false} {
		m := found[plain][0]
		last := m.samples[len(m.samples)-1].Written
		for _, topic := range slices.Sorted(maps.Keys(last)) {
			v, n := last[topic], float64(*events)
			fmt.Printf("| %s | %s | %.2f | %.0f | %.0f | %.0f |\n", title(plain), strings.TrimLeft(strings.TrimPrefix(topic, m.app), ".-"),
				float64(v.Records)/n, float64(v.Bytes)/n, float64(v.Sent)/n, float64(v.Records)/float64(v.Batches))
		}
	}
	fmt.Println()
}

// scaling has one, two and four instances read what is poured into one topic, as fast as
// it is made: the more there are, the more events cross the exchange.
func (l *laboratory) scaling() {
	if !*scale {
		return
	}
	fmt.Printf("%d raw records, poured into a topic that so many instances read\n\n", *events)
	fmt.Println("| instances | CPU s per million events: all of them / broker | events that crossed the exchange |")
	fmt.Println("|---|---|---|")
	for _, n := range []int{1, 2, 4} {
		self, broker, crossed := l.instances(n)
		fmt.Printf("| %d | %.1f / %.1f | %.2f |\n", n, self, broker, crossed)
	}
	fmt.Println()
}

func (l *laboratory) instances(n int) (self, broker, crossed float64) {
	l.b.Helper()
	raw := fmt.Sprint("raw-scaling-", n)
	l.create(raw, rawPartitions)
	s := l.subject(false, raw)
	var all []*running
	for i := range n {
		s.Instance = fmt.Sprint(i)
		all = append(all, start(l.b, s, l.broker))
		time.Sleep(joinTime)
	}
	used := func() (self time.Duration) {
		for _, r := range all {
			self += cpu(r.cmd.Process.Pid)
		}
		return self
	}
	was, brokerWas := used(), cpu(l.broker)
	l.pour(raw, *events, callRate)
	last := make([]sample, n)
	for read := int64(0); read < int64(*events); {
		read = 0
		for i, r := range all {
			for more := true; more; {
				select {
				case last[i] = <-r.samples:
				case <-time.After(50 * time.Millisecond):
					more = false
				}
			}
			read += last[i].Read
		}
	}
	self = (used() - was).Seconds() * 1e6 / float64(*events)
	broker = (cpu(l.broker) - brokerWas).Seconds() * 1e6 / float64(*events)
	for i, r := range all {
		crossed += float64(last[i].Crossed) / float64(*events)
		r.end()
	}
	l.clear(s)
	return self, broker, crossed
}

func title(plain bool) string {
	if plain {
		return "pass-through, two hops"
	}
	return "callstitch"
}

// delays are what a latency run found, in milliseconds.
type delays struct {
	events   []float64
	sessions []float64 // PARTIAL revisions of sessions with links
	silence  float64   // the longest time between two events that became visible
	rss      int64     // at the end
}

// latencyRates are events a second.
var latencyRates = []int{2_000, 10_000}

func (l *laboratory) latency() {
	if *seconds == 0 {
		return
	}
	fmt.Printf("raw append → visible under read_committed, %d s at each rate\n\n", *seconds)
	fmt.Println("| subject | rate | p50 ms | p99 ms | p99 ms, revisions of sessions of more than one leg | RSS MiB |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, rate := range latencyRates {
		for _, plain := range []bool{true, false} {
			d := l.delay(plain, rate)
			fmt.Printf("| %s | %d/s | %.0f | %.0f | %.0f | %d |\n", title(plain), rate, quantile(d.events, 0.5), quantile(d.events, 0.99), quantile(d.sessions, 0.99), d.rss>>20)
		}
	}
	fmt.Println()
}

const (
	warmUp = 3 * time.Second // of each latency run, not counted
	pace   = 5 * time.Millisecond
	// sampleEvery is which of the output's records are looked at, to leave the
	// machine to the subject.
	sampleEvery = 8
)

// delay sends records at a rate and watches the output.
func (l *laboratory) delay(plain bool, rate int) delays {
	l.b.Helper()
	raw := fmt.Sprint("raw-latency-", l.runs)
	l.create(raw, rawPartitions, "message.timestamp.type", "LogAppendTime")
	s := l.subject(plain, raw)
	r := start(l.b, s, l.broker)
	go r.drain()
	stop := l.live(raw, rate, callRate)
	time.Sleep(joinTime + warmUp)
	found := l.watch(s)
	time.Sleep(time.Duration(*seconds) * time.Second)
	rss := memory(r.cmd.Process.Pid, "VmRSS")
	d := found()
	d.rss = rss
	stop()
	r.end()
	l.clear(s)
	l.clear(subject{App: raw})
	return d
}

// joinTime is what a subject may need before it works.
const joinTime = 4 * time.Second

// live writes traffic to a raw topic at a rate, of so many calls a second of call time, until
// stop.
func (l *laboratory) live(raw string, rate int, callRate float64) (stop func()) {
	t := l.simulate(liveSeed, callRate)
	cl := l.client(kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		begun := time.Now()
		for sent := 0; ctx.Err() == nil; time.Sleep(pace) {
			for due := int(time.Since(begun).Seconds() * float64(rate)); sent < due; sent++ {
				rec := t.next(raw)
				rec.Timestamp = time.Time{}
				cl.Produce(ctx, rec, nil)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		cl.Close()
		t.close()
	}
}

// watch reads the outputs from now on as any consumer does, until found is called.
func (l *laboratory) watch(s subject) (found func() delays) {
	topics := []string{s.out()}
	if !s.Plain {
		topics = append(topics, s.sessions())
	}
	cl := l.client(kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond), kgo.UnknownTopicRetries(-1))
	appended, caused := s.appendTime(), s.cause()
	ctx, cancel := context.WithCancel(context.Background())
	all := make(chan delays)
	go func() {
		var d delays
		var last time.Time
		for n := 0; ctx.Err() == nil; {
			fetches := cl.PollFetches(ctx)
			now := time.Now()
			fetches.EachRecord(func(r *kgo.Record) {
				switch n++; {
				case r.Topic != s.out():
					if at, linked := caused(r.Value); linked {
						d.sessions = append(d.sessions, float64(now.UnixMilli()-at))
					}
					return
				case n%sampleEvery == 0:
					d.events = append(d.events, float64(now.UnixMilli()-appended(r.Value)))
				}
				if !last.IsZero() {
					d.silence = max(d.silence, float64(now.Sub(last).Milliseconds()))
				}
				last = now
			})
		}
		cl.Close()
		all <- d
	}()
	return func() delays {
		cancel()
		return <-all
	}
}

// appendTime reads, from an output value, when its raw record was appended.
func (s *subject) appendTime() func([]byte) int64 {
	if s.Plain {
		return func(v []byte) int64 { return int64(binary.BigEndian.Uint64(v)) }
	}
	read := fields[struct {
		IngestedAt int64 `json:"ingested_at"`
	}](schemas.Events)
	return func(v []byte) int64 { return read(v).IngestedAt }
}

// cause reads, from a session's value, when the raw record was appended that caused it, and
// whether it is a revision of a session of several legs that goes on. What is FINAL waits on purpose.
func (s *subject) cause() func([]byte) (at int64, linked bool) {
	read := fields[struct {
		State     string `json:"record_state"`
		LegCount  int    `json:"leg_count"`
		EmittedAt int64  `json:"emitted_at"`
	}](schemas.Sessions)
	return func(v []byte) (int64, bool) {
		f := read(v)
		return f.EmittedAt, f.State == "PARTIAL" && f.LegCount > 1
	}
}

// fields reads fields of Avro values.
func fields[T any](of schemas.Subject) func([]byte) T {
	reader, err := schemas.NewReader(of.Schema())
	if err != nil {
		panic(err) // the schema is ours
	}
	var text []byte
	return func(v []byte) (f T) {
		_, avro, err := schemas.ParseFrame(v)
		if err == nil {
			text, err = reader.AppendJSON(text[:0], avro)
		}
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if err != nil {
			panic(err)
		}
		return f
	}
}

const (
	restartRate = 2_000            // events a second
	restartTime = 12 * time.Second // of each, until the next
)

// restarts stops and starts each of two instances while traffic goes on, as a rolling
// restart does, with so many legs held.
func (l *laboratory) restarts() {
	if !*rolling {
		return
	}
	const raw = "raw-rolling"
	l.create(raw, rawPartitions, "message.timestamp.type", "LogAppendTime")
	if *held > 0 {
		l.pour(raw, *held, callRate)
	}
	s := l.subject(false, raw)
	instances := make([]*running, 2)
	begin := func(i int) {
		s.Instance = fmt.Sprint(i)
		instances[i] = start(l.b, s, l.broker)
	}
	legs := 0
	for i := range instances {
		begin(i)
		time.Sleep(joinTime)
	}
	for read := make([]sample, 2); read[0].Read+read[1].Read < int64(*held); {
		for i, r := range instances {
			select {
			case read[i] = <-r.samples:
			case <-time.After(50 * time.Millisecond):
			}
		}
		legs = read[0].Legs + read[1].Legs
	}
	for _, r := range instances {
		go r.drain()
	}
	stop := l.live(raw, restartRate, callRate)
	time.Sleep(warmUp)
	found := l.watch(s)
	time.Sleep(restartTime)
	calm := found()
	var rss int64
	for _, r := range instances {
		rss += memory(r.cmd.Process.Pid, "VmRSS")
	}
	found = l.watch(s)
	time.Sleep(time.Second)
	for i := range instances {
		instances[i].end()
		begin(i)
		go instances[i].drain()
		time.Sleep(restartTime)
	}
	d := found()
	stop()
	for _, r := range instances {
		r.end()
	}
	l.clear(s)
	fmt.Printf("two instances at %d/s with %d nodes held, in %d MiB together; stopped and started one after the other\n\n", restartRate, legs, rss>>20)
	fmt.Println("| | p50 ms | p99 ms | most ms | longest silence ms | sessions p99 ms |")
	fmt.Println("|---|---|---|---|---|---|")
	fmt.Println(row("calm", calm))
	fmt.Println(row("rolling restart", d))
	fmt.Println()
}

func row(of string, d delays) string {
	return fmt.Sprintf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f |", of, quantile(d.events, 0.5), quantile(d.events, 0.99), quantile(d.events, 1), d.silence, quantile(d.sessions, 0.99))
}

// soakRate lets a retention pass in some thousand calls.
const soakRate = 0.3

// memory runs callstitch over a traffic of days, in which as many calls are
// forgotten as begin, and shows what it holds on the way.
func (l *laboratory) memory() {
	if *soak == 0 {
		return
	}
	const raw = "raw-soak"
	l.fill(raw, *soak, soakRate)
	s := l.subject(false, raw)
	s.Retention = time.Hour
	all := l.round(s, *soak).samples
	fmt.Printf("memory over %d raw records, retention %v\n\n", *soak, s.Retention)
	fmt.Println("| events accepted | nodes held | RSS MiB |")
	fmt.Println("|---|---|---|")
	const lines = 10
	for i := 1; i <= lines; i++ {
		at := all[(len(all)-1)*i/lines]
		fmt.Printf("| %d | %d | %d |\n", at.Done, at.Legs, at.rss>>20)
	}
	fmt.Println()
}
