package localkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Options choose what Start starts. The zero value is one broker on a free
// port, with its data in a temporary directory.
type Options struct {
	// Brokers is the number of nodes, each broker and controller. Zero is one.
	// Three replicate everything three times, with two in-sync replicas.
	Brokers int

	// Registry starts a schema registry too, with its schemas in memory.
	Registry bool

	// Port is the first broker's port; the other brokers' and then the
	// controllers' follow it. Zero takes free ports, which a restart keeps.
	Port int

	// RegistryPort is the registry's port. Zero takes a free one.
	RegistryPort int

	// Dir keeps data and logs there, to be found again by a later Start. Empty
	// is a temporary directory, deleted when the cluster stops or its program ends.
	Dir string

	// Listeners are further ones of each broker, by name, with the protocol that each
	// has, such as "SASL_SSL"; how it is secured is in Props, below listener.name. They
	// have free ports, those of brokers that are not asked for: Addresses tells them.
	Listeners []Listener

	// JVM are further options of the brokers' Java.
	JVM []string

	// Props are server properties laid over this package's own; an empty
	// value removes one.
	Props map[string]string

	// LongLived runs brokers with the JVM's optimising compiler and its
	// default collector, for benchmarks. Without it they start sooner and leave
	// more of the machine to the test.
	LongLived bool
}

// Listener is a name, in lower case, and one of Kafka's security protocols.
type Listener struct{ Name, Protocol string }

const (
	// maxBrokers is how many nodes fit in a slot of ports.
	maxBrokers = 5

	// stopTimeout is how long a process may take to stop in order before it
	// is killed; one node needs 0.3 s, three with data some seconds.
	stopTimeout = 20 * time.Second
)

// Cluster is a running Kafka cluster and, when asked for, its registry. Its
// methods may be called from any goroutine. Brokers are numbered from 0, as
// in the result of Brokers.
type Cluster struct {
	dir     string
	keep    bool // the caller named the directory
	lock    *os.File
	slot    *slot
	reaper  *reaper
	brokers []*process
	addrs   []string
	also    map[string][]string // addresses of further listeners

	mu           sync.Mutex // guards registry and registryURL
	registryPort int
	registry     *process
	registryURL  string
}

// Start starts a cluster and returns when it serves. ctx bounds the start, not
// the cluster's life. The error of a process that does not come up ends with
// the last lines of its log. The first call on a machine downloads the jars.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o.Brokers = max(o.Brokers, 1)
	if o.Brokers > maxBrokers {
		return nil, fmt.Errorf("local Kafka: %d brokers asked for, %d at most", o.Brokers, maxBrokers)
	}
	if n := o.Brokers * (1 + len(o.Listeners)); n > maxBrokers {
		return nil, fmt.Errorf("local Kafka: %d listeners asked for in all, %d at most", n, maxBrokers)
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	jars, err := kafkaJars.fetch(ctx)
	if err != nil {
		return nil, err
	}
	c, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, o, java, jars); err != nil {
		c.reaper.tell(keepLogs)
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// open takes the cluster's directory and ports.
func open(o Options) (*Cluster, error) {
	c := &Cluster{keep: o.Dir != "", registryPort: o.RegistryPort}
	if err := c.openDir(o.Dir); err != nil {
		return nil, fmt.Errorf("local Kafka: directory for its data: %w", err)
	}
	fate := deleteAll
	if c.keep {
		fate = keepAll
	}
	var err error
	if c.reaper, err = startReaper(c.dir, fate); err != nil {
		c.lock.Close()
		return nil, err
	}
	if c.slot, err = takeSlot(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) openDir(dir string) error {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "callstitch-kafka-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if c.lock, err = tryLock(filepath.Join(c.dir, "lock")); err != nil {
		return fmt.Errorf("%w; is another cluster running in it?", err)
	}
	return nil
}

func (c *Cluster) start(ctx context.Context, o Options, java, jars string) error {
	nodes, err := layOut(o, c.slot)
	if err != nil {
		return err
	}
	c.also = map[string][]string{}
	starts := make([]func() error, 0, len(nodes)+1)
	for _, n := range nodes {
		p, err := n.prepare(c.dir, java, jars, o)
		if err != nil {
			return err
		}
		c.brokers = append(c.brokers, p)
		c.addrs = append(c.addrs, n.addr())
		for i, l := range o.Listeners {
			c.also[l.Name] = append(c.also[l.Name], address(n.listeners[i]))
		}
		starts = append(starts, func() error {
			if err := n.format(ctx, p, java, jars); err != nil {
				return err
			}
			return p.start(ctx)
		})
	}
	if o.Registry {
		starts = append(starts, func() error { _, err := c.StartRegistry(ctx); return err })
	}
	return together(starts)
}

// together runs all of fs at once and joins their errors.
func together(fs []func() error) error {
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Brokers are the addresses clients connect to, one a broker, the same for
// the life of the cluster.
func (c *Cluster) Brokers() []string { return append([]string(nil), c.addrs...) }

// Addresses are those of a further listener, one a broker.
func (c *Cluster) Addresses(listener string) []string {
	return append([]string(nil), c.also[listener]...)
}

// Dir is where the cluster keeps its data and logs.
func (c *Cluster) Dir() string { return c.dir }

// StartRegistry starts the registry unless it already runs, and returns its URL.
func (c *Cluster) StartRegistry(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.registry != nil {
		return c.registryURL, nil
	}
	port, err := c.slot.port(c.registryPort, registryOffset)
	if err != nil {
		return "", err
	}
	p, err := prepareRegistry(ctx, c.dir, port)
	if err != nil {
		return "", err
	}
	if err := p.start(ctx); err != nil {
		return "", errors.Join(err, p.stop(0))
	}
	c.registry, c.registryURL = p, registryBase(port)
	return c.registryURL, nil
}

// RegistryURL is the base of the registry's Confluent API, as a client takes
// it; empty when no registry was asked for.
func (c *Cluster) RegistryURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registryURL
}

// Kill ends broker i as a crash does, with SIGKILL.
func (c *Cluster) Kill(i int) error { return c.brokers[i].stop(0) }

// Shutdown stops broker i in order, as an operator does, with SIGTERM.
func (c *Cluster) Shutdown(i int) error { return c.brokers[i].stop(stopTimeout) }

// Restart starts broker i again, with the same data and address, and returns
// when it serves. If it runs it is first stopped in order.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	if err := c.Shutdown(i); err != nil {
		return err
	}
	return c.brokers[i].start(ctx)
}

// Pause stops broker i from running, without ending it (SIGSTOP): its
// connections stay open and nothing answers.
func (c *Cluster) Pause(i int) error { return c.brokers[i].signal(sigPause) }

// Continue lets a paused broker run on.
func (c *Cluster) Continue(i int) error { return c.brokers[i].signal(sigContinue) }

// LogTail is the end of broker i's log, for a failed test's output.
func (c *Cluster) LogTail(i int) string { return c.brokers[i].logTail() }

// Stop ends every process and, unless the caller named the directory,
// deletes the data. A second call does nothing.
func (c *Cluster) Stop() error {
	timeout := time.Duration(0)
	if c.keep {
		timeout = stopTimeout
	}
	stops := []func() error{}
	for _, p := range c.brokers {
		stops = append(stops, func() error { return p.stop(timeout) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.registry != nil {
		stops = append(stops, func() error { return c.registry.stop(0) })
	}
	err := errors.Join(together(stops), c.reaper.close())
	c.slot.release()
	c.lock.Close()
	return err
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
