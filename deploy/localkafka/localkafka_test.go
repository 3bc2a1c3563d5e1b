package localkafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable makes this test binary a program that starts a cluster, says
// where, and waits to be killed.
const childVariable = "LOCALKAFKA_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	c, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.Dir())
	time.Sleep(time.Hour)
}

// patience is for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

func TestBrokerSurvivesKillPauseAndRestart(t *testing.T) {
	c := ForTest(t, Options{})
	addr := c.Brokers()[0]
	if err := ask(addr, patience); err != nil {
		t.Fatalf("a started broker does not answer: %v", err)
	}

	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := ask(addr, time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("a killed broker: %v, want connection refused", err)
	}
	if err := c.Pause(0); !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("pause a killed broker: %v, want %v", err, os.ErrProcessDone)
	}
	restart(t, c)

	if err := c.Pause(0); err != nil {
		t.Fatal(err)
	}
	err := ask(addr, time.Second)
	for begin := time.Now(); err == nil && time.Since(begin) < patience; { // a busy machine stops its threads one by one
		err = ask(addr, time.Second)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a paused broker: %v, want no answer", err)
	}
	if err := c.Continue(0); err != nil {
		t.Fatal(err)
	}
	if err := ask(addr, patience); err != nil {
		t.Fatalf("a continued broker does not answer: %v", err)
	}

	if err := c.Pause(0); err != nil {
		t.Fatal(err)
	}
	restart(t, c) // stops a paused one in order
}

func restart(t *testing.T, c *Cluster) {
	t.Helper()
	begin := time.Now()
	if err := c.Restart(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	t.Logf("restarted in %v", time.Since(begin))
	if err := ask(c.Brokers()[0], patience); err != nil {
		t.Fatalf("a restarted broker does not answer: %v", err)
	}
}

func TestCreateTopic(t *testing.T) {
	c := Shared(t)
	for range 2 { // one that exists stays
		if err := c.CreateTopic(t.Context(), "calls", 3); err != nil {
			t.Fatal(err)
		}
	}
	made := func() int {
		partitions, _ := filepath.Glob(filepath.Join(c.Dir(), "broker-1", "data", "calls-*"))
		return len(partitions)
	}
	// The controller answers before the broker has made them.
	if !within(patience, func() bool { return made() == 3 }) {
		t.Errorf("the topic has %d partitions, want 3", made())
	}
	if err := c.CreateTopic(t.Context(), "no good name", 3); err == nil {
		t.Error("a topic was created whose name is not allowed")
	}
}

func TestRegistryRefusesAnIncompatibleSchema(t *testing.T) {
	url := SharedRegistry(t)
	if again := SharedRegistry(t); again != url {
		t.Errorf("asked twice for the registry: %s, then %s", url, again)
	}
	call(t, http.MethodPut, url+"/config/s", `{"compatibility":"FULL_TRANSITIVE"}`, http.StatusOK)
	call(t, http.MethodPost, url+"/subjects/s/versions", schema(`{"name":"a","type":"string"}`), http.StatusOK)
	call(t, http.MethodPost, url+"/subjects/s/versions", schema(`{"name":"b","type":"string"}`), http.StatusConflict)
}

func schema(field string) string {
	return fmt.Sprintf(`{"schema":%q}`, `{"type":"record","name":"r","fields":[`+field+`]}`)
}

func call(t *testing.T, method, url, body string, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		t.Errorf("%s %s: %s, want %d: %s", method, url, res.Status, want, text)
	}
}

func TestThreeBrokersServeWithOneKilled(t *testing.T) {
	begin := time.Now()
	c := ForTest(t, Options{Brokers: 3})
	t.Logf("started in %v", time.Since(begin))
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		if err := ask(c.Brokers()[i], patience); err != nil {
			t.Errorf("broker %d: %v", i, err)
		}
	}
	if err := c.Restart(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	c, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	pid := readPid(t, c.Dir())
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("the second stop: %v", err)
	}
	gone(t, c.Dir(), pid)
}

