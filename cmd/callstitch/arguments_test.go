package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"callstitch/topology/kafka"
)

// said runs a command line that is wrong, and returns what it says.
func said(t *testing.T, args ...string) string {
	t.Helper()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	cmd, err := root.ExecuteC()
	if code := exitCode(err); code != exitUsage {
		t.Errorf("%q: exit code %d, %v", args, code, err)
		return ""
	}
	var b bytes.Buffer
	report(&b, cmd, err)
	return b.String()
}

// each visits every command with its path.
func each(cmd *cobra.Command, visit func(*cobra.Command, []string)) {
	for _, c := range cmd.Commands() {
		visit(c, strings.Fields(c.CommandPath())[1:])
		each(c, visit)
	}
}

// Every command says what it needs, with an example, where its arguments are missing,
// too many, or of the wrong kind.
func TestEveryCommandSaysWhatItNeeds(t *testing.T) {
	missing := map[string]string{ // arguments, or what the configuration must have
		"tail":         "tail needs TOPIC: TOPIC is an output topic",
		"seek":         "seek needs TOPIC PARTITION OFFSET: TOPIC is a source, PARTITION is a number from 0",
		"abort":        "abort needs TOPIC PARTITION: TOPIC is any topic, PARTITION is a number from 0",
		"clock":        "sources is required, such as [{topic: call.raw}]",
		"clock drop":   "clock drop needs TOPIC PARTITION: TOPIC is a source, PARTITION is a number from 0",
		"explain":      "explain needs ID, or TOPIC PARTITION OFFSET: ID is that of a session",
		"run":          "sources is required, such as [{topic: call.raw}]",
		"check":        "kafka.brokers is required, such as",
		"await":        "sources is required, such as",
		"compare":      "compare needs A B: A is a configuration, a topic, or a file of sessions, B is another one",
		"rejects show": "rejects show needs TOPIC PARTITION OFFSET, or PLACE: TOPIC is that of the rejects",
		"reset":        "sources is required, such as",
	}
	each(newRoot(), func(cmd *cobra.Command, path []string) {
		name := strings.Join(path, " ")
		example := "\nfor example: callstitch " + name
		if !strings.HasPrefix(strings.TrimSpace(cmd.Example), "callstitch "+path[0]) {
			t.Errorf("%s has no example that begins with it", name)
		}
		if want, ok := missing[name]; ok {
			if got := said(t, path...); !strings.Contains(got, want) || !strings.Contains(got, example) {
				t.Errorf("%s without arguments says %q", name, got)
			}
		} else if strings.Contains(cmd.Use, " ") && !strings.Contains(cmd.Use, "[") {
			t.Errorf("%s needs arguments: what does it say without them?", name)
		}
		if strings.Contains(cmd.Use, "…") {
			if got := said(t, append(path, "")...); !strings.Contains(got, `, not ""`) || !strings.Contains(got, example) {
				t.Errorf("%s with an empty argument says %q", name, got)
			}
		} else if got := said(t, append(slices.Clone(path), "1", "2", "3", "4", "5")...); !strings.Contains(got, `"1"`) || !strings.Contains(got, "callstitch: "+name+" ") || !strings.Contains(got, "\nfor example: callstitch "+path[0]) {
			t.Errorf("%s with five arguments says %q", name, got)
		}
		if got := said(t, append(slices.Clone(path), "--nonsense")...); !strings.Contains(got, "unknown flag: --nonsense; see 'callstitch "+name+" --help'") {
			t.Errorf("%s with a flag that it does not have says %q", name, got)
		}
	})
}

func TestWrongArguments(t *testing.T) {
	for line, want := range map[string]string{
		"nonsense":                            `unknown command "nonsense"`,
		"schemas nonsense":                    `schemas has no command "nonsense": it has check, print, register`,
		"clock dropp call.raw 1":              `clock has no command "dropp": it has drop`,
		"schemas print CallNothing":           `SCHEMA is CallEvent, CallSession, CallLeg or CallAudit, not "CallNothing"`,
		"schemas check x":                     `schemas check takes no arguments, and got ["x"]`,
		"seek call.raw a -":                   "PARTITION is a number from 0, not \"a\"\nOFFSET is a number from 0, not \"-\"",
		"seek call.raw 0 -1":                  "-1 is no flag, and no argument of seek is below 0",
		"seek call.raw 0 9223372036854775808": `OFFSET is a number from 0, not "9223372036854775808"`,
		"explain call.raw 2147483648 1":       `PARTITION is a number from 0, not "2147483648"`,
		"explain a b":                         `explain needs ID, or TOPIC PARTITION OFFSET, and got ["a" "b"]: ID is that of a session`,
		"simulate --calls x":                  `--calls takes N (N calls to make; 0 never ends), not "x"`,
		"tail call.sessions -n":               "--count needs N (end after N records; 0 does not count)",
		"tail call.sessions":                  "--brokers or kafka.brokers is required",
		"demo --for 3":                        `--for takes TIME, such as 90s, 10m or 2h, (TIME after which it ends; 0 is Ctrl-C), not "3"`,
	} {
		if got := said(t, strings.Fields(line)...); !strings.HasPrefix(got, "callstitch: "+want) || !strings.Contains(got, "\nfor example: callstitch ") {
			t.Errorf("%s says %q", line, got)
		}
	}
}

// What a command could not connect to is said with what to do, once.
func TestConnectionAdvice(t *testing.T) {
	refused := fmt.Errorf("find offsets: %w", kerr.SaslAuthenticationFailed)
	advised := fmt.Errorf("%w: %s", refused, kafka.ConnectionAdvice(refused))
	for err, want := range map[error]int{refused: 1, advised: 1, errors.New("another"): 0} {
		var said strings.Builder
		report(&said, newTail(), ran{err})
		if got := strings.Count(said.String(), "kafka.sasl.password_file"); got != want {
			t.Errorf("%v: said %d times in %q", err, got, said.String())
		}
	}
}
