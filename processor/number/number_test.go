package number

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"callstitch/processor/call"
)

func TestMask(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"+15550100199", "+•••••••••99"},
		{"+1 (555) 010-0123", "+• (•••) •••-••23"},
		{"sip:alice@example.com", "sip:•••ce"},
		{"sip:+15550100123@example.com;transport=udp", "sip:+•••••••••23"},
		{"tel:+15550100123", "+•••••••••23"},
		{"user_0042", "••••_••42"},
		{"12", "••"},
		{"7", "•"},
		{"anonymous", "anonymous"},
		{"Restricted", "Restricted"},
		{"sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"},
		{"sip:anonymous@192.0.2.1;user=+15550100199", "sip:anonymous"},
		{"private@alice.example.com", "private"},
		{"①②③④", "••③④"},
		{"hmac:7f3a:000102030405060708090a0b0c0d0eaf", "hmac:…af"},
		{"hmac:7f3a:+15550100199", "••••:••••:+•••••••••99"}, // no token
	} {
		got := Mask(test.text)
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
		if again := Mask(got); again != got && !IsToken(test.text) {
			t.Errorf("%q: masked twice it is %q", test.text, again)
		}
	}
}

const (
	testSecret  = "0123456789abcdef0123456789abcdef"
	otherSecret = "0123456789abcdef0123456789abcdeg"
)

func testKey(t testing.TB, secret string) Key {
	t.Helper()
	k, err := NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestToken holds tokens to their form for good: readers keep them for years. The value was
// made with: printf '\1\0\0\0\4acme15550100199' | openssl dgst -sha256 -hmac "$KEY".
func TestToken(t *testing.T) {
	key := testKey(t, testSecret)
	m := newMinter(key)
	const want = "hmac:12a1:c427a20822e6708c841726e86552979f"
	if got := m.token("acme", "+15550100199"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	other := newMinter(testKey(t, otherSecret))
	tokens := map[string]string{}
	for what, token := range map[string]string{
		"a number":                       m.token("acme", "+15550100199"),
		"another":                        m.token("acme", "+15550100198"),
		"another tenant's":               m.token("acm", "+15550100199"),
		"a tenant that takes from it":    m.token("acme1", "5550100199"),
		"with another key":               other.token("acme", "+15550100199"),
		"a user":                         m.token("acme", "user_0042"),
		"an address":                     m.token("acme", "sip:15550100199@example.com"),
		"spaced":                         m.token("acme", "+1 555 010 0199"),
		"an extension":                   m.token("acme", "1001"),
		"with a trunk prefix":            m.token("acme", "015550100199"),
		"more digits than a number has":  m.token("acme", "1555010019900001"),
		"fewer digits, and a plus":       m.token("acme", "+1001"),
		"a hash of a record":             tokenBegins + fmt.Sprintf("%x", m.record("acme", [32]byte{1})),
		"another tenant's of the record": tokenBegins + fmt.Sprintf("%x", m.record("acm", [32]byte{1})),
	} {
		if !strings.Contains(what, "record") && KeyOf(token) == "" {
			t.Errorf("%s: %s is no token", what, token)
		}
		if tokens[token] != "" {
			t.Errorf("%s and %s have one token", what, tokens[token])
		}
		tokens[token] = what
	}
	if a, b := m.token("acme", "+15550100199"), m.token("acme", "15550100199"); a != b {
		t.Errorf("a number without its plus is %s, with it %s", b, a)
	}
}

func TestKey(t *testing.T) {
	if _, err := NewKey(testSecret[1:]); err == nil || strings.Contains(err.Error(), testSecret[1:]) {
		t.Errorf("a key of 31 bytes: %v", err)
	}
	k := testKey(t, testSecret)
	text, err := json.Marshal(struct{ Form Form }{Form{HMAC, k}})
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, Form{HMAC, k}, Form{HMAC, k}, &k), string(text)} {
		if strings.Contains(said, testSecret) || !strings.Contains(said, k.ID()) {
			t.Errorf("a key shows itself as %s", said)
		}
	}
	if other := testKey(t, otherSecret); k.ID() == other.ID() || len(k.ID()) != 4 {
		t.Errorf("two keys have the ids %s and %s", k.ID(), other.ID())
	}
	defer func() {
		if recover() == nil {
			t.Error("tokens are made without a key")
		}
	}()
	Form{Mode: HMAC}.Writer()
}

