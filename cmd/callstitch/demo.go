package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"golang.org/x/sync/errgroup"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/console"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// The demo's world: small, quick, and with every kind of fault now and then.
const (
	demoGrace      = 2 * time.Second
	demoPartitions = 4
	demoBacklog    = 3 * time.Minute // traffic that has happened already, so that calls end at once
	demoBooks      = 5 * time.Second // what the end waits for the last books
)

type demoOptions struct {
	length  time.Duration
	listen  string
	receive bool
	traffic simulator.Config
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Everything in one process, nothing to install: broker, registry, traffic, processor, console",
		Long: `demo starts a Kafka broker and a schema registry in this process, sends them
simulated traffic, and runs the processor on it. It prints a line for each session
that closes, until Ctrl-C. Any Kafka client can look on. With --receive the traffic is
posted to a front door in this process, as the providers' webhooks are.`,
		Example: `  callstitch demo --rate 5`,
		Args:    takes(),
		RunE:    runs(func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }),
	}
	f := cmd.Flags()
	f.DurationVar(&o.length, "for", 0, "`TIME` after which it ends; 0 is Ctrl-C")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` of the console")
	f.BoolVar(&o.receive, "receive", false, "post the traffic to a front door, which takes it to the broker")
	f.Float64Var(&o.traffic.Rate, "rate", 2, "`N` calls that start in a second")
	f.Uint64Var(&o.traffic.Seed, "seed", uint64(time.Now().UnixNano()), "`N` that the traffic is drawn from")
	f.Lookup("seed").DefValue = "the time"
	return cmd
}

// demo is one run of it.
type demo struct {
	terminal.Writer
	cfg   config.Config
	page  *console.Console
	log   *slog.Logger
	lines chan *call.Session // closed sessions to print
	door  *demoDoor          // nil: traffic goes to the broker
	books demoBook
	sent  int64 // records that were sent; read after the simulator has ended
}

func (o *demoOptions) run(cmd *cobra.Command) (err error) {
	o.traffic.Duplicates, o.traffic.Disorder, o.traffic.Transfers = 0.05, 0.05, 0.15
	o.traffic.Garbage, o.traffic.Tenants, o.traffic.DiscardTruth = 0.005, 3, true
	if err := o.traffic.Validate(); err != nil {
		return usageError{err}
	}
	ctx, stop := untilSignal()
	defer stop()
	if o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.length)
		defer cancel()
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(demoPartitions, rawTopic))
	if err != nil {
		return fmt.Errorf("start the demo's broker: %w", err)
	}
	defer broker.Close()
	registry := srfake.New()
	defer registry.Close()
	listener, err := listenNear(o.listen, cmd.Flags().Changed("listen"))
	if err != nil {
		return err
	}
	d := &demo{
		Writer: terminal.New(cmd.OutOrStdout()), cfg: demoConfig(broker.ListenAddrs(), registry.URL()),
		log: newLog(config.Log{Level: "warn", Format: "text"}, os.Stderr), lines: make(chan *call.Session, maxDemoLines),
	}
	if o.receive {
		if d.door, err = openDemoDoor(&d.cfg); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.door.close()) }()
	}
	d.greet(listener.Addr().String())
	return d.run(ctx, listener, o.traffic)
}

// demoConfig is an ordinary configuration, but for grace and the number of
// partitions.
func demoConfig(brokers []string, registry string) config.Config {
	c := config.Default()
	c.Kafka.Brokers = brokers
	c.Registry.URL = registry
	c.Sources = []config.Source{{Topic: rawTopic}}
	c.Topics.Partitions = demoPartitions
	c.ExchangePartitions = demoPartitions
	c.InstanceID = "demo"
	c.Grace = demoGrace
	return c
}

// listenNear takes the address, or any free port where it was not asked for.
func listenNear(address string, asked bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil && !asked {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the console: %w: choose another address with --listen", err)
	}
	return l, nil
}

func (d *demo) greet(page string) {
	t := d.cfg.Topology()
	broker := d.cfg.Kafka.Brokers[0]
	line := func(name, text string) {
		fmt.Fprintf(d, "  %s %s\n", d.Paint(terminal.Dim, fmt.Sprintf("%-9s", name)), text)
	}
	fmt.Fprintln(d, d.Paint(terminal.Bold, "callstitch demo")+": simulated calls of four providers, stitched into sessions")
	if d.door != nil {
		line("door", fmt.Sprintf("http://%s/{provider}/{tenant}: all traffic is posted there, with a password that is asked for", d.door.address))
	}
	line("page", d.Paint(terminal.Cyan, "http://"+page+"/"))
	line("broker", broker)
	line("registry", d.cfg.Registry.URL)
	line("topics", fmt.Sprintf("%s → %s, %s, %s, %s", rawTopic, t.Topics.Sessions, t.Topics.Events, t.Topics.Rejects, t.Topics.Audit))
	line("look", fmt.Sprintf("callstitch tail %s -f --brokers %s --registry %s", t.Topics.Sessions, broker, d.cfg.Registry.URL))
	line("", fmt.Sprintf("kcat -C -J -b %s -t %s -o -5", broker, rawTopic))
	line("grace", fmt.Sprintf("%s instead of %s, so that sessions close soon", config.FormatDuration(demoGrace), config.FormatDuration(config.Default().Grace)))
	fmt.Fprintln(d)
}

// run has three activities: the processor, the traffic, and the printing. The
// traffic ends first, so that the books can be closed over all of it.
func (d *demo) run(ctx context.Context, listener net.Listener, traffic simulator.Config) error {
	metrics := newMetrics()
	status := new(kafka.Status)
	d.page = console.New(console.Config{
		Topology: d.cfg.Topology(), Version: version(), Gatherer: metrics,
		Note:   fmt.Sprintf("Demo: simulated traffic, and grace is %s instead of %s.", config.FormatDuration(demoGrace), config.FormatDuration(config.Default().Grace)),
		Status: func() console.Status { return consoleStatus(&d.cfg, status.Snapshot()) },
	})
	runtime, err := d.cfg.Runtime()
	if err != nil {
		return err
	}
	runtime.Log, runtime.Registerer, runtime.OnCommit = d.log, metrics, d.committed
	err = serve(ctx, listener, d.page, func(ctx context.Context) error {
		processing, finish := context.WithCancel(context.Background())
		defer finish()
		var group errgroup.Group
		group.Go(func() error {
			defer close(d.lines)
			return kafka.Run(processing, runtime, status)
		})
		group.Go(func() error {
			defer finish()
			err := d.send(ctx, traffic)
			d.awaitBooks(processing)
			return err
		})
		group.Go(func() error {
			for s := range d.lines {
				d.printSession(s)
			}
			return nil
		})
		return group.Wait()
	})
	if err != nil {
		return err
	}
	return d.summary()
}

// send makes traffic in real time until ctx ends, after a backlog.
func (d *demo) send(ctx context.Context, traffic simulator.Config) error {
	if d.door != nil {
		return d.post(ctx, traffic)
	}
	producer, err := kafka.NewProducer(ctx, d.cfg.Kafka.Brokers, nil)
	if err != nil {
		return err
	}
	traffic.Start = time.Now().Add(-demoBacklog)
	err = send(ctx, simulator.New(traffic), true, func(r simulator.Record) error {
		d.sent++
		return producer.Produce(context.WithoutCancel(ctx), rawRecord(rawTopic, r))
	})
	return errors.Join(err, producer.Close())
}

// awaitBooks waits until the books cover all that was sent, but not for long.
func (d *demo) awaitBooks(ctx context.Context) {
	deadline := time.Now().Add(demoBooks)
	for time.Now().Before(deadline) && d.books.total().Read < d.sent {
		if !sleepUntil(ctx, time.Now().Add(50*time.Millisecond)) {
			return
		}
	}
}

// maxDemoLines is how many lines may wait for the terminal. Beyond it sessions
// are not printed: the processor waits for nobody.
const maxDemoLines = 4096

// committed gets the outputs of each transaction.
func (d *demo) committed(outputs []topology.Output) {
	d.page.Observe(outputs)
	for _, o := range outputs {
		d.books.take(o)
		s, ok := o.Value.(*call.Session)
		if !ok || s.State != call.StateFinal {
			continue
		}
		select {
		case d.lines <- s:
		default:
		}
	}
}

func (d *demo) printSession(s *call.Session) {
	fmt.Fprintln(d, d.SessionLine(s))
}

func (d *demo) summary() error {
	total := d.books.total()
	fmt.Fprintf(d, "\n%s\n", d.Paint(terminal.Bold, "summary"))
	fmt.Fprintf(d, "  %d records read = %d decoded + %d ignored + %d rejected\n",
		total.Read, total.Decoded, total.Ignored, total.Rejected)
	fmt.Fprintf(d, "  %d events = %d accepted + %d duplicate + %d conflicting + %d late\n",
		total.Events, total.Accepted, total.Duplicate, total.Conflicting, total.Late)
	fmt.Fprintf(d, "  %d sessions closed\n", d.books.sessions)
	switch {
	case !total.Balanced():
		d.Mark("the books balance", errors.New("they do not; this is a defect: please report it"))
		return errors.New("the books do not balance")
	case total.Read != d.sent:
		d.Mark(fmt.Sprintf("the books balance, up to %d of the %d records that were sent", total.Read, d.sent), nil)
	default:
		d.Mark(fmt.Sprintf("the books balance: all %d records that were sent are in them", d.sent), nil)
	}
	return nil
}

// demoBook keeps the latest book of each source partition.
type demoBook struct {
	mu       sync.Mutex // guards what follows
	latest   map[int32]call.Audit
	sessions int64
}

func (b *demoBook) take(o topology.Output) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v := o.Value.(type) {
	case *call.Audit:
		if b.latest == nil {
			b.latest = map[int32]call.Audit{}
		}
		b.latest[v.Partition] = *v
	case *call.Session:
		if v.State == call.StateFinal && !v.Amended {
			b.sessions++
		}
	}
}

// total is the sum over all partitions.
func (b *demoBook) total() (t call.Audit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.latest {
		t.Read += a.Read
		t.Decoded += a.Decoded
		t.Ignored += a.Ignored
		t.Rejected += a.Rejected
		t.Events += a.Events
		t.Accepted += a.Accepted
		t.Duplicate += a.Duplicate
		t.Conflicting += a.Conflicting
		t.Late += a.Late
	}
	return t
}
