//go:build packages

package verify

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is this machine, in which anything may be done: its root is an overlay over the
// real one, in a mount namespace of its own, and is gone with the test. Processes, network
// and users' numbers are the real machine's. It has no systemd: systemctl writes down what
// it was told.
type machine struct {
	pid  int
	root string
}

const chroot = "/usr/sbin/chroot"

// newMachine needs root: in a user namespace the kernel lays nothing over the real root.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal(`root is needed, to lay a directory over this machine; type: sudo env "PATH=$PATH" make packages`)
	}
	m := &machine{root: t.TempDir()}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", `
		cd "$1"
		mount -t tmpfs -o size=1g,mode=755 tmpfs .
		cd "$1"
		mkdir upper work root
		mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
		for dir in proc sys dev; do mount --rbind /$dir root/$dir; done
		mkdir -p root/run/systemd/system
		rm -f root/usr/bin/systemctl # rpm looks nowhere else
		printf '%s\n' '#!/bin/sh' 'echo "$*" >>/run/systemctl' >root/usr/bin/systemctl
		chmod 755 root/usr/bin/systemctl
		: >root/run/systemctl
		echo ready
		exec sleep infinity`, "sh", m.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("no overlay over this machine: %s", failed.String())
	}
	m.pid, m.root = cmd.Process.Pid, m.root+"/root"
	return m
}

// command is one that runs in the machine, as its root. It becomes the process that is started.
func (m *machine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(m.pid), "--mount", chroot, m.root, name}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// run runs one in the machine and returns what it prints.
func (m *machine) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := m.command(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("in the machine: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fails runs one in the machine that must not succeed.
func (m *machine) fails(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := m.command(t.Context(), name, args...).CombinedOutput(); err == nil {
		t.Errorf("in the machine: %s %s succeeds:\n%s", name, strings.Join(args, " "), out)
	}
}

// write puts a file into the machine. What it replaces keeps its mode and owner.
func (m *machine) write(t *testing.T, name string, content io.Reader) {
	t.Helper()
	cmd := m.command(t.Context(), "sh", "-c", `cat >"$1"`, "sh", name)
	cmd.Stdin = content
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write %s: %v\n%s", name, err, out)
	}
}

// told returns what systemctl was told since it was last asked.
func (m *machine) told(t *testing.T) string {
	t.Helper()
	return m.run(t, "sh", "-c", "cat /run/systemctl; : >/run/systemctl")
}

// unit is what systemd would do with a unit's file.
type unit map[string]string

func (m *machine) unit(t *testing.T, name string) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(m.run(t, "cat", "/usr/lib/systemd/system/"+name)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u[key] = value
		}
	}
	return u
}

// verifyUnits has systemd read them. It remarks on what it does not know, and passes over it.
func (m *machine) verifyUnits(t *testing.T) {
	t.Helper()
	out := m.run(t, "systemd-analyze", append([]string{"verify", "--man=no"}, units...)...)
	for line := range strings.Lines(out) {
		if strings.Contains(line, "callstitch") { // and not on units of others
			t.Error(line)
		}
	}
}

// service is a started unit.
type service struct {
	t   *testing.T
	cmd *exec.Cmd
	log *bytes.Buffer
}

// start runs ExecStart as systemd would: its words, as its user without any right, with
// the variables of its file, beside its state directory.
func (m *machine) start(t *testing.T, name string) *service {
	t.Helper()
	u := m.unit(t, name)
	m.run(t, "install", "-d", "-o", u["User"], "-g", u["Group"], "-m", u["StateDirectoryMode"], "/var/lib/"+u["StateDirectory"])
	args := append([]string{
		"--pdeathsig", "KILL", "--reuid", u["User"], "--regid", u["Group"], "--init-groups",
		"--no-new-privs", "--inh-caps", "-all", "--bounding-set", "-all",
	}, strings.Fields(u["ExecStart"])...)
	s := &service{t, m.command(context.Background(), "setpriv", args...), &bytes.Buffer{}}
	for line := range strings.Lines(m.run(t, "cat", strings.TrimPrefix(u["EnvironmentFile"], "-"))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			s.cmd.Env = append(s.cmd.Env, line)
		}
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, s.log)
		}
	})
	return s
}

// stop ends it as systemd does, and holds it to the time that its unit gives it.
func (s *service) stop(within time.Duration) {
	s.t.Helper()
	slow := time.AfterFunc(within, func() { _ = s.cmd.Process.Kill() })
	defer slow.Stop()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("%v: it did not end well within %v:\n%s", err, within, s.log)
	}
}

// program is the file that it runs, as the kernel tells.
func (s *service) program() string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid))
	if err != nil {
		s.t.Error(err)
	}
	return name
}
