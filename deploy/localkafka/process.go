package localkafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	sigPause    = syscall.SIGSTOP
	sigContinue = syscall.SIGCONT

	// readyPoll is how often a starting process is asked whether it serves.
	readyPoll = 25 * time.Millisecond

	// tailLines and tailBytes are how much of a log an error shows.
	tailLines = 30
	tailBytes = 16 << 10
)

// launchScript writes the pid for the reaper and becomes Java, unless the
// reaper was there first. $1 is the process's directory.
const launchScript = `cd "$1" && echo $$ >pid && [ ! -e ../closed ] && shift && exec "$@"`

// process is one Java process, which may be started and stopped many times.
type process struct {
	name  string // as errors name it: "broker 1"
	dir   string // holds log, pid, tmp and whatever the process keeps
	args  []string
	ready func(log []byte) bool // does it serve? log: what it said since this start

	mu   sync.Mutex // held while starting and stopping; guards cmd and done
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// start runs the process and returns when it is ready. A process that runs
// is left alone.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil
	}
	from, err := p.launch()
	if err != nil {
		return fmt.Errorf("local Kafka: start %s: %w", p.name, err)
	}
	return p.await(ctx, from)
}

// launch starts the process with its log appended to and returns where in the
// log this start begins.
func (p *process) launch() (from int64, err error) {
	if err := os.MkdirAll(p.tmp(), 0o755); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	if from, err = log.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	cmd := exec.Command("sh", append([]string{"-c", launchScript, "sh", p.dir}, p.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go p.wait(cmd, p.done)
	return from, nil
}

func (p *process) wait(cmd *exec.Cmd, done chan struct{}) {
	_ = cmd.Wait() // how it ended is in cmd.ProcessState
	os.Remove(filepath.Join(p.dir, "pid"))
	close(done)
}

func (p *process) await(ctx context.Context, from int64) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("local Kafka: %s does not serve: %w\n%s", p.name, ctx.Err(), p.logTail())
		case <-p.done:
			return fmt.Errorf("local Kafka: %s ended while starting: %s\n%s", p.name, p.cmd.ProcessState, p.logTail())
		case <-tick.C:
			if log, err := readFrom(p.log(), from); err == nil && p.ready(log) {
				return nil
			}
		}
	}
}

// stop ends the process in order, and after timeout at once. A process that
// does not run is stopped already.
func (p *process) stop(timeout time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	if timeout > 0 {
		// A paused process gets SIGTERM only when it runs on.
		if err := errors.Join(p.send(syscall.SIGTERM), p.send(sigContinue)); err != nil {
			return err
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(timeout):
		}
	}
	err := p.send(syscall.SIGKILL)
	<-p.done
	return err
}

func (p *process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("local Kafka: signal %s: %w", p.name, os.ErrProcessDone)
	}
	return p.send(s)
}

func (p *process) send(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("local Kafka: signal %s: %w", p.name, err)
	}
	return nil
}

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) log() string { return filepath.Join(p.dir, "log") }
func (p *process) tmp() string { return filepath.Join(p.dir, "tmp") }

// logTail is the end of the log, headed by its path.
func (p *process) logTail() string {
	b, err := readFrom(p.log(), -tailBytes)
	if err != nil {
		return fmt.Sprintf("no log of %s: %v", p.name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return fmt.Sprintf("the end of %s:\n  %s", p.log(), strings.Join(lines, "\n  "))
}

// readFrom reads a file from an offset, which counts from the end when negative.
func readFrom(path string, from int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if from < 0 {
		end, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		from = max(0, end+from)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// ownGroup keeps a terminal's Ctrl-C from the process: its starter stops it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