func TestFormOf(t *testing.T) {
	k := testKey(t, testSecret)
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"anonymous", ""},
		{"+15550100199", "full"},
		{"user_0042", "full"},
		{Mask("+15550100199"), "masked"},
		{Mask("alice"), "masked"},
		{newMinter(k).token("acme", "alice"), Form{HMAC, k}.String()},
	} {
		if got := FormOf(test.text); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

// TestOneNumberOneToken follows one number through what an application publishes.
func TestOneNumberOneToken(t *testing.T) {
	const raw, e164 = "15550100199", "+15550100199"
	w := Form{HMAC, testKey(t, testSecret)}.Writer()
	caller := call.Party{Raw: raw, E164: e164, Kind: call.PartyPSTN}
	attributes := []call.Attribute{{Key: "project_id", Value: raw}, {Key: call.AttributeAlias, Value: raw}}
	given := []call.Output{
		&call.EventRecord{Event: &call.Event{
			Tenant: "acme", From: caller, To: call.Party{Raw: e164, E164: e164}, TransferTarget: raw, Attributes: attributes,
		}},
		&call.Session{
			Tenant: "acme", From: call.Party{Raw: "anonymous"}, To: caller, Attributes: attributes,
			Legs: []call.LegSummary{{FromE164: e164}}, Transfers: []call.Transfer{{Transferor: raw}},
		},
		call.Settled{Session: &call.Session{Tenant: "acme", To: caller}},
		&call.Leg{Tenant: "acme", From: call.Party{Raw: "1.5550100199e+10", E164: e164}, Attributes: attributes},
	}
	before, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	e, s, l := w.Output(given[0]).(*call.EventRecord), w.Output(given[1]).(*call.Session), w.Output(given[3]).(*call.Leg)
	settled := w.Output(given[2]).(call.Settled)
	if after, err := json.Marshal(given); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what it was given has changed from %s to %s (%v)", before, after, err)
	}
	want := w.minter.token("acme", e164)
	for _, got := range []string{
		e.From.Raw, e.From.E164, e.To.Raw, e.To.E164, e.TransferTarget, e.Attributes[1].Value,
		s.To.Raw, s.To.E164, s.Legs[0].FromE164, s.Transfers[0].Transferor, s.Attributes[1].Value,
		settled.To.Raw, settled.To.E164, l.From.Raw, l.From.E164, l.Attributes[1].Value,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for what, still := range map[string]bool{
		"who withheld a number":   s.From.Raw == "anonymous",
		"who withheld an address": w.address("acme", "sip:anonymous@192.0.2.1;user=+15550100199") == "sip:anonymous",
		"an attribute":            e.Attributes[0].Value == raw,
		"a kind":                  e.From.Kind == call.PartyPSTN,
		"what is not there":       s.Legs[0].ToE164 == "" && l.To == call.Party{},
		"another tenant's is one": w.address("other", raw) != want,
	} {
		if !still {
			t.Errorf("%s has changed", what)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	party := func(n int) call.Party {
		text := fmt.Sprintf("+155501%05d", n)
		return call.Party{Raw: text[1:], E164: text, Kind: call.PartyPSTN}
	}
	e := &call.EventRecord{Event: &call.Event{Tenant: "acme", From: party(1), To: party(2)}}
	s := &call.Session{
		Tenant: "acme", From: party(1), To: party(2),
		Legs: []call.LegSummary{{FromE164: party(1).E164, ToE164: party(2).E164}, {FromE164: party(1).E164, ToE164: party(3).E164}},
	}
	for _, f := range []Form{{}, {Mode: Masked}, {HMAC, testKey(b, testSecret)}} {
		w := f.Writer()
		for what, o := range map[string]call.Output{"event": e, "session": s} {
			b.Run(f.Mode.String()+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Output(o)
				}
			})
		}
	}
}
