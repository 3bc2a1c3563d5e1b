package faults

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// stopLimit is how long an instance may take to stop in order.
const stopLimit = 10 * time.Second

// instance is a process of `callstitch run`, and after a kill the next one, under a name that stays.
type instance struct {
	app    *application
	name   string
	starts int
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	err    error         // how it did
}

func (in *instance) start() {
	t := in.app.t
	t.Helper()
	in.starts++
	log, err := os.Create(in.log())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd, ended := in.app.command("run"), make(chan struct{})
	cmd.Env = append(os.Environ(), "CALLSTITCH_INSTANCE_ID="+in.name)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.cmd, in.ended = cmd, ended
	go func() {
		in.err = cmd.Wait()
		close(ended)
	}()
	file := in.log()
	t.Cleanup(func() {
		<-ended // the test's context kills it
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(file), tailOf(file))
		}
	})
}

func (in *instance) log() string {
	return filepath.Join(in.app.dir, fmt.Sprintf("%s.%d.log", in.name, in.starts))
}

// tailOf is the end of a file.
func tailOf(file string) string {
	const most = 4 << 10
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

func (in *instance) signal(s syscall.Signal) {
	in.app.t.Helper()
	if err := in.cmd.Process.Signal(s); err != nil {
		in.app.t.Fatalf("%s: %v", in.name, err)
	}
}

// kill is kill -9.
func (in *instance) kill() {
	in.app.t.Helper()
	in.signal(syscall.SIGKILL)
	<-in.ended
}

// awaitWork waits for a moment in which the instance has a transaction open.
func (in *instance) awaitWork() {
	in.app.t.Helper()
	for deadline := time.Now().Add(sending); len(in.transactions()) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// transactions are those that the instance has open.
func (in *instance) transactions() []string {
	in.app.t.Helper()
	return in.app.broker.transactions(in.app.t, in.app.id+"-"+in.name+"-")
}

// awaitEnd expects a process that was asked to stop to do so.
func (in *instance) awaitEnd() {
	in.app.t.Helper()
	select {
	case <-in.ended:
		if in.err != nil {
			in.app.t.Errorf("%s of %s stopped with %v", in.name, in.app.id, in.err)
		}
	case <-time.After(stopLimit):
		in.app.t.Errorf("%s of %s is not stopped after %v", in.name, in.app.id, stopLimit)
	}
}

// awaitReady waits until /readyz says that every worker is in the group and every
// task restored.
func (in *instance) awaitReady() {
	t := in.app.t
	t.Helper()
	for deadline := time.Now().Add(patience); !in.isReady(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-in.ended:
			t.Fatalf("%s of %s ended: %v", in.name, in.app.id, in.err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s of %s is not ready after %v", in.name, in.app.id, patience)
		}
	}
}

// served is in the log the address of the console.
var served = regexp.MustCompile(`"url":"(http://[^"]+/)"`)

// url is the address of the console, once it is served.
func (in *instance) url() string {
	log, err := os.ReadFile(in.log())
	if err != nil {
		return ""
	}
	if found := served.FindSubmatch(log); found != nil {
		return string(found[1])
	}
	return ""
}

func (in *instance) isReady() bool { return in.answers("readyz", time.Second) }

// answers reports whether a path of the console says 200 in time.
func (in *instance) answers(path string, timeout time.Duration) bool {
	url := in.url()
	if url == "" {
		return false
	}
	client := http.Client{Timeout: timeout}
	answer, err := client.Get(url + path)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
