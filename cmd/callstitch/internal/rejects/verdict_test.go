package rejects

import (
	"slices"
	"strings"
	"testing"

	"callstitch/processor/call"
	"callstitch/topology"
)

// The verdict is the decoder's, with the settings of the source and the headers of the record.
func TestVerdict(t *testing.T) {
	const answer = `{"eventType":"answer","callId":"c-1","eventTime":"2022-05-04T18:53:01.832Z"}`
	many := "[" + strings.Repeat(answer+",", 9) + answer + "]"
	for name, c := range map[string]struct {
		src     topology.Source
		headers []call.Header
		value   string
		want    string // its beginning
	}{
		"taken by its shape":   {value: answer, want: "would be taken: bandwidth CALL_ANSWERED of c-1 → leg "},
		"taken by its source":  {src: topology.Source{Provider: call.Bandwidth}, value: answer, want: "would be taken: bandwidth "},
		"of another's source":  {src: topology.Source{Provider: call.Stringee}, value: answer, want: "would be rejected again as "},
		"with the header":      {src: topology.Source{Provider: call.Stringee}, headers: headers("provider", "bandwidth"), value: answer, want: "would be taken: bandwidth "},
		"with a wrong header":  {headers: headers("provider", "nobody"), value: answer, want: "would be rejected again as UNKNOWN_PROVIDER: "},
		"ignored":              {value: "[]", want: "would be ignored as empty"},
		"no JSON":              {value: "hello", want: "would be rejected again as MALFORMED_JSON: "},
		"an array of ten":      {value: many, want: "would be taken: bandwidth "},
		"what a terminal does": {value: strings.Replace(answer, "c-1", `c\u001b`, 1), want: "would be taken: bandwidth CALL_ANSWERED of c� → leg "},
	} {
		v := Judge(c.src, topology.Record{Topic: "call.raw", Timestamp: 1, Value: []byte(c.value), Headers: c.headers})
		if got := v.String(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s…", name, got, c.want)
		}
		if v.Rejected() != strings.Contains(c.want, "rejected") {
			t.Errorf("%s: rejected %t", name, v.Rejected())
		}
	}
	v := Judge(topology.Source{}, topology.Record{Value: []byte(many)})
	if !strings.HasSuffix(v.String(), ", and 2 more") {
		t.Error(v.String())
	}
}

// A tenant and a scope are part of the leg's id: the verdict is of the same leg as the
// processor would have.
func TestVerdictOfTheSourcesLeg(t *testing.T) {
	r := topology.Record{Value: []byte(`{"eventType":"answer","callId":"c-1"}`)}
	leg := func(s topology.Source) call.LegID { return Judge(s, r).Taken[0].Leg }
	if leg(topology.Source{}) == leg(topology.Source{Tenant: "acme"}) || leg(topology.Source{}) == leg(topology.Source{Scope: "eu"}) {
		t.Error("the settings of the source do not matter")
	}
	if leg(topology.Source{}) != leg(topology.Source{Tenant: "default"}) {
		t.Error("a source without a tenant is not default's")
	}
}

// A wrong header is cured by what the shape says; where that says nothing, by what would
// take it.
func TestCures(t *testing.T) {
	const answer = `{"eventType":"answer","callId":"c-1","eventTime":"2022-05-04T18:53:01.832Z"}`
	for name, c := range map[string]struct {
		src   topology.Source
		value string
		want  []string
	}{
		"a wrong source":    {topology.Source{Provider: call.Stringee}, answer, []string{"provider=bandwidth"}},
		"what two take":     {topology.Source{Provider: call.Opentact}, `{"type":"recording","call_id":"call-1","start_time":1795892416063,"end_time":1795892532679,"recording_url":"https://example.com/a.mp3"}`, []string{"provider=stringee"}},
		"no provider's":     {topology.Source{}, `{"hello":"world"}`, nil},
		"no JSON":           {topology.Source{}, `hello`, nil},
		"several providers": {topology.Source{}, `{"eventType":"answer","callId":"c-1","call_status":"ringing","call_id":"x"}`, []string{"provider=stringee", "provider=bandwidth"}},
	} {
		r := topology.Record{Value: []byte(c.value), Headers: headers("provider", "nobody", "tenant", "acme")}
		if got := Cures(c.src, r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for _, cure := range c.want {
			_, provider, _ := strings.Cut(cure, "=")
			r.Headers = headers("tenant", "acme", "provider", provider)
			if v := Judge(c.src, r); v.Rejected() {
				t.Errorf("%s: with %s it %v", name, cure, &v)
			}
		}
	}
}

// A conflict stays one until something tells its leg from the other.
func TestInConflict(t *testing.T) {
	r := topology.Record{Value: []byte(`{"eventType":"answer","callId":"c-1"}`)}
	v, scoped := Judge(topology.Source{}, r), Judge(topology.Source{Scope: "eu"}, r)
	key := []byte(v.Taken[0].Leg.String())
	e := Entry{Reject: call.Reject{Reason: call.RejectIDConflict, Key: key}}
	if !e.InConflict(&v) || e.InConflict(&scoped) {
		t.Errorf("as it was: %t, with a scope: %t", e.InConflict(&v), e.InConflict(&scoped))
	}
	if e.Reject.Reason = call.RejectBadField; e.InConflict(&v) {
		t.Error("another reason is a conflict")
	}
}
