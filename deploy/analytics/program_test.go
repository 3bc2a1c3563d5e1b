package analytics

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callstitch/deploy/localkafka"
)

const (
	sourceTopic      = "call.raw"
	sourcePartitions = 8

	// settling is how long the processor may take for a day's traffic.
	settling = 2 * time.Minute
)

// program is callstitch as users run it, on a broker and a registry.
type program struct {
	path, brokers, registry string
	dir                     string // where it runs, and its files go
}

func newProgram(t *testing.T) *program {
	t.Helper()
	lookAtSources(t)
	cluster := localkafka.Shared(t)
	p := &program{brokers: strings.Join(cluster.Brokers(), ","), registry: localkafka.SharedRegistry(t), dir: t.TempDir()}
	if err := cluster.CreateTopic(t.Context(), sourceTopic, sourcePartitions); err != nil {
		t.Fatal(err)
	}
	p.path = filepath.Join(p.dir, "callstitch")
	output(t, exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "callstitch/cmd/callstitch"))
	return p
}

// lookAtSources is for go test, which runs a test again only if a file changed that
// the test itself opened, and knows nothing of what its child processes open.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{".", "../../cmd", "../../processor", "../../schemas", "../../topology"} {
		if err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// command is a command line with the configuration of the page, on the test's broker.
func (p *program) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	config, err := filepath.Abs("callstitch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, p.path, append(args, "-c", config)...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(),
		"CALLSTITCH_KAFKA_BROKERS="+p.brokers, "CALLSTITCH_SCHEMA_REGISTRY_URL="+p.registry, "CALLSTITCH_HTTP_LISTEN=127.0.0.1:0")
	return cmd
}

// process runs the processor until all that was sent is in sessions that are closed.
func (p *program) process(t *testing.T) {
	t.Helper()
	run, log := p.command(t.Context(), t, "run"), new(strings.Builder)
	run.Stderr = log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	for deadline := time.Now().Add(settling); !p.settled(t); time.Sleep(300 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("callstitch run ended: %v\n%s", err, log)
		default:
		}
		if time.Now().After(deadline) {
			_ = run.Process.Kill()
			<-ended
			t.Fatalf("after %v not all is in closed sessions\n%s", settling, log)
		}
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatalf("callstitch run: %v\n%s", err, log)
	}
}

// settled reports whether every record is in the books, and every accepted event in
// a session that is closed. Topics that are not there yet are not settled.
func (p *program) settled(t *testing.T) bool {
	t.Helper()
	audit, err := p.command(t.Context(), t, "tail", "call.audit").Output()
	if err != nil {
		return false
	}
	var read, accepted int64
	for _, book := range last(t, string(audit), "partition", "next_offset") {
		read += number(book["read"])
		accepted += number(book["accepted"])
	}
	if sent := lines(p.tail(t, sourceTopic)); read == 0 || read < int64(len(sent)) {
		return false
	}
	for _, session := range p.sessions(t) {
		if session["record_state"] != "FINAL" {
			return false
		}
		accepted -= number(session["event_count"])
	}
	return accepted == 0
}

// sessions are the calls as they are known now, by id.
func (p *program) sessions(t *testing.T) map[string]map[string]any {
	t.Helper()
	sessions := last(t, p.tail(t, "call.sessions"), "session_id", "record_version")
	for id, session := range sessions {
		if session["record_state"] == "SUPERSEDED" {
			delete(sessions, id)
		}
	}
	return sessions
}

// tail is what callstitch itself reads from a topic, one JSON object a line.
func (p *program) tail(t *testing.T, topic string) string {
	t.Helper()
	return output(t, p.command(t.Context(), t, "tail", topic))
}

// last is the newest record of each key.
func last(t *testing.T, records, key, version string) map[string]map[string]any {
	t.Helper()
	newest := map[string]map[string]any{}
	for _, record := range objects(t, records) {
		if record[key] == nil { // a tombstone
			continue
		}
		id := fmt.Sprint(record[key])
		if known, ok := newest[id]; !ok || number(record[version]) > number(known[version]) {
			newest[id] = record
		}
	}
	return newest
}

// objects reads JSON objects, one a line, with numbers as they are written.
func objects(t *testing.T, ndjson string) (objects []map[string]any) {
	t.Helper()
	for _, line := range lines(ndjson) {
		var object map[string]any
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&object); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		objects = append(objects, object)
	}
	return objects
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// number is a JSON number; 0 where there is none.
func number(value any) int64 {
	n, _ := value.(json.Number)
	i, _ := n.Int64()
	return i
}