func TestKilledProgramLeavesNothing(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	pid := readPid(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	gone(t, dir, pid)
}

func TestNoProcessAfterTheReaper(t *testing.T) {
	dir := t.TempDir()
	p := &process{name: "latecomer", dir: filepath.Join(dir, "p"), args: []string{"touch", "ran"}, ready: func([]byte) bool { return false }}
	ran := filepath.Join(p.dir, "ran")
	if err := p.start(t.Context()); err == nil || !exists(ran) {
		t.Fatalf("start: %v, ran: %v; want a process that ran and ended", err, exists(ran))
	}
	os.Remove(ran)
	if err := os.WriteFile(filepath.Join(dir, closedFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context()); err == nil || exists(ran) {
		t.Errorf("start after the reaper: %v, ran: %v", err, exists(ran))
	}
}

func TestNamedDirectoryKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second start finds a formatted directory
		c, err := Start(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Options{Dir: dir}); !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Errorf("a second cluster in one directory: %v, want %v", err, syscall.EWOULDBLOCK)
		}
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if !exists(filepath.Join(dir, "broker-1", "data", "meta.properties")) {
		t.Error("the data are gone")
	}
}

func TestFailedStartShowsTheLogAndKeepsIt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Start(t.Context(), Options{Props: map[string]string{"log.retention.ms": "soon"}})
	if err == nil {
		t.Fatal("a broker started with a setting that it cannot read")
	}
	if !strings.Contains(err.Error(), "Invalid value soon") {
		t.Errorf("the error does not say why: %v", err)
	}
	_, path, _ := strings.Cut(err.Error(), "the end of ")
	path, _, _ = strings.Cut(path, ":\n")
	if !exists(path) {
		t.Errorf("the log %q is gone: %v", path, err)
	}
	if exists(filepath.Join(filepath.Dir(path), "data")) {
		t.Error("the data stayed")
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	t.Setenv("TMPDIR", t.TempDir())
	_, err = Start(t.Context(), Options{Port: port})
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("start on a taken port: %v, want an error that names port %d", err, port)
	}
	if left, _ := filepath.Glob(os.TempDir() + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFreeAddressesAreOnesOwn(t *testing.T) {
	for _, a := range append(FreeAddresses(t, slotPorts), FreeAddresses(t, slotPorts)...) {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < firstPort || port >= 32768 {
			t.Errorf("port %d may be an outgoing connection's", port)
		}
	}
}

func TestMissingJavaSaysWhatToType(t *testing.T) {
	t.Setenv("JAVA_HOME", t.TempDir())
	_, err := Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("without Java: %v, want the line to type", err)
	}
}

func TestJavaVersion(t *testing.T) {
	for text, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`: 17,
		`openjdk version "21" 2023-09-19`:      21,
		`java version "1.8.0_292"`:             1,
		`no such thing`:                        0,
	} {
		if got := javaVersion([]byte(text)); got != want {
			t.Errorf("javaVersion(%q) = %d, want %d", text, got, want)
		}
	}
}

// ask sends an ApiVersions request, which any client's first request is, and
// reads the answer's head.
func ask(addr string, timeout time.Duration) error {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	const correlation = 7
	request := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, correlation, 0xff, 0xff}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var head [10]byte // length, correlation id, error code
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if id, code := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint16(head[8:]); id != correlation || code != 0 {
		return fmt.Errorf("answer %d with error code %d", id, code)
	}
	return nil
}

func readPid(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "broker-1", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits for a cluster's directory to disappear, and for its process,
// which was killed before: a broker whose files go ends too, but takes its time.
func gone(t *testing.T, dir string, pid int) {
	t.Helper()
	if !within(patience, func() bool { return !exists(dir) }) {
		t.Errorf("left behind: directory %s", dir)
	}
	if !within(patience/10, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }) {
		t.Errorf("left behind: process %d", pid)
	}
}

func within(timeout time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(timeout); !holds(); {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(readyPoll)
	}
	return true
}
