package faults

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exitLimit is how long a start may take to meet what it cannot read, and to end.
const exitLimit = 15 * time.Second

// find is something in an application's internal topics, or beside its offsets, that
// this program cannot read, and how the program ends when it is started on it.
type find struct {
	name  string
	leave func(*application)
	code  int
	says  []string // in the line that names the failure
}

const (
	newer   = "written by a newer program"
	damaged = "corrupt binary form"
)

// leg is the node of a leg that no call of the traffic has.
var leg = append(make([]byte, 16), 0xfe)

// timeOut is a node as it is stored, up to its timer: its form, what it has, and an
// instant that is long past, so that a start looks at it at once. The rest is missing.
var timeOut = slices.Concat([]byte{1, 0}, make([]byte, 8))

// later is a form that comes after those that any kind of value has today.
const later = 3

func finds() []find {
	const exchange, changelog = "exchange-repartition-1 offset ", "stitch task 1"
	return []find{
		// Whoever goes back to an older program, or upgrades one instance of several,
		// has state that the older one cannot read. It meets it when it restores,
		{"a newer node", state(leg, 'n', later), 6, []string{changelog, "node", newer}},
		{"newer clocks", state(nil, 'C', later), 6, []string{changelog, "clocks", newer}},
		{"a newer account", state(sourcePartition(), 'A', later), 6, []string{changelog, "account of call.raw-3", newer}},
		{"a newer book", state(sourcePartition(), 'B', later), 6, []string{changelog, "book of call.raw-3", newer}},
		{"state of a newer kind", state(leg, 'Z', 1), 6, []string{changelog, `kind 'Z'`, newer}},
		{"node state of a newer kind", state(leg, 'z', 1), 6, []string{changelog, "key of", newer}},
		// or before that, when it is assigned the partitions,
		{"newer metadata of an offset", offset("2 of another form"), 6, []string{"raw.", `form "2"`, newer}},
		{"newer metadata of a decode task", offset("1 owner 0 2 of another form"), 6, []string{"raw.", `form "2"`, newer}},
		// or as soon as an instance that was upgraded already sends it something.
		{"a newer event", sent(leg, 1, 0, later), 6, []string{exchange, "event", newer}},
		{"a newer message", sent(leg, 2, 0, 9), 6, []string{exchange, "message to", newer}},
		{"a record of a newer kind", sent(nil, 99), 6, []string{exchange, "kind 99", newer}},

		// Nothing that callstitch does damages a topic. A disk may, or a person.
		{"a damaged node", state(leg, 'n', 1, 0), 1, []string{changelog, "node", damaged}},
		{"a node damaged behind its timer", state(leg, 'n', timeOut...), 1, []string{changelog, "node", damaged}},
		{"a damaged tick", sent(nil, 3, 2), 1, []string{exchange, "tick", damaged}},
		{"a record of no kind", sent(nil, 0), 1, []string{exchange, "kind 0", damaged}},
		{"damaged metadata of an offset", offset("1 owner"), 5, []string{"raw.", "callstitch did not commit"}},
	}
}

// sourcePartition is partition 3 of call.raw, as keys of the state have it.
func sourcePartition() []byte { return append(binary.BigEndian.AppendUint32(nil, 3), "call.raw"...) }

// state leaves a value in the changelog, under a key of a kind.
func state(key []byte, kind byte, value ...byte) func(*application) {
	return func(a *application) {
		a.broker.write(a.t, a.id+"-stitch-changelog", append([]byte{kind}, key...), value)
	}
}

// sent leaves a record in the exchange.
func sent(key []byte, value ...byte) func(*application) {
	return func(a *application) { a.broker.write(a.t, a.id+"-exchange-repartition", key, value) }
}

// offset leaves metadata beside an offset of the raw topic.
func offset(metadata string) func(*application) {
	return func(a *application) { a.broker.remark(a.t, a.id, a.traffic.topic, metadata) }
}

// TestUnreadable starts the program on what it cannot read. It must not guess, nor
// wait, nor leave a trace of goroutines: it ends, and its exit code and one line on
// stderr tell whoever is woken at night which program to run.
func TestUnreadable(t *testing.T) {
	p := newProgram(t)
	traffic := newTraffic(t, p, fault{tenants: 1, parts: 20})
	if err := traffic.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range finds() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			in := &instance{app: newApplication(t, p, traffic, strings.ReplaceAll(f.name, " ", "-"), "workers: 1"), name: "instance"}
			in.start()
			in.awaitReady()
			in.awaitAllRead()
			in.signal(syscall.SIGTERM)
			in.awaitEnd()
			f.leave(in.app)
			in.start()
			in.awaitFailure(f.code, f.says)
		})
	}
}

// awaitAllRead waits until the raw records that were sent are processed, and every
// task has committed something.
func (in *instance) awaitAllRead() {
	in.app.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		read := in.app.broker.read(in.app.t, in.app.id, in.app.traffic.topic)
		if read == int64(in.app.traffic.sent) && in.app.broker.everyTaskHasRead(in.app.t, in.app.id) {
			return
		}
		if time.Now().After(deadline) {
			in.app.t.Fatalf("%s of %s has read %d of %d records", in.name, in.app.id, read, in.app.traffic.sent)
		}
	}
}

// awaitFailure expects the process to end with a code, and with a line on stderr that
// says all of that and what to do.
func (in *instance) awaitFailure(code int, says []string) {
	t := in.app.t
	t.Helper()
	select {
	case <-in.ended:
	case <-time.After(exitLimit):
		t.Fatalf("it runs on for more than %v", exitLimit)
	}
	if got := in.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	stderr, err := os.ReadFile(in.log())
	if err != nil {
		t.Fatal(err)
	}
	told := slices.DeleteFunc(lines(string(stderr)), func(line string) bool { return strings.HasPrefix(line, "{") }) // the log
	if len(told) != 1 || !strings.HasPrefix(told[0], "callstitch: ") {
		t.Fatalf("beside the log it says:\n%s", strings.Join(told, "\n"))
	}
	t.Log(told[0])
	for _, what := range append(says, "reset the application") {
		if !strings.Contains(told[0], what) {
			t.Errorf("it does not say %q:\n%s", what, told[0])
		}
	}
}
