package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"callstitch": main})
}

// TestBroker runs the command lines that meet a broker and a registry, each
// script with its own of both.
func TestBroker(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/broker",
		Deadline:      time.Now().Add(time.Minute), // a record that never comes is waited for no longer
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, rawTopic))
			if err != nil {
				return err
			}
			registry := srfake.New()
			env.Defer(func() {
				registry.Close()
				broker.Close()
			})
			env.Setenv("NO_COLOR", "1")
			env.Setenv("AN_HOUR_AGO", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
			listen, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("LISTEN", listen.Addr().String())
			if err := listen.Close(); err != nil {
				return err
			}
			env.Setenv("CALLSTITCH_KAFKA_BROKERS", broker.ListenAddrs()[0])
			env.Setenv("CALLSTITCH_SCHEMA_REGISTRY_URL", registry.URL())
			return nil
		},
		Cmds: scriptCommands,
	})
}

// TestScript runs the command lines in testdata/script. They are the record of
// what users and their scripts rely on.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: scriptCommands,
	})
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "lines": countLines, "enlarge": enlarge, "crlf": crlf, "eventually": eventually, "pick": pick, "without": without, "expand": expand,
}

// exits runs a command that must end with a status: exits 2 callstitch nonsense.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG…]")
	}
	want, got := args[0], 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run: %v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("exit status %d, want %s", got, want)
	}
}

// eventually runs a command again until it succeeds, for half a minute.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: eventually COMMAND [ARG…]")
	}
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
	}
	ts.Fatalf("it never succeeds: %v", err)
}

// countLines holds the number of lines of a file against a number: lines stdout 3.
func countLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	if n := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has %d lines, want %s", args[0], n, args[1])
	}
}

// enlarge makes an event of a given size out of a template: its PAD becomes that
// many bytes.
func enlarge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: enlarge TEMPLATE BYTES FILE")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := strings.Replace(ts.ReadFile(args[0]), "PAD", strings.Repeat("x", n), 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// crlf gives a file the line ends of Windows.
func crlf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crlf FILE NEW")
	}
	text := bytes.ReplaceAll([]byte(ts.ReadFile(args[0])), []byte("\n"), []byte("\r\n"))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

// pick sets a variable to a field of the first line of a file, one JSON object a
// line, that matches a pattern: pick ID session_id truth.ndjson '"leg_count":2'.
// A slash leads to a field of a field.
func pick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: pick VARIABLE FIELD FILE PATTERN")
	}
	line := regexp.MustCompile("(?m)^.*" + args[3] + ".*$").FindString(ts.ReadFile(args[2]))
	var value any
	if err := json.Unmarshal([]byte(line), &value); err != nil {
		ts.Fatalf("no line of %s matches %s: %v", args[2], args[3], err)
	}
	for name := range strings.SplitSeq(args[1], "/") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// without drops the lines of a file that match a pattern: without FILE PATTERN.
func without(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: without FILE PATTERN")
	}
	lines := regexp.MustCompile("(?m)^.*" + args[1] + ".*\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), lines.ReplaceAll([]byte(ts.ReadFile(args[0])), nil), 0o600))
}

// expand fills the variables that a file names with $ in: expand FILE.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// Who signals a process and its group sends one signal twice: that is no second one.
func TestOneSignalComesTwice(t *testing.T) {
	ctx, stop := untilSignal()
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second would end the tests
		if err := self.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the signal is not heard")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
