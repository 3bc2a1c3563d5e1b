package kafka_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sample is a subject's progress and what it and the broker have used by then.
type sample struct {
	progress
	self, broker time.Duration // CPU time
	rss          int64         // of the subject, bytes
}

// running is a subject's process.
type running struct {
	b       *testing.B
	cmd     *exec.Cmd
	stop    func() error
	samples chan sample
	broker  int // pid
	log     strings.Builder
}

// start runs a subject.
func start(b *testing.B, s subject, broker int) *running {
	b.Helper()
	spec, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"-test.run=^$", "-test.bench=^BenchmarkKafka$", "-test.benchtime=1x", "-test.timeout=0", "-codec=" + *codec, "-subject=" + string(spec)}
	if *profiles != "" && !s.Plain {
		args = append(args, "-test.cpuprofile="+filepath.Join(*profiles, s.App+".prof"), "-test.memprofile="+filepath.Join(*profiles, s.App+".mem"))
	}
	r := &running{b: b, cmd: exec.Command(os.Args[0], args...), samples: make(chan sample, 10_000), broker: broker}
	r.cmd.Stderr = &r.log
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r.stop = stdin.Close
	go r.read(bufio.NewScanner(stdout))
	return r
}

// read takes a sample with each line of progress.
func (r *running) read(lines *bufio.Scanner) {
	defer close(r.samples)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), progressMark)
		var s sample
		if !ok || json.Unmarshal([]byte(text), &s.progress) != nil {
			fmt.Fprintln(&r.log, lines.Text())
			continue
		}
		s.self, s.broker, s.rss = cpu(r.cmd.Process.Pid), cpu(r.broker), memory(r.cmd.Process.Pid, "VmRSS")
		r.samples <- s
	}
}

// drain lets go of samples that nobody takes.
func (r *running) drain() {
	for range r.samples {
	}
}

// next is the next sample.
func (r *running) next(within time.Duration) sample {
	r.b.Helper()
	select {
	case s, ok := <-r.samples:
		if !ok {
			r.b.Fatalf("%s ended:\n%s", r.cmd, r.log.String())
		}
		return s
	case <-time.After(within):
		r.b.Fatalf("%s made no progress within %v", r.cmd, within)
	}
	panic("unreachable")
}

// end stops the process and waits for it. What it printed since is lost.
func (r *running) end() {
	r.b.Helper()
	if err := r.stop(); err != nil {
		r.b.Fatal(err)
	}
	r.drain()
	if err := r.cmd.Wait(); err != nil {
		r.b.Fatalf("%v:\n%s", err, r.log.String())
	}
}

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every platform
// that Go runs Linux on.
const clockTick = 10 * time.Millisecond

// cpu is the CPU time that a process has used.
func cpu(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is a name in parentheses, in which anything may stand.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

// memory is a field of a process's status, in bytes.
func memory(pid int, field string) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			kb, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// median of the values that of picks; 0 of nothing.
func median[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = of(v)
	}
	return quantile(values, 0.5)
}

// quantile sorts values.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

// machine describes where the figures come from.
func machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	out, _ := exec.CommandContext(context.Background(), "nproc").Output()
	return fmt.Sprintf("%s, %s cores", model, strings.TrimSpace(string(out)))
}
