package auth

import (
	"encoding/base64"
	"net/netip"
	"testing"
)

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestBasic(t *testing.T) {
	passwords := []string{"old:secret", "new"}
	for _, test := range []struct {
		name, header string
		want         bool
	}{
		{"the first password", basic("bw:old:secret"), true},
		{"the second password", basic("bw:new"), true},
		{"a scheme in small letters", "basic " + basic("bw:new")[6:], true},
		{"spaces", "Basic  " + basic("bw:new")[6:] + " ", true},
		{"nothing", "", false},
		{"the scheme alone", "Basic", false},
		{"another user", basic("bx:new"), false},
		{"no user", basic(":new"), false},
		{"another password", basic("bw:newer"), false},
		{"part of a password", basic("bw:ne"), false},
		{"no password", basic("bw:"), false},
		{"no colon", basic("bwnew"), false},
		{"both passwords", basic("bw:old:secret\nnew"), false},
		{"no base64", "Basic bw:new", false},
		{"base64 without padding", "Basic " + base64.RawStdEncoding.EncodeToString([]byte("bw:old:secret")), false},
		{"a bearer", "Bearer " + basic("bw:new")[6:], false},
	} {
		if got := Basic(test.header, "bw", passwords); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
	for _, none := range [][]string{nil, {""}} {
		if Basic(basic("bw:"), "bw", none) {
			t.Errorf("an empty password is right where the secrets are %q", none)
		}
	}
}

func TestToken(t *testing.T) {
	tokens := []string{"old", "new"}
	for _, test := range []struct {
		header string
		want   bool
	}{
		{"Bearer old", true},
		{"bearer new", true},
		{"Bearer  new ", true},
		{"Bearer", false},
		{"Bearer ", false},
		{"Bearer newer", false},
		{"Bearer old new", false},
		{"Basic new", false},
		{"new", false},
		{"", false},
	} {
		if got := Bearer(test.header, tokens); got != test.want {
			t.Errorf("%q: got %t", test.header, got)
		}
	}
	for token, want := range map[string]bool{"old": true, "new": true, "": false, "ol": false, "oldnew": false} {
		if got := Token(token, tokens); got != want {
			t.Errorf("%q: got %t", token, got)
		}
	}
	if Token("", []string{""}) || Bearer("Bearer ", []string{""}) || Token("", nil) {
		t.Error("an empty token is right where the secret is empty")
	}
}

func addresses(t *testing.T, s ...string) (networks []netip.Prefix) {
	t.Helper()
	for _, n := range s {
		network, err := netip.ParsePrefix(n)
		if err != nil {
			t.Fatal(err)
		}
		networks = append(networks, network)
	}
	return networks
}

func TestSource(t *testing.T) {
	networks := addresses(t, "192.0.2.35/32", "198.51.100.0/24", "2001:db8::/32")
	for address, want := range map[string]bool{
		"192.0.2.35": true, "192.0.2.36": false, "198.51.100.7": true, "::ffff:198.51.100.7": true,
		"2001:db8::1": true, "2001:db9::1": false, "127.0.0.1": false, "::1": false,
	} {
		if got := Source(netip.MustParseAddr(address), networks); got != want {
			t.Errorf("%s: got %t", address, got)
		}
	}
	if Source(netip.Addr{}, networks) || Source(netip.Addr{}, addresses(t, "0.0.0.0/0", "::/0")) {
		t.Error("what is no address is in a network")
	}
	if Source(netip.MustParseAddr("192.0.2.35"), nil) {
		t.Error("an address is in no network")
	}
}

func TestOrigin(t *testing.T) {
	proxies := addresses(t, "10.0.0.0/8", "fd00::/8")
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "192.0.2.1", nil, "192.0.2.1"},
		{"a stranger who claims to forward", "192.0.2.1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"a proxy", "10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy that speaks for itself", "10.0.0.1", nil, "10.0.0.1"},
		{"two proxies", "10.0.0.1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"two headers", "10.0.0.1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"a client that lies to a proxy", "10.0.0.1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		{"a client that says it is a proxy", "10.0.0.1", []string{"198.51.100.1, 10.9.9.9, 192.0.2.1"}, "192.0.2.1"},
		{"proxies only", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a port", "10.0.0.1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"a port of IPv6", "fd00::1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"brackets", "fd00::1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"an IPv4 address in IPv6", "::ffff:10.0.0.1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"no address", "10.0.0.1", []string{"192.0.2.1, unknown"}, "invalid IP"},
		{"an empty hop", "10.0.0.1", []string{"192.0.2.1,"}, "invalid IP"},
	} {
		if got := Origin(netip.MustParseAddr(test.peer), test.forwarded, proxies).String(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestNamed(t *testing.T) {
	for _, test := range []struct {
		certificate, names []string
		want               bool
	}{
		{[]string{"a.example", "b.example"}, []string{"b.example"}, true},
		{[]string{"a.example"}, []string{"b.example"}, false},
		{[]string{"a.example"}, nil, true},
		{[]string{""}, []string{""}, false},
		{nil, []string{"b.example"}, false},
		{nil, nil, false}, // no certificate is not any certificate
		{[]string{""}, nil, true},
	} {
		if got := Named(test.certificate, test.names); got != test.want {
			t.Errorf("%q among %q: got %t", test.certificate, test.names, got)
		}
	}
}
