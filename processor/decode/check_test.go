package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// decodeChecked decodes and holds the result against everything that is true
// of any result, whatever the input.
func decodeChecked(t testing.TB, s Settings, in Input) Result {
	t.Helper()
	before := bytes.Clone(in.Value)
	d := New(s)
	r := d.Decode(in)
	if !bytes.Equal(before, in.Value) {
		t.Fatal("the input was changed")
	}
	if n := btoi(len(r.Events) > 0) + btoi(r.Ignored != "") + btoi(r.Reject != nil); n != 1 {
		t.Fatalf("%d outcomes, want 1: %+v", n, r)
	}
	if r.Ignored != "" && !slices.Contains(IgnoredKinds(), r.Ignored) {
		t.Fatalf("ignored as %q, which is none of the kinds", r.Ignored)
	}
	if r.Reject != nil {
		checkRejection(t, r.Reject)
	}
	for _, e := range r.Events {
		checkEvent(t, s, in, e)
	}
	if again := d.Decode(in); !reflect.DeepEqual(r, again) {
		t.Fatalf("decoded again with the same decoder: %s", cmp.Diff(r, again))
	}
	return r
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func checkRejection(t testing.TB, r *Rejection) {
	t.Helper()
	if r.Reason < call.RejectMalformedJSON || r.Reason >= call.RejectIDConflict || r.Detail == "" {
		t.Fatalf("rejected for %d: %q", r.Reason, r.Detail)
	}
	for _, c := range r.Detail {
		if c < ' ' || c > '~' {
			t.Fatalf("the detail %q quotes the input", r.Detail)
		}
	}
}

func checkEvent(t testing.TB, s Settings, in Input, e *call.Event) {
	t.Helper()
	if e.Leg != call.NewLegID(e.Tenant, e.Provider, e.Scope, e.CallID) || isBlank(e.CallID) || len(e.CallID) > maxID {
		t.Fatalf("leg %s of call id %q", e.Leg, e.CallID)
	}
	if s.Provider != call.NoProvider && e.Provider != s.Provider {
		t.Fatalf("provider %s, want %s", e.Provider, s.Provider)
	}
	if e.ID == (call.EventID{}) || e.IDKind == 0 || e.Content == 0 {
		t.Fatalf("id %s of kind %d, content %x", e.ID, e.IDKind, e.Content)
	}
	if e.Source != in.Source || e.IngestedAt != max(in.Timestamp, 0) || e.SHA256 == [32]byte{} {
		t.Fatal("the event does not say where it comes from")
	}
	if e.Ended.Known() && !e.Type.Terminal() {
		t.Fatalf("a %s ends its leg", e.Type)
	}
	if e.Type == call.EventUnknown && !e.Flags.Has(call.FlagUnknownType) {
		t.Fatal("UNKNOWN without its flag")
	}
	if in.Timestamp > 0 && !e.Time.Known() {
		t.Fatal("no event time in spite of a Kafka timestamp")
	}
	checkInstants(t, in, e)
	checkStrings(t, e)
	parsed := new(call.Event)
	if err := codec.Read(codec.Append(nil, e), parsed); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e, parsed) {
		t.Fatalf("the exchange changes the event: %s", cmp.Diff(e, parsed))
	}
}

func checkInstants(t testing.TB, in Input, e *call.Event) {
	t.Helper()
	instants := []call.Instant{e.Time, e.Started, e.Ringing, e.Answered, e.Ended}
	if s := e.Snapshot; s != nil {
		instants = append(instants, s.Started, s.Ringing, s.Answered, s.Ended, s.Alive)
	}
	for _, i := range instants {
		switch {
		case i == call.Sometime(): // has no time
		case !i.Known():
			if i != (call.Instant{}) {
				t.Fatalf("absent, but not zero: %+v", i)
			}
		case i.Src == call.EvidenceIngest:
			if i.At != call.Time(in.Timestamp) || in.Timestamp <= 0 {
				t.Fatalf("ingested at %d, want %d", i.At, in.Timestamp)
			}
		case !plausible(int64(i.At)):
			t.Fatalf("instant %d", i.At)
		}
	}
}

// checkStrings holds every string of an event to the limits.
func checkStrings(t testing.TB, e *call.Event) {
	t.Helper()
	all := []string{
		e.Tenant, e.Scope, e.CallID, e.ProviderType, e.ProviderState, e.ProviderID, e.ParentCallID, e.Account,
		e.From.Raw, e.From.E164, e.To.Raw, e.To.E164, e.ProviderCause, e.ProviderCauseCode, e.ConferenceID,
		e.TransferTarget, e.Recording.ID, e.Recording.URL, e.Recording.Format,
	}
	for _, l := range e.Links {
		all = append(all, l.Value)
		if !links(l.Value) || l.Kind == call.NoLink || l.Kind == call.LinkParent && l.Value == e.CallID {
			t.Fatalf("link %s %q", l.Kind, l.Value)
		}
	}
	for i, a := range e.Attributes {
		all = append(all, a.Key, a.Value)
		if i > 0 && e.Attributes[i-1].Key >= a.Key {
			t.Fatalf("attributes are not sorted: %v", e.Attributes)
		}
	}
	for _, s := range all {
		if len(s) > maxText+maxID || !utf8.ValidString(s) {
			t.Fatalf("string %q of %d bytes", s, len(s))
		}
	}
}

// leaf is one value inside a JSON document, with its path and a way to replace
// it.
type leaf struct {
	path string
	old  any
	set  func(any)
}

// leaves lists all values inside doc, containers too.
func leaves(path string, doc any) []leaf {
	var all []leaf
	switch doc := doc.(type) {
	case map[string]any:
		for name, old := range doc {
			p := strings.TrimPrefix(path+"."+name, ".")
			all = append(all, leaf{p, old, func(v any) { doc[name] = v }})
			all = append(all, leaves(p, old)...)
		}
	case []any:
		for i, old := range doc {
			p := fmt.Sprintf("%s[%d]", path, i)
			all = append(all, leaf{p, old, func(v any) { doc[i] = v }})
			all = append(all, leaves(p, old)...)
		}
	}
	slices.SortFunc(all, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
	return all
}

func parsed(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func encoded(t testing.TB, doc any) []byte {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
