package console

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

func testConsole(status *Status) *Console {
	return New(Config{
		Topology: topology.Config{
			ApplicationID: "callstitch",
			Topics: topology.Topics{
				Events: "call.events", Sessions: "call.sessions", Legs: "call.legs",
				Rejects: "call.rejects", Audit: "call.audit",
			},
			ExchangePartitions: 4,
			Stitch:             stitch.Config{Legs: true},
		},
		Version:  "test",
		Status:   func() Status { return *status },
		Gatherer: prometheus.NewRegistry(),
	})
}

func session(callID string, state call.RecordState) *call.Session {
	id := call.NewLegID("t", call.Bandwidth, "", callID)
	return &call.Session{
		ID: id, Tenant: "t", Provider: call.Bandwidth, State: state, Revision: 1,
		From:    call.Party{Raw: "+15550100199", E164: "+15550100199", Kind: call.PartyPSTN},
		To:      call.Party{Raw: "sip:desk15550100@example.com", Kind: call.PartySIP},
		Started: call.Instant{At: 1000, Src: call.EvidenceReported}, TalkMS: call.Some(0),
		ProviderCause: "+15550100177", Attributes: []call.Attribute{{Key: "tag", Value: "+15550100166"}},
		Legs: []call.LegSummary{{ID: id, Role: call.RoleOrigin, CallID: "c-15550100155", FromE164: "+15550100199", ToE164: "+15550100144"}},
	}
}

func observe(c *Console, sessions ...*call.Session) {
	for _, s := range sessions {
		c.Observe([]topology.Output{{Value: s}})
	}
}

func get(t *testing.T, c *Console, path string) (int, string) {
	t.Helper()
	server := httptest.NewServer(c.Handler())
	defer server.Close()
	r, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// Whatever a number may be written in, no answer of the console holds one whole.
func TestNoNumberLeaves(t *testing.T) {
	c := testConsole(&Status{})
	s := session("a", call.StateFinal)
	observe(c, s)
	for _, path := range []string{"/api/v1/status", "/api/v1/sessions/" + s.ID.String(), "/metrics", "/readyz"} {
		code, body := get(t, c, path)
		if strings.Contains(body, "5550100") || strings.Contains(body, "example.com") {
			t.Errorf("%s shows a party: %s", path, body)
		}
		if path != "/readyz" && code != http.StatusOK {
			t.Errorf("%s: status %d", path, code)
		}
	}
	if _, body := get(t, c, "/api/v1/sessions/"+s.ID.String()); !strings.Contains(body, "•99") {
		t.Errorf("the last two digits are not shown: %s", body)
	}
}

func TestReadiness(t *testing.T) {
	status := Status{Phase: "restoring", Reasons: []string{"2 of 8 tasks are restored"}, HeldBy: "call.raw-3"}
	c := testConsole(&status)
	code, body := get(t, c, "/readyz")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "2 of 8 tasks") || !strings.Contains(body, "call.raw-3") {
		t.Errorf("not ready: %d %s", code, body)
	}
	status = Status{Ready: true}
	code, body = get(t, c, "/readyz")
	if code != http.StatusOK || !strings.Contains(body, `"reasons":[]`) {
		t.Errorf("ready: %d %s", code, body)
	}
	if code, _ := get(t, c, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
}

// The page needs nothing but what the binary holds.
func TestPageIsComplete(t *testing.T) {
	c := testConsole(&Status{})
	for path, want := range map[string]string{"/": "console.js", "/console.js": "poll", "/console.css": "--accent", "/icon.svg": "<svg"} {
		code, body := get(t, c, path)
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q", path, code, want)
		}
		if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/", ""), "http") {
			t.Errorf("%s loads something from elsewhere", path)
		}
	}
	if code, _ := get(t, c, "/nothing"); code != http.StatusNotFound {
		t.Errorf("/nothing: %d", code)
	}
}

func TestLatestSessions(t *testing.T) {
	c := testConsole(&Status{})
	a, b := session("a", call.StatePartial), session("b", call.StateFinal)
	observe(c, a, b, session("a", call.StateFinal), session("x", call.StateFinal), session("x", call.StateSuperseded))
	v := c.view(Status{})
	var ids []string
	for _, s := range v.Sessions {
		ids = append(ids, s.ID+" "+s.State)
	}
	if diff := cmp.Diff([]string{a.ID.String() + " FINAL", b.ID.String() + " FINAL"}, ids); diff != "" {
		t.Error(diff)
	}
	if v.Closed != 3 {
		t.Errorf("closed %d", v.Closed)
	}
	if code, _ := get(t, c, "/api/v1/sessions/"+session("x", call.StateFinal).ID.String()); code != http.StatusNotFound {
		t.Errorf("an absorbed session: %d", code)
	}
	if code, _ := get(t, c, "/api/v1/sessions/nonsense"); code != http.StatusNotFound {
		t.Errorf("no id: %d", code)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	c := testConsole(&Status{})
	for i := range maxSessions + 50 {
		observe(c, session(string(rune('a'+i%26))+strings.Repeat("x", i), call.StateFinal))
	}
	if n := c.latest.Len(); n != maxSessions || len(c.sessions) != n {
		t.Errorf("%d sessions in the list, %d in the map", n, len(c.sessions))
	}
}

func TestRates(t *testing.T) {
	c := testConsole(&Status{})
	for i := range history + 20 {
		c.Observe([]topology.Output{{Value: &call.EventRecord{}}, {Value: &call.EventRecord{}}})
		c.sample(Status{
			Sources: []Source{{Topic: "a", Read: int64(3 * i)}, {Topic: "b", Read: int64(i)}},
			Ways:    topology.Ways{Memory: int64(5 * i), Exchange: int64(2 * i)},
		})
	}
	v := c.view(Status{})
	if v.SourceRate != 4 || len(v.ReadHistory) != history {
		t.Errorf("rate %v over %d seconds", v.SourceRate, len(v.ReadHistory))
	}
	if v.MemoryRate != 5 || v.ExchangeRate != 2 {
		t.Errorf("%v events a second in memory, %v through the exchange", v.MemoryRate, v.ExchangeRate)
	}
	for _, s := range v.Sinks {
		if s.Name == "events" && (s.Rate != 2 || s.Total != 160) {
			t.Errorf("events: %+v", s)
		}
	}
}

// The totals of partitions that go to another instance go with them, and nothing is unread.
func TestRatesAfterARebalance(t *testing.T) {
	c := testConsole(&Status{})
	for _, read := range []int64{100, 110, 0} {
		c.sample(Status{Sources: []Source{{Topic: "a", Read: read}}})
	}
	if v := c.view(Status{}); v.SourceRate != 0 || !slices.Equal(v.ReadHistory, []int64{10, 0}) {
		t.Errorf("rate %v, %v", v.SourceRate, v.ReadHistory)
	}
}

// An empty console answers with lists, never with null: the page iterates them.
func TestNoNullLists(t *testing.T) {
	_, body := get(t, testConsole(&Status{}), "/api/v1/status")
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	for key, value := range v {
		if value == nil {
			t.Errorf("%s is null", key)
		}
	}
}
