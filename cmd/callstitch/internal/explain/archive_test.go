package explain

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
)

// Without a configuration, a source's settings are those of its events.
func TestArchiveLearnsSources(t *testing.T) {
	event := storedEvent{Topic: "pbx.raw", Tenant: "acme", Scope: "east"}
	source := call.Source{Topic: event.Topic}
	for _, test := range []struct {
		configured bool
		topics     []string
		tenant     string
	}{{false, []string{"pbx.raw"}, "acme"}, {true, []string{"call.raw", "pbx.raw"}, ""}} {
		a := archive{configured: test.configured, sources: map[call.Source]bool{}}
		a.cfg.Sources = []topology.Source{{Topic: "call.raw"}}
		a.addSource(source, 1)
		a.learn(event)
		a.learn(event)
		if topics := a.topics(); !slices.Equal(topics, test.topics) {
			t.Errorf("configured %t: reads %v", test.configured, topics)
		}
		if s := a.cfg.SourceOf("pbx.raw"); s.Tenant != test.tenant {
			t.Errorf("configured %t: learned %+v of %v", test.configured, s, a.cfg.Sources)
		}
	}
}

// Where retention has deleted records of the call, the story says so.
func TestArchiveCountsWhatIsGone(t *testing.T) {
	a := archive{sources: map[call.Source]bool{}}
	a.addSource(call.Source{Topic: "call.raw", Offset: 4}, 20)
	a.addSource(call.Source{Topic: "call.raw", Offset: 3}, 10)
	var p pile
	if err := p.add(topology.Record{Topic: "call.raw", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	if n := a.gone(p); n != 1 || a.since != 10 || a.until != 20 {
		t.Errorf("%d records are gone between %d and %d", n, a.since, a.until)
	}
}

// Of the sessions only those are kept that have one of the names: one that merely
// contains it, or has it no more, takes no memory.
func TestArchiveKeepsNamedSessions(t *testing.T) {
	a := archiveOf(t, "c-1")
	id := func(callID string) call.LegID { return call.NewLegID("acme", call.Bandwidth, "", callID) }
	record := func(session string, calls ...string) topology.Record {
		s := call.Session{ID: id(session), State: call.StatePartial, Provider: call.Bandwidth}
		for _, c := range calls {
			s.Legs = append(s.Legs, call.LegSummary{ID: id(c), CallID: c})
		}
		value, err := schemas.AppendAvro(schemas.AppendFrame(nil, 7), &s)
		if err != nil {
			t.Fatal(err)
		}
		return topology.Record{Key: []byte(s.ID.String()), Value: value}
	}
	for _, step := range []struct {
		record topology.Record
		kept   []string
	}{
		{record("c-10", "c-10", "c-11"), nil},
		{record("c-2", "c-2"), nil},
		{record("c-2", "c-2", "c-1"), []string{"c-2"}},
		{record("c-3", "c-1"), []string{"c-2", "c-3"}},
		{record("c-2"), []string{"c-3"}}, // absorbed
	} {
		if err := a.keepSession(t.Context(), step.record); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, c := range step.kept {
			want = append(want, id(c).String())
		}
		slices.Sort(want)
		if kept := slices.Sorted(maps.Keys(a.sessions)); !slices.Equal(kept, want) {
			t.Errorf("kept %v, want %v", kept, want)
		}
	}
}

// Where a registry answers without the schema, it is not said to be silent.
func TestArchiveSaysWhyThereIsNoSchema(t *testing.T) {
	a := archiveOf(t, "c-1")
	value, err := schemas.AppendAvro(schemas.AppendFrame(nil, 7), &call.Session{State: call.StatePartial, Provider: call.Bandwidth})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.decode(t.Context(), schemas.Sessions, topology.Record{Value: value}, &storedSession{}); err != nil {
		t.Fatal(err)
	}
	e, err := a.read(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const want = "outputs were read with this program's own schemas: fetch schema 7 at "
	if len(e.remarks) != 1 || !strings.HasPrefix(e.remarks[0], want) || !strings.Contains(e.remarks[0], schemas.ErrNotRegistered.Error()) {
		t.Errorf("it says %q, want %q, and that it is not registered", e.remarks, want)
	}
}

// archiveOf looks for a name, with a registry that has no schemas.
func archiveOf(t *testing.T, name string) *archive {
	t.Helper()
	server := srfake.New()
	t.Cleanup(server.Close)
	registry, err := schemas.NewRegistry(schemas.RegistryConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return &archive{
		registry: registry, own: map[schemas.Subject]*schemas.Reader{},
		names: map[string]bool{name: true}, sessions: map[string]storedSession{},
	}
}
