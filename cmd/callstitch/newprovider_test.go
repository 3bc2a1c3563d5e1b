package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fictional provider, Halloo, is added in the places that docs/providers.md
// names, and nowhere else. Its files are in testdata/newprovider; its rows are
// here, each with the line that it follows.
const newProviderFolder = "testdata/newprovider"

var newProviderFiles = map[string]string{
	"processor/decode/halloo.go":   "decode.go",
	"internal/simulator/halloo.go": "simulator.go",
}

var newProviderRows = []struct{ file, after, row string }{
	{"processor/call/provider.go", "\tBandwidth\n", "\tHalloo\n"},
	{"processor/call/provider.go", "\tBandwidth:  {name: \"bandwidth\"},\n", "\tHalloo: {name: \"halloo\"},\n"},
	{"processor/decode/providers.go", "\tcall.Bandwidth: bandwidth,\n", "\tcall.Halloo: halloo,\n"},
	{"processor/session/dialect.go", "transfers: []transferRule{byRedial, byReferral},\n\t},\n", `
	call.Halloo: {
		answersInbound: true,
		words:          map[string]saying{"handed-over": passedBlind},
		transfers:      []transferRule{byCause},
	},
`},
	{"internal/simulator/feed.go", "&sonetel, &bandwidth", ", &halloo"},
}

// TestANewProviderTakesFivePlaces builds the program with the provider added,
// gives it the provider's events, and lets the simulator's tests compare what is
// drawn of it with what comes out.
func TestANewProviderTakesFivePlaces(t *testing.T) {
	overlay := addNewProvider(t)
	program := filepath.Join(t.TempDir(), "callstitch")
	goCommand(t, "build", "-overlay", overlay, "-o", program, ".")

	process := exec.Command(program, "process", filepath.Join(newProviderFolder, "events.ndjson"))
	var sessions, counts bytes.Buffer
	process.Stdout, process.Stderr = &sessions, &counts
	if err := process.Run(); err != nil {
		t.Fatalf("%v: %s", err, counts.String())
	}
	var got []string
	for line := range strings.Lines(sessions.String()) {
		got = append(got, summary(t, line))
	}
	want := []string{
		"halloo INBOUND ANSWERED by UNKNOWN, 3 legs, 1 transfer BLIND COMPLETED, talk 48100",
		"halloo OUTBOUND BUSY by UNKNOWN, 1 legs, 0 transfer, talk 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s%s", diff, counts.String())
	}
	help, err := exec.Command(program, "process", "--help").Output()
	if err != nil || !strings.Contains(string(help), "bandwidth or halloo") {
		t.Errorf("the help does not list the provider: %v\n%s", err, help)
	}
	goCommand(t, "test", "-overlay", overlay, "-run", "TestEveryProviderIsSimulated|TestTruthComesOut/(plain|transfers|duplicates)",
		"../../internal/simulator", "-calls", "300")
}

// addNewProvider writes the overlay of a tree that has the provider.
func addNewProvider(t *testing.T) (overlay string) {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	for file, source := range newProviderFiles {
		replace[inModule(t, file)] = absolute(t, filepath.Join(newProviderFolder, source))
	}
	texts := map[string]string{}
	for _, r := range newProviderRows {
		text, read := texts[r.file]
		if !read {
			content, err := os.ReadFile(inModule(t, r.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(content)
		}
		if strings.Count(text, r.after) != 1 {
			t.Fatalf("%s has not one place for the row of a new provider: %d times %q", r.file, strings.Count(text, r.after), r.after)
		}
		texts[r.file] = strings.Replace(text, r.after, r.after+r.row, 1)
	}
	for file, text := range texts {
		changed := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[inModule(t, file)] = changed
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func inModule(t *testing.T, file string) string {
	t.Helper()
	return absolute(t, filepath.Join("../..", filepath.FromSlash(file)))
}

func absolute(t *testing.T, file string) string {
	t.Helper()
	full, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func goCommand(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// summary is a session in a line.
func summary(t *testing.T, line string) string {
	t.Helper()
	var s struct {
		Provider    string `json:"provider"`
		Direction   string `json:"direction"`
		Disposition string `json:"disposition"`
		AnsweredBy  string `json:"answered_by"`
		Legs        int    `json:"leg_count"`
		Transfers   []struct {
			Type   string `json:"type"`
			Result string `json:"result"`
		} `json:"transfers"`
		Talk *int64 `json:"talk_ms"`
	}
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s %s %s by %s, %d legs, %d transfer", s.Provider, s.Direction, s.Disposition, s.AnsweredBy, s.Legs, len(s.Transfers))
	for _, transfer := range s.Transfers {
		text += " " + transfer.Type + " " + transfer.Result
	}
	if s.Talk != nil {
		text += fmt.Sprintf(", talk %d", *s.Talk)
	}
	return text
}
