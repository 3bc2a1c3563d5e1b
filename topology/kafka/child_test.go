package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// childVariable makes the test binary an instance that runs until it is killed,
// or kills itself: its value is a childConfig as JSON.
const childVariable = "CALLSTITCH_TEST_CHILD"

type childConfig struct {
	Brokers  []string
	Name     string // of the test: topics and group
	Instance string
	Workers  int
	Replicas int16 // 0: 1
	Crash    crashPoint
	Settled  time.Duration // sessions settle so long after they closed; 0: they do not
	Reset    bool          // the application, in place of running it
	From     int32         // the generation that a reset follows
	To       string        // where a reset has the sources begin
}

// crashPoint is a step of the protocol, seen from the wire: the N-th time that
// a request of a kind was written, or its answer read but not acted upon yet.
// Kill -9 there, whatever else is under way.
type crashPoint struct {
	Read bool
	Key  int16
	N    int64
}

func (c crashPoint) String() string {
	if c.N == 0 {
		return "none"
	}
	verb := "sent"
	if c.Read {
		verb = "answered"
	}
	return fmt.Sprintf("%s %d %s", requestNames[c.Key], c.N, verb)
}

var requestNames = map[int16]string{
	0: "Produce", 1: "Fetch", 8: "OffsetCommit", 9: "OffsetFetch", 11: "JoinGroup", 14: "SyncGroup", 19: "CreateTopics", 20: "DeleteTopics",
	22: "InitProducerID", 26: "EndTxn", 28: "TxnOffsetCommit", 42: "DeleteGroups",
}

// dying kills the process at its crash point.
type dying struct {
	at    crashPoint
	count atomic.Int64
}

func (d *dying) step(read bool, key int16) {
	if d.at.N > 0 && read == d.at.Read && key == d.at.Key && d.count.Add(1) == d.at.N {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d *dying) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		d.step(false, key)
	}
}

func (d *dying) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		d.step(true, key)
	}
}

func TestMain(m *testing.M) {
	if spec := os.Getenv(childVariable); spec != "" {
		os.Exit(child(spec))
	}
	os.Exit(m.Run())
}

func child(spec string) int {
	var c childConfig
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cfg := Config{
		Config: named(testTopology(4), c.Name), Brokers: c.Brokers, Workers: c.Workers,
		Client: []kgo.Opt{kgo.WithHooks(&dying{at: c.Crash})}, SessionTimeout: 6 * time.Second, InstanceID: c.Instance,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), schemas: schemaIDs{},
	}
	cfg.Output.ReplicationFactor, cfg.Stitch.Generation = c.Replicas, c.From
	cfg.Stitch.Settled, cfg.Stitch.SettledAfter = c.Settled > 0, c.Settled
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	do := func() error { return Run(ctx, cfg, nil) }
	if c.Reset {
		do = func() error { return resetNow(ctx, cfg, c.To) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// instance is a child process.
type instance struct {
	cmd  *exec.Cmd
	log  *strings.Builder
	done chan error
}

func startChild(t *testing.T, c childConfig) *instance {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{cmd: exec.Command(os.Args[0]), log: new(strings.Builder), done: make(chan error, 1)}
	in.cmd.Env = append(os.Environ(), childVariable+"="+string(spec))
	in.cmd.Stderr = in.log
	if err := in.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { in.done <- in.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			in.cmd.Process.Signal(syscall.SIGQUIT) // has it print its goroutines
			in.ends(2 * time.Second)
		}
		in.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("%s of %s:\n%s", c.Instance, c.Crash, in.log)
		}
	})
	return in
}

// ends waits for the process; it reports whether it killed itself.
func (in *instance) ends(within time.Duration) bool {
	select {
	case err := <-in.done:
		in.done <- err
		return err != nil && in.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	case <-time.After(within):
		return false
	}
}

func signalTo(t *testing.T, in *instance, s syscall.Signal) {
	t.Helper()
	if err := in.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
