package rejects

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/topology"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// configured has one source with settings and one without.
var configured = topology.Config{Sources: []topology.Source{
	{Topic: "pbx.raw", Provider: call.Sonetel, Tenant: "acme"}, {Topic: "call.raw"},
}}

// entry is a reject as the topic has it.
func entry(t *testing.T, reject call.Reject) Entry {
	t.Helper()
	e, err := Read(&configured, topology.Record{
		Topic: "call.rejects", Partition: 3, Offset: 1042, Timestamp: reject.Timestamp, Key: reject.Key, Value: reject.Value,
		Headers: slices.Concat(reject.Headers, topology.RejectHeaders(&reject)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func headers(pairs ...string) (all []call.Header) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, call.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return all
}

// A selection means what all of its parts mean.
func TestSelection(t *testing.T) {
	e := entry(t, call.Reject{
		Reason: call.RejectBadField, Source: call.Source{Topic: "call.raw", Partition: 2, Offset: 17}, Timestamp: now.UnixMilli(),
		Value: []byte(`{"callId":7}`), Headers: headers("provider", "bandwidth", "tenant", "acme"),
	})
	source := func(text string) []SourcePart {
		p, err := ParseSource(text)
		if err != nil {
			t.Fatal(err)
		}
		return []SourcePart{p}
	}
	for name, c := range map[string]struct {
		s    Selection
		want bool
	}{
		"everything":                     {Selection{}, true},
		"its reason":                     {Selection{Reasons: []call.RejectReason{call.RejectTooDeep, call.RejectBadField}}, true},
		"another reason":                 {Selection{Reasons: []call.RejectReason{call.RejectTooDeep}}, false},
		"its provider":                   {Selection{Providers: []call.Provider{call.Bandwidth}}, true},
		"no provider":                    {Selection{Providers: []call.Provider{call.NoProvider}}, false},
		"its tenant":                     {Selection{Tenants: []string{"acme"}}, true},
		"another tenant":                 {Selection{Tenants: []string{"default"}}, false},
		"its topic":                      {Selection{Sources: source("call.raw")}, true},
		"its partition":                  {Selection{Sources: source("call.raw/2")}, true},
		"its place":                      {Selection{Sources: source("call.raw/2/17")}, true},
		"another topic":                  {Selection{Sources: source("pbx.raw")}, false},
		"another partition":              {Selection{Sources: source("call.raw/0")}, false},
		"another place":                  {Selection{Sources: source("call.raw/2/0")}, false},
		"since its instant":              {Selection{Since: now}, true},
		"since later":                    {Selection{Since: now.Add(time.Millisecond)}, false},
		"until its instant":              {Selection{Until: now}, false},
		"until later":                    {Selection{Until: now.Add(time.Millisecond)}, true},
		"what it has":                    {Selection{Grep: regexp.MustCompile(`"callId":\d`)}, true},
		"what it has not":                {Selection{Grep: regexp.MustCompile(`"callId":"`)}, false},
		"its reason and another's topic": {Selection{Reasons: []call.RejectReason{call.RejectBadField}, Sources: source("pbx.raw")}, false},
	} {
		if got := c.s.Matches(&e); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Headers say whose a reject is, then the source, then nobody.
func TestWhoseItIs(t *testing.T) {
	conflict := []byte(`{"event_id":"x","tenant_id":"globex","provider":"stringee","call_id":"c"}`)
	for name, c := range map[string]struct {
		topic, tenant string
		headers       []call.Header
		value         []byte
		reason        call.RejectReason
		provider      call.Provider
	}{
		"nobody's":             {topic: "call.raw", tenant: "default"},
		"the source's":         {topic: "pbx.raw", tenant: "acme", provider: call.Sonetel},
		"of no source":         {topic: "old.raw", tenant: "default"},
		"the header's":         {topic: "pbx.raw", tenant: "x", provider: call.Opentact, headers: headers("tenant", "w", "tenant", "x", "provider", "opentact")},
		"a misspelt header's":  {topic: "pbx.raw", tenant: "acme", headers: headers("provider", "bandwidht")},
		"a conflict's":         {topic: "pbx.raw", tenant: "globex", provider: call.Stringee, value: conflict, reason: call.RejectIDConflict},
		"a conflict's, cut":    {topic: "pbx.raw", tenant: "acme", provider: call.Sonetel, value: conflict[:20], reason: call.RejectIDConflict},
		"not what it would be": {topic: "call.raw", tenant: "default", value: conflict},
	} {
		reject := call.Reject{Reason: max(c.reason, 1), Source: call.Source{Topic: c.topic}, Value: c.value, Headers: c.headers}
		if e := entry(t, reject); e.Provider != c.provider || e.Tenant != c.tenant {
			t.Errorf("%s: provider %q and tenant %q, want %q and %q", name, e.Provider, e.Tenant, c.provider, c.tenant)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	for want, reject := range map[string]call.Reject{
		"": {Reason: call.RejectTooLarge, Value: []byte("abc")},
		"the value is the event as it was understood, not the record": {Reason: call.RejectIDConflict},
		"no client can read the record":                               {Reason: call.RejectUnreadable},
		"3 of 9 bytes are here":                                       {Reason: call.RejectTooLarge, Value: []byte("abc"), Cut: &call.Cut{Length: 9}},
		"3 of 9 bytes are here, without headers and key":              {Reason: call.RejectTooLarge, Value: []byte("abc"), Cut: &call.Cut{Length: 9, Dropped: []string{"headers", "key"}}},
	} {
		if e := entry(t, reject); e.Missing() != want {
			t.Errorf("%q, want %q", e.Missing(), want)
		}
	}
}

func TestParseSource(t *testing.T) {
	for text, want := range map[string]SourcePart{
		"a": {"a", -1, -1}, "a/3": {"a", 3, -1}, "a/3/1042": {"a", 3, 1042},
	} {
		if got, err := ParseSource(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/1", "a/", "a/x", "a/1/", "a/1/-1", "a/1/2/3", "a/4294967296"} {
		if got, err := ParseSource(text); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}

func TestParsePlace(t *testing.T) {
	p, ok := ParsePlace("call.rejects/3/1042")
	if !ok || p.String() != "call.rejects 3 1042" {
		t.Errorf("%v, %t", p, ok)
	}
	for _, text := range []string{"", "call.rejects", "call.rejects/3", "/3/4", "a/b/4", "a/3/-4", "a/3/4/5"} {
		if p, ok := ParsePlace(text); ok {
			t.Errorf("%q is taken as %v", text, p)
		}
	}
}

func TestParseInstant(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-02-28T10:00:00Z":      time.Date(2026, 2, 28, 10, 0, 0, 0, time.UTC),
		"2026-02-28T10:00:00+02:00": time.Date(2026, 2, 28, 8, 0, 0, 0, time.UTC),
		"2026-02-28":                time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC),
		"-2h":                       now.Add(-2 * time.Hour),
		"-7d":                       now.Add(-7 * 24 * time.Hour),
	} {
		if got, err := ParseInstant(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "2h", "--2h", "-x", "yesterday", "2026-02-30"} {
		if got, err := ParseInstant(text, now); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestParseWords(t *testing.T) {
	if r, err := ParseReason("id_conflict"); err != nil || r != call.RejectIDConflict {
		t.Errorf("%v, %v", r, err)
	}
	if p, err := ParseProvider("none"); err != nil || p != call.NoProvider {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := ParseProvider("xelion"); err != nil || p != call.Sonetel {
		t.Errorf("%v, %v", p, err)
	}
	_, err1 := ParseReason("")
	_, err2 := ParseProvider("")
	if err1 == nil || err2 == nil {
		t.Error("nothing is taken for a reason or a provider")
	}
}

// A conflict's event and a record that was cut know the record that they come of.
func TestTheSameRecord(t *testing.T) {
	value := []byte(`{"eventType":"answer"}`)
	sum := sha256.Sum256(value)
	conflict := fmt.Appendf(nil, `{"raw_sha256":"%x"}`, sum)
	for name, reject := range map[string]call.Reject{
		"a conflict":  {Reason: call.RejectIDConflict, Value: conflict},
		"one cut":     {Reason: call.RejectTooLarge, Value: value[:3], Cut: &call.Cut{Length: int64(len(value)), SHA256: sum}},
		"one that is": {Reason: call.RejectBadField, Value: value},
	} {
		e := entry(t, reject)
		if err := e.Same(&topology.Record{Value: value}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := e.Same(&topology.Record{Value: []byte("other")}); err == nil && name != "one that is" {
			t.Errorf("%s: another record is taken for it", name)
		}
	}
	cut := entry(t, call.Reject{Reason: call.RejectIDConflict, Value: conflict[:9], Cut: &call.Cut{Length: int64(len(conflict)), SHA256: sha256.Sum256(conflict)}})
	if err := cut.Same(&topology.Record{Value: value}); !errors.Is(err, errUnsure) {
		t.Errorf("a conflict that was cut knows nothing of its record, and says %v", err)
	}
}
