package schemas

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// fakeRegistry starts a registry and a client of it; the counter counts requests.
func fakeRegistry(t *testing.T, options ...srfake.Option) (*srfake.Registry, *Registry, *atomic.Int64) {
	t.Helper()
	fake := srfake.NewRegistry(options...)
	requests := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		fake.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return fake, mustRegistry(t, RegistryConfig{URL: server.URL}), requests
}

func mustRegistry(t *testing.T, cfg RegistryConfig) *Registry {
	t.Helper()
	r, err := NewRegistry(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.client.pause = time.Millisecond
	return r
}

func TestRegister(t *testing.T) {
	fake, registry, requests := fakeRegistry(t)
	ids := map[int]bool{}
	for _, s := range Subjects() {
		id, err := registry.Register(t.Context(), s, "call."+s.String())
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = true
		got, ok := fake.GetSchema("call."+s.String()+"-value", 1)
		if !ok || got.ID != id || got.Schema.Schema != s.Schema() {
			t.Errorf("%s: registered %t as %+v", s, ok, got)
		}
	}
	if len(ids) != len(Subjects()) {
		t.Errorf("ids %v are not different", ids)
	}
	var set struct{ CompatibilityLevel string }
	if err := registry.client.ask(t.Context(), http.MethodGet, "/config/call.CallEvent-value", nil, &set); err != nil || set.CompatibilityLevel != fullTransitive {
		t.Errorf("compatibility is %q: %v", set.CompatibilityLevel, err)
	}
	before := requests.Load()
	if _, err := registry.Lookup(t.Context(), Events, "call.CallEvent"); err != nil || requests.Load() != before {
		t.Errorf("looked up again in %d requests: %v", requests.Load()-before, err)
	}
}

// The compatibility is there before the schema is: a crash between the two must
// not leave a schema that anything may replace.
func TestRegisterOrder(t *testing.T) {
	var writes []string
	fake := srfake.NewRegistry()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/versions") {
			writes = append(writes, r.Method+" "+r.URL.Path)
		}
		fake.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	for range 2 { // the second program finds the first one's schema and writes nothing
		if _, err := mustRegistry(t, RegistryConfig{URL: server.URL}).Register(t.Context(), Audit, "call.audit"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"PUT /config/call.audit-value", "POST /subjects/call.audit-value/versions"}
	if diff := cmp.Diff(want, writes); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

// Whoever runs last year's program again gets last year's id.
func TestRegisterAfterRollback(t *testing.T) {
	fake, registry, _ := fakeRegistry(t)
	newer := strings.Replace(Audit.Schema(), "\n ]}", `, {"name":"extra","type":["null","long"],"default":null,"doc":"x"} ]}`, 1)
	fake.SeedSchema("call.audit-value", 1, 7, sr.Schema{Schema: Audit.Schema()})
	fake.SeedSchema("call.audit-value", 2, 8, sr.Schema{Schema: newer})
	id, err := registry.Register(t.Context(), Audit, "call.audit")
	if err != nil || id != 7 {
		t.Fatalf("got %d, %v", id, err)
	}
	got, err := registry.Check(t.Context(), Audit, "call.audit")
	if err != nil || got.ID != 7 || got.Version != 2 || len(got.Problems) != 0 || !strings.HasPrefix(got.Diff, "- extra") {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestRegisterRefusesBreakingSchema(t *testing.T) {
	fake, registry, _ := fakeRegistry(t)
	older := strings.Replace(Audit.Schema(), `"name": "read", "type": "long"`, `"name": "read", "type": "string"`, 1)
	fake.SeedSchema("call.audit-value", 1, 7, sr.Schema{Schema: older})
	_, err := registry.Register(t.Context(), Audit, "call.audit")
	wantError(t, err, "call.audit-value", registry.urls, "version 1", "read: its type changed from string to long", "callstitch schemas check")
	if _, ok := fake.GetSchema("call.audit-value", 2); ok {
		t.Error("registered all the same")
	}

	got, err := registry.Check(t.Context(), Audit, "call.audit")
	if err != nil || got.ID != 0 || got.Version != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if len(got.Problems) != 3 { // ours, and Avro's both ways
		t.Errorf("got %q", got.Problems)
	}
	if !strings.Contains(got.Diff, "- read string") || !strings.Contains(got.Diff, "+ read long") {
		t.Errorf("got %s", got.Diff)
	}
}

func TestRegisterGrownSchema(t *testing.T) {
	fake, registry, _ := fakeRegistry(t)
	older := strings.Replace(Audit.Schema(), `"late", "type": "long"`, `"late", "type": "long", "default": 0`, 1)
	cut := strings.LastIndex(older, ",\n  {")
	fake.SeedSchema("call.audit-value", 4, 7, sr.Schema{Schema: older[:cut] + "]}"})
	got, err := registry.Check(t.Context(), Audit, "call.audit")
	if err != nil || got.Version != 4 {
		t.Fatalf("got %+v, %v", got, err)
	}
	var problems []string
	for _, p := range got.Problems {
		problems = append(problems, p.Field)
	}
	if diff := cmp.Diff([]string{"late", "closed_at", ""}, problems); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Avro's rules hold for every registered version, not only for the latest.
func TestCheckEveryVersion(t *testing.T) {
	fake, registry, _ := fakeRegistry(t)
	fake.SeedSchema("call.audit-value", 1, 1, sr.Schema{Schema: `{"type":"record","name":"Other","fields":[]}`})
	fake.SeedSchema("call.audit-value", 2, 2, sr.Schema{Schema: "syntax = \"proto3\";", Type: sr.TypeProtobuf})
	fake.SeedSchema("call.audit-value", 3, 3, sr.Schema{Schema: strings.Replace(Audit.Schema(), "Source topic.", "A topic.", 1)})
	got, err := registry.Check(t.Context(), Audit, "call.audit")
	if err != nil || got.Version != 3 || len(got.Problems) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if !strings.Contains(got.Problems[2].What, "version 2 is no Avro schema") {
		t.Errorf("got %q", got.Problems)
	}
}

func TestCheckUnknownSubject(t *testing.T) {
	_, registry, _ := fakeRegistry(t)
	got, err := registry.Check(t.Context(), Legs, "call.legs")
	if want := (Comparison{Subject: "call.legs-value"}); err != nil || !cmp.Equal(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestLookup(t *testing.T) {
	fake, registry, _ := fakeRegistry(t)
	_, err := registry.Lookup(t.Context(), Sessions, "call.sessions")
	wantError(t, err, "call.sessions-value", registry.urls, "not registered", "callstitch schemas register", "auto_register")
	if !errors.Is(err, ErrNotRegistered) {
		t.Errorf("%v is not ErrNotRegistered", err)
	}
	if fake.SubjectExists("call.sessions-value") {
		t.Error("looking up made the subject")
	}
	fake.SeedSchema("call.sessions-value", 1, 99, sr.Schema{Schema: Sessions.Schema()})
	if id, err := registry.Lookup(t.Context(), Sessions, "call.sessions"); err != nil || id != 99 {
		t.Fatalf("got %d, %v", id, err)
	}
}

func TestReaderByID(t *testing.T) {
	fake, registry, requests := fakeRegistry(t)
	fake.SeedSchema("other-value", 1, 5, sr.Schema{Schema: `{"type":"record","name":"Other","fields":[{"name":"n","type":"int"}]}`})
	fake.SeedSchema("proto-value", 1, 6, sr.Schema{Schema: "syntax = \"proto3\";", Type: sr.TypeProtobuf})
	for range 2 {
		reader, err := registry.Reader(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reader.AppendJSON(nil, []byte{14}); err != nil || string(got) != `{"n":7}` {
			t.Fatalf("got %s, %v", got, err)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests for one schema", n)
	}
	_, err := registry.Reader(t.Context(), 6)
	wantError(t, err, "schema 6", "PROTOBUF, not Avro")
	_, err = registry.Reader(t.Context(), 7)
	wantError(t, err, "fetch schema 7", registry.urls, "not registered")
}

func TestRegistryErrors(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusUnauthorized:        "check the credentials",
		http.StatusForbidden:           "check the credentials",
		http.StatusNotFound:            "is schema_registry.url the address",
		http.StatusConflict:            "callstitch schemas check",
		http.StatusUnprocessableEntity: "does not take",
		http.StatusInternalServerError: "registry's log",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(strings.Repeat("page of a proxy ", 1000)))
		}))
		registry := mustRegistry(t, RegistryConfig{URL: server.URL})
		for _, try := range []func() error{
			func() error { _, err := registry.Lookup(t.Context(), Events, "call.events"); return err },
			func() error { _, err := registry.Register(t.Context(), Events, "call.events"); return err },
			func() error { _, err := registry.Check(t.Context(), Events, "call.events"); return err },
		} {
			err := try()
			wantError(t, err, "call.events-value", server.URL, want)
			if len(err.Error()) > 2*quoteMax {
				t.Errorf("%d: the error quotes %d bytes", status, len(err.Error()))
			}
		}
		server.Close()
	}
}

func TestRegistryUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	registry := mustRegistry(t, RegistryConfig{URL: server.URL})
	_, err := registry.Register(t.Context(), Events, "call.events")
	wantError(t, err, "call.events-value", server.URL, "is schema_registry.url right")
}

func TestRegistryStopsWithContext(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer server.Close()
	defer close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := mustRegistry(t, RegistryConfig{URL: server.URL}).Lookup(ctx, Events, "call.events")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestRegistryCredentials(t *testing.T) {
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	_, err := mustRegistry(t, RegistryConfig{URL: strings.Replace(server.URL, "http://", "http://key:hush@", 1)}).Lookup(t.Context(), Events, "e")
	if user != "key" || password != "hush" {
		t.Errorf("sent %s and %s", user, password)
	}
	if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "key:") {
		t.Errorf("the error tells the password: %v", err)
	}
}

// The next address is tried where one does not answer.
func TestRegistryAddresses(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	fake := srfake.New()
	defer fake.Close()
	if _, err := mustRegistry(t, RegistryConfig{URL: dead.URL + ", " + fake.URL()}).Register(t.Context(), Events, "call.events"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "127.0.0.1:8081", "ftp://x", "http://a,", "http://user:hush@[::1"} {
		_, err := NewRegistry(RegistryConfig{URL: bad})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestFrame(t *testing.T) {
	got := AppendFrame([]byte("x"), 0x01020304)
	if want := "x\x00\x01\x02\x03\x04"; string(got) != want {
		t.Fatalf("got %x", got)
	}
	id, avro, err := ParseFrame(append(got[1:], "avro"...))
	if err != nil || id != 0x01020304 || string(avro) != "avro" {
		t.Fatalf("got %d, %q, %v", id, avro, err)
	}
	for _, bad := range []string{"", "\x00\x00\x00\x00", "\x01\x00\x00\x00\x01x", "{\"json\":1}"} {
		if _, _, err := ParseFrame([]byte(bad)); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}
