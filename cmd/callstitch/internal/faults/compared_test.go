package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"callstitch/internal/simulator"
)

// comparison is what `callstitch compare` says.
type comparison struct {
	Equal     int                      `json:"equal"`
	Differing int                      `json:"differing"`
	Excepted  int                      `json:"excepted"`
	Pending   int                      `json:"pending"`
	OnlyA     struct{ Sessions int }   `json:"only_in_a"`
	OnlyB     struct{ Sessions int }   `json:"only_in_b"`
	Fields    []struct{ Field string } `json:"fields"`
	Examples  []struct {
		ID      string   `json:"session_id"`
		Explain []string `json:"explain"`
	} `json:"examples"`
}

// standing is what `callstitch await` says.
type standing struct {
	CaughtUp  bool     `json:"caught_up"`
	Lacking   []string `json:"lacking"`
	Instances int      `json:"instances"`
	Records   int64    `json:"records_behind"`
}

// TestBlueAndGreen upgrades as the manual says: a second application beside the first,
// await, compare. A replay of what a live run made, an instance of which was killed, is
// equal in every session; over records of which some say another thing, as they would with
// a rule that was changed, exactly their sessions are found.
func TestBlueAndGreen(t *testing.T) {
	t.Parallel() // most of the time it waits
	p := newProgram(t)
	f := fault{tenants: 3, parts: 2}
	traffic := newTraffic(t, p, f)
	blue := newApplication(t, p, traffic, "blue")
	if s := blue.awaited("4s"); s.CaughtUp || !slices.ContainsFunc(s.Lacking, contains("no instance has started yet")) {
		t.Errorf("before a start: %+v", s)
	}
	blue.begin(2)
	blue.meanwhile(func() {
		in := blue.instances[1]
		in.awaitWork()
		in.kill()
		in.start()
	})
	blue.meanwhile(func() {})
	if s := blue.awaited("1m"); !s.CaughtUp || s.Instances != 2 || s.Records != 0 || len(s.Lacking) > 0 {
		t.Errorf("blue: %+v", s)
	}
	if read, all := p.broker.read(t, blue.id, traffic.topic), int64(p.broker.records(t, traffic.topic)); read != all {
		t.Errorf("blue has caught up, and read %d records of %d", read, all)
	}

	green := newApplication(t, p, traffic, "green")
	green.begin(1)
	if s := green.awaited("1m"); !s.CaughtUp {
		t.Errorf("green: %+v", s)
	}
	same, code := compared(blue, green)
	if _, equal, _ := independently(blue, green); code != 0 || same.Equal != equal || same.Equal == 0 || same.Excepted > 0 || len(same.Examples) > 0 {
		t.Errorf("blue and its replay, of which %d sessions are equal: exit status %d, %+v", equal, code, same)
	}

	other := changed(t, traffic)
	amber := newApplication(t, p, other, "amber")
	amber.begin(1)
	if s := amber.awaited("1m"); !s.CaughtUp {
		t.Errorf("amber: %+v", s)
	}
	differs, code := compared(blue, amber)
	ids, equal, fields := independently(blue, amber)
	t.Logf("%d sessions are equal and %d differ, in %v", equal, len(ids), fields)
	if code != 1 || differs.Equal != equal || differs.Differing != len(ids) || differs.OnlyA.Sessions+differs.OnlyB.Sessions > 0 || len(ids) == 0 {
		t.Errorf("over records that say another thing: exit status %d, %+v; %d must be equal, and %d differ", code, differs, equal, len(ids))
	}
	named := map[string]bool{}
	for _, f := range differs.Fields {
		field, _, _ := strings.Cut(f.Field, ".")
		named[field] = true
	}
	if got := slices.Sorted(maps.Keys(named)); !slices.Equal(got, fields) {
		t.Errorf("they differ in %v, must be %v", got, fields)
	}
	for _, e := range differs.Examples {
		if !slices.Contains(ids, e.ID) {
			t.Errorf("session %s does not differ", e.ID)
		}
	}
	// What it says to run runs.
	for _, line := range differs.Examples[0].Explain {
		words := strings.Fields(line)
		if text := output(t, exec.CommandContext(t.Context(), p.path, words[1:]...)); !strings.Contains(text, "session "+differs.Examples[0].ID) {
			t.Errorf("%s tells nothing of the session:\n%s", line, text)
		}
	}

	amber.stop(amber.instances)
	if s := amber.awaited("4s"); s.CaughtUp || !slices.ContainsFunc(s.Lacking, contains("no instance is in group amber")) {
		t.Errorf("after the end: %+v", s)
	}
}

func contains(part string) func(string) bool {
	return func(text string) bool { return strings.Contains(text, part) }
}

// awaited is what an await says, whose exit status must agree.
func (a *application) awaited(within string) (s standing) {
	a.t.Helper()
	code := a.json(&s, "await", "-o", "json", "--timeout", within)
	if (code == 0) != s.CaughtUp {
		a.t.Errorf("exit status %d with %+v", code, s)
	}
	return s
}

// compared compares the sessions of two applications, which have come to their end.
func compared(a, b *application) (c comparison, code int) {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), a.path, "compare", a.config(), b.config(), "-o", "json", "--fresh", "0s")
	return c, answer(a.t, cmd, &c)
}

// json runs a command that writes one object, and returns its exit status.
func (a *application) json(into any, args ...string) int {
	a.t.Helper()
	return answer(a.t, a.command(args...), into)
}

func answer(t *testing.T, cmd *exec.Cmd, into any) (code int) {
	t.Helper()
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%s writes %q: %v", cmd, out, err)
	}
	return code
}

// changed is the same traffic with another cause in each hang-up of a kind.
func changed(t *testing.T, of *traffic) *traffic {
	t.Helper()
	other := *of
	other.topic, other.sent = of.topic+"-changed", 0
	other.records = make([]simulator.Record, len(of.records))
	n := 0
	for i, r := range of.records {
		other.records[i] = r
		if was, is := []byte(`"cause":"busy"`), []byte(`"cause":"rejected"`); bytes.Contains(r.Value, was) {
			other.records[i].Value = bytes.ReplaceAll(r.Value, was, is)
			n++
		}
	}
	if n == 0 || n == len(of.records) {
		t.Fatalf("%d records of %d were changed", n, len(of.records))
	}
	if err := of.program.cluster.CreateTopic(t.Context(), other.topic, rawPartitions); err != nil {
		t.Fatal(err)
	}
	for other.sent < len(other.records) {
		if err := other.send(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return &other
}

// independently is what this package says of the sessions of two applications: which
// differ, how many are equal, and in which fields the others differ.
func independently(a, b *application) (differ []string, equal int, fields []string) {
	a.t.Helper()
	sides := [2]map[string]map[string]any{{}, {}}
	for i, app := range []*application{a, b} {
		for _, text := range canonical(lines(output(a.t, app.command("tail", app.topic("call.sessions"))))) {
			s := decoded[map[string]any](text)
			sides[i][fmt.Sprint(s["session_id"])] = s
		}
	}
	if len(sides[0]) != len(sides[1]) {
		a.t.Errorf("%s has %d sessions, and %s has %d", a.id, len(sides[0]), b.id, len(sides[1]))
	}
	names := map[string]bool{}
	for id, s := range sides[0] {
		same := true
		for name, value := range s {
			x, _ := json.Marshal(value)
			y, _ := json.Marshal(sides[1][id][name])
			if !bytes.Equal(x, y) {
				names[name], same = true, false
			}
		}
		if same {
			equal++
		} else {
			differ = append(differ, id)
		}
	}
	return differ, equal, slices.Sorted(maps.Keys(names))
}
