package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before it counts as never.
const patience = 2 * time.Minute

// application is an application_id with its instances, its output topics and a
// reader that watches them.
type application struct {
	*program
	t         *testing.T
	id        string
	dir       string
	traffic   *traffic
	instances []*instance
	settles   bool // its configuration says so

	sessions *reader[session]
	settled  *reader[session]
	books    *reader[book]
}

// configuration is what differs from the defaults.
const configuration = `
application_id: %[1]s
kafka: {brokers: ["%[2]s"]}
schema_registry: {url: "%[3]s"}
sources: [{topic: %[4]s}]
topics: {prefix: "%[1]s-"}
http: {listen: "127.0.0.1:0"}
log: {format: json}
`

// newApplication may have more lines of configuration than the usual.
func newApplication(t *testing.T, p *program, tr *traffic, id string, more ...string) *application {
	t.Helper()
	a := &application{program: p, t: t, id: id, dir: t.TempDir(), traffic: tr}
	text := fmt.Sprintf(configuration, id, p.cluster.Brokers()[0], p.registry, tr.topic) + strings.Join(more, "\n")
	if err := os.WriteFile(a.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *application) config() string { return filepath.Join(a.dir, "callstitch.yaml") }

func (a *application) topic(name string) string { return a.id + "-" + name }

// command is a command line of callstitch with the application's configuration.
func (a *application) command(args ...string) *exec.Cmd {
	return exec.CommandContext(a.t.Context(), a.path, append(args, "-c", a.config())...)
}

// begin starts instances until there are n, and once they are ready the readers.
func (a *application) begin(n int) {
	a.t.Helper()
	for i := len(a.instances); i < n; i++ {
		in := &instance{app: a, name: fmt.Sprintf("instance-%d", i+1)}
		a.instances = append(a.instances, in)
		in.start()
	}
	a.awaitReady()
	if a.sessions == nil && a.settles {
		a.settled = follow[session](a, "call.settled")
	}
	if a.sessions == nil {
		a.sessions, a.books = follow[session](a, "call.sessions"), follow[book](a, "call.audit")
	}
}

func (a *application) awaitReady() {
	a.t.Helper()
	for _, in := range a.instances {
		in.awaitReady()
	}
}

// meanwhile does something while the next part of the traffic comes in.
func (a *application) meanwhile(do func()) {
	a.t.Helper()
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := a.traffic.send(a.t.Context()); err != nil {
			a.t.Error(err)
		}
	})
	defer sending.Wait()
	do()
}

// end waits until everything is in closed sessions, stops the instances, and looks
// at all that is there then.
func (a *application) end() {
	a.t.Helper()
	begun := time.Now()
	a.await("every event to be in a session that is closed, and each of those to have settled", a.isClosed)
	closed := time.Since(begun)
	a.awaitReady() // none has ended or stands still
	a.stop(a.instances)
	o := a.outcome()
	for _, wrong := range o.wrongs() {
		a.t.Error(wrong)
	}
	a.noTransactionIsOpen()
	a.t.Logf("%s: %d raw records, %d calls, %d session records, %d settled, %v after the last was sent",
		a.id, len(a.traffic.records), len(a.traffic.truth), len(o.watched), len(o.settled), closed.Round(time.Millisecond))
}

// stop stops instances in order, all at once.
func (a *application) stop(instances []*instance) {
	a.t.Helper()
	for _, in := range instances {
		in.signal(syscall.SIGTERM)
	}
	for _, in := range instances {
		in.awaitEnd()
	}
	for _, in := range instances {
		if ids := a.broker.members(a.t, a.id, a.id+"-"+in.name+"-"); len(ids) > 0 {
			a.t.Errorf("the group waits for %v, which have stopped", ids)
		}
	}
}

// booksAreClosed reports whether the books hold every record that was sent.
func (a *application) booksAreClosed() bool {
	return total(lastBooks(a.books.all())).Read == int64(a.traffic.sent)
}

// isClosed reports whether besides every accepted event is in a session that is closed, and
// has settled where they do.
func (a *application) isClosed() bool {
	has := map[string]bool{}
	if a.settles {
		for _, s := range a.settled.all() {
			has[s.ID] = true
		}
	}
	events := total(lastBooks(a.books.all())).Accepted
	for _, s := range lastSessions(a.sessions.all()) {
		if s.State == "PARTIAL" {
			return false
		}
		if s.State == "FINAL" {
			events -= s.Events
		}
		if s.State == "FINAL" && a.settles && !has[s.ID] {
			return false
		}
	}
	return a.booksAreClosed() && events == 0
}

// await waits for something to become true. If it does not the test goes on, to show
// what is wrong.
func (a *application) await(what string, is func() bool) {
	a.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.t.Errorf("%s: waited %v for %s; the books hold %d of %d records",
				a.id, patience, what, total(lastBooks(a.books.all())).Read, a.traffic.sent)
			return
		}
	}
}
