package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/deploy/localkafka"
)

// benchBody is as long as providers' events are.
var benchBody = []byte(`{"uuid":"00000000-0000-4000-8000-000000000000","pad":"` + strings.Repeat("0123456789", 85) + `"}`)

// BenchmarkReceive posts events to `callstitch receive`, and beside that gives the same
// to a bare producer with the same promise, on one Apache Kafka. posts/cpu-s is by the
// processor time of the process that gives them to Kafka: what one core can take. Who
// posts is another process, on the same machine.
func BenchmarkReceive(b *testing.B) {
	cluster := localkafka.ForTest(b, localkafka.Options{LongLived: true})
	for _, clients := range []int{32, 256} {
		topic := fmt.Sprintf("bench-%d", clients)
		if err := cluster.CreateTopic(b.Context(), topic, 8); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("producer/clients=%d", clients), func(b *testing.B) {
			cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers()...), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(2*time.Millisecond))
			if err != nil {
				b.Fatal(err)
			}
			defer cl.Close()
			produce := func() error { return cl.ProduceSync(context.Background(), &kgo.Record{Value: benchBody}).FirstErr() }
			before := cpuTime(b)
			took := measure(b, clients, func() func() error { return produce })
			b.ReportMetric(float64(took)/(cpuTime(b)-before).Seconds(), "posts/cpu-s")
		})
		b.Run(fmt.Sprintf("receive/clients=%d", clients), func(b *testing.B) {
			d := benchDoor(b, cluster, topic)
			took := measure(b, clients, func() func() error {
				client := &http.Client{Transport: &http.Transport{}}
				return func() error { return postOnce(client, d.url) }
			})
			b.ReportMetric(float64(took)/d.stop(b).Seconds(), "posts/cpu-s")
		})
	}
}

// listening is in the log where the door listens.
var listening = regexp.MustCompile(`"msg":"events are taken","address":"([^"]+)"`)

// warmUp is how many calls go before those that count.
const warmUp = 2000

// measure has b.N calls done by so many clients, and reports how many a second, and how
// long they took. It returns how many there were in all.
func measure(b *testing.B, clients int, newClient func() func() error) (calls int) {
	do := make([]func() error, clients)
	for i := range do {
		do[i] = newClient()
	}
	run := func(n int) []time.Duration {
		var next atomic.Int64
		var all sync.WaitGroup
		took := make([][]time.Duration, clients)
		for c := range clients {
			all.Go(func() {
				for next.Add(1) <= int64(n) {
					begun := time.Now()
					if err := do[c](); err != nil {
						b.Error(err)
						return
					}
					took[c] = append(took[c], time.Since(begun))
				}
			})
		}
		all.Wait()
		return slices.Concat(took...)
	}
	run(warmUp)
	b.ResetTimer()
	took := run(b.N)
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(float64(took[int(q*float64(len(took)-1))].Microseconds())/1000, fmt.Sprintf("p%.0f-ms", 100*q))
	}
	return warmUp + b.N
}

func postOnce(client *http.Client, url string) error {
	answer, err := client.Post(url, "application/json", strings.NewReader(string(benchBody)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("answered with %s", answer.Status)
	}
	return nil
}

// cpuTime is the processor time that this process has taken.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// benchedDoor is a process of `callstitch receive`.
type benchedDoor struct {
	cmd *exec.Cmd
	url string
}

func benchDoor(b *testing.B, cluster *localkafka.Cluster, topic string) *benchedDoor {
	b.Helper()
	dir := b.TempDir()
	program, config, logs := filepath.Join(dir, "callstitch"), filepath.Join(dir, "callstitch.yaml"), filepath.Join(dir, "log")
	text := fmt.Sprintf(`
kafka: {brokers: ["%s"]}
receive:
  listen: "127.0.0.1:0"
  topic: %s
  probe_period: 0s
  spool: {dir: "%s"}
  endpoints: [{path: /events, provider: bandwidth, auth: {none: true}}]
  http: {listen: ""}
log: {format: json}
`, cluster.Brokers()[0], topic, filepath.Join(dir, "spool"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(logs)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "callstitch/cmd/callstitch").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	d := &benchedDoor{cmd: exec.CommandContext(b.Context(), program, "receive", "-c", config)}
	d.cmd.Stderr = log
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(logs)
		if at := listening.FindSubmatch(text); err == nil && at != nil {
			d.url = "http://" + string(at[1]) + "/events"
			return d
		}
	}
	b.Fatalf("callstitch receive does not listen:\n%s", tailOf(logs))
	return nil
}

// stop stops the process in order, and returns the processor time that it took.
func (d *benchedDoor) stop(b *testing.B) time.Duration {
	b.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		b.Error(err)
	}
	return d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime()
}
