// Package auth decides who may deliver events. It is pure: what a request carries and
// what is expected go in, yes or no comes out. Secrets are compared in constant time,
// and each of several may be the right one, so that one can replace another.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
)

// Basic reports whether an Authorization header has a user's name and one of the
// passwords (RFC 7617).
func Basic(header, username string, passwords []string) bool {
	encoded, ok := credentials(header, "basic")
	if !ok {
		return false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	// Both are compared, whatever the first says: how long it takes tells nothing.
	known, right := isOneOf(user, []string{username}), isOneOf(password, passwords)
	return ok && known && right
}

// Bearer reports whether an Authorization header has one of the tokens (RFC 6750).
func Bearer(header string, tokens []string) bool {
	token, ok := credentials(header, "bearer")
	return ok && isOneOf(token, tokens)
}

// Token reports whether a token is one of those expected.
func Token(token string, tokens []string) bool { return isOneOf(token, tokens) }

// credentials are what follows the scheme in an Authorization header.
func credentials(header, scheme string) (string, bool) {
	name, rest, _ := strings.Cut(header, " ")
	return strings.Trim(rest, " "), strings.EqualFold(name, scheme)
}

// isOneOf reports whether a secret is one of those expected, in a time that does not
// depend on how much of it is right. An empty one is never right.
func isOneOf(got string, expected []string) bool {
	sum := sha256.Sum256([]byte(got))
	found := 0
	for _, s := range expected {
		want := sha256.Sum256([]byte(s))
		found |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return found == 1 && got != ""
}

// Source reports whether an address is in one of the networks.
func Source(address netip.Addr, networks []netip.Prefix) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Origin is the address that a request comes from: the peer's, unless that is one of
// the proxies, which are believed about who was before them. forwarded are the values
// of X-Forwarded-For, to which each proxy adds its peer at the end. The result is not
// valid where a proxy says what is no address.
func Origin(peer netip.Addr, forwarded []string, proxies []netip.Prefix) netip.Addr {
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for Source(peer, proxies) && len(hops) > 0 {
		last := strings.TrimSpace(hops[len(hops)-1])
		if hops = hops[:len(hops)-1]; last == "" && len(hops) == 0 {
			break
		}
		if peer = parseHop(last); !peer.IsValid() {
			break
		}
	}
	return peer.Unmap().WithZone("")
}

// parseHop reads an address, which may have a port.
func parseHop(s string) netip.Addr {
	if address, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return address
	}
	withPort, _ := netip.ParseAddrPort(s)
	return withPort.Addr()
}

// Named reports whether a certificate has one of the names; with no names, any
// certificate will do. A certificate without any entry is none.
func Named(certificate, names []string) bool {
	if len(certificate) == 0 {
		return false
	}
	return len(names) == 0 || slices.ContainsFunc(certificate, func(n string) bool { return n != "" && slices.Contains(names, n) })
}
