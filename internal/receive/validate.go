package receive

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"callstitch/internal/receive/feed"
	"callstitch/internal/receive/spool"
	"callstitch/processor/call"
)

// Limits of a configuration, each a guard against a slip of the hand.
const (
	maxHold        = 60 * time.Second // no provider waits as long
	maxProbePeriod = time.Minute      // a platform that ends processes waits about half of it
	leastBody      = 1 << 10          // of one event
	mostBody       = 16 << 20         // of one event: more than Kafka's brokers take
	mostSpooled    = 3 << 20          // of one event where there is a spool: its records are larger by their headers
	headerValueMax = 128              // of a record's tenant and scope, where it is decoded
)

// Segments of a path that are not what they say.
const (
	tenantSegment = "{tenant}"
	scopeSegment  = "{scope}"
)

// pathPattern is what a path may be: segments that are in a URL as they are written.
var pathPattern = regexp.MustCompile(`^(/([A-Za-z0-9._~-]+|\{tenant\}|\{scope\}))+$`)

// Validate lists all that is wrong with a configuration. It opens no file and no
// connection.
func (c *Config) Validate() []Problem {
	v := &validation{}
	v.check(c.Topic != "", "topic", "is required, such as call.raw")
	v.within(int64(c.Hold), 0, int64(maxHold), "hold", "must be from 0s to %s: less than the time-out of who sends events", maxHold)
	v.within(int64(c.ProbePeriod), 0, int64(maxProbePeriod), "probe_period", "must be from 0s to %s", maxProbePeriod)
	v.within(c.MaxBody, leastBody, mostBody, "max_body", "must be from 1KiB to 16MiB")
	v.check(len(c.Feeds) == 0 || c.MaxBody >= feed.FrameMax, "max_body", "must be 1MiB at least with feeds: their frames may have as much")
	v.check(c.MaxInFlight >= 2*c.MaxBody, "max_in_flight", "must be twice max_body at least")
	v.check(c.Spool.Dir == "" || c.Spool.Max >= spool.MaxLeast, "spool.max", "must be 16MiB at least")
	v.check(c.Spool.Dir == "" || c.MaxBody <= mostSpooled, "max_body", "must be 3MiB at most with a spool")
	v.address(c.Listen, "listen", "0.0.0.0:8085")
	v.address(c.HTTPListen, "http.listen", "127.0.0.1:8086")
	v.check(c.Listen != "" || len(c.Feeds) > 0, "listen", "is required, such as 0.0.0.0:8085; or feeds")
	v.check((c.Listen == "") == (len(c.Endpoints) == 0), "endpoints", "are needed with listen, and listen with them")
	c.TLS.validate(v)
	paths := http.NewServeMux()
	for i := range c.Endpoints {
		key := fmt.Sprintf("endpoints[%d]", i)
		c.Endpoints[i].validate(v, key)
		c.Endpoints[i].Auth.validate(v, key+".auth", c)
		v.check(added(paths, c.Endpoints[i].Path), key+".path", "matches what the path of another endpoint does")
	}
	names := map[string]bool{}
	for i := range c.Feeds {
		key := fmt.Sprintf("feeds[%d]", i)
		v.check(!names[c.Feeds[i].Name], key+".name", "%q is a feed already", c.Feeds[i].Name)
		names[c.Feeds[i].Name] = true
		c.Feeds[i].validate(v, key)
	}
	return v.problems
}

func (t *TLS) validate(v *validation) {
	v.check((t.CertFile == "") == (t.KeyFile == ""), "tls", "needs both cert_file and key_file")
	v.check(t.ClientCAFile == "" || t.CertFile != "", "tls.cert_file", "is required with client_ca_file")
}

func (e *Endpoint) validate(v *validation, key string) {
	v.check(pathPattern.MatchString(e.Path), key+".path",
		"must be such as /hooks/acme, of the characters a-z A-Z 0-9 . _ ~ - and the segments {tenant} and {scope}")
	v.check(!hasDots(e.Path), key+".path", "must have no segment that is . or ..")
	v.check(e.Provider != call.NoProvider, key+".provider", "is required, one of %s: it decides what is answered", strings.Join(call.ProviderNames(), ", "))
	for _, s := range []struct{ key, segment, value string }{
		{".tenant", tenantSegment, e.Tenant}, {".scope", scopeSegment, e.Scope},
	} {
		n := segments(e.Path, s.segment)
		v.check(n <= 1, key+".path", "has %s twice", s.segment)
		v.check(n == 0 || s.value == "", key+s.key, "is what the path says at %s: leave it out", s.segment)
		v.header(s.value, key+s.key)
	}
	v.check(e.Auth.SignatureFile == "" || answerTo(e.Provider).signature != nil, key+".auth",
		"asks for a signature: %s signs nothing", e.Provider)
}

func (a *Auth) validate(v *validation, key string, c *Config) {
	proof := a.PasswordFile != "" || a.SignatureFile != "" || a.TokenFile != "" || len(a.SourceIPs) > 0 || a.ClientCert
	v.check(proof || a.None, key, "is required: what requests must prove, or none: true for an endpoint that takes from everybody")
	v.check(!a.None || !proof && a.Username == "" && len(a.ClientNames) == 0, key+".none", "takes from everybody: nothing else may be beside it")
	v.check((a.Username == "") == (a.PasswordFile == ""), key+".basic", "needs both username and password_file")
	v.check(!strings.Contains(a.Username, ":"), key+".basic.username", "must have no colon")
	v.check(a.PasswordFile == "" || a.TokenFile == "", key+".token_file", "goes into the header that the password is in: use one of them")
	v.check(len(a.ClientNames) == 0 || a.ClientCert, key+".client_names", "need client_cert")
	v.check(!a.ClientCert || c.TLS.ClientCAFile != "", key+".client_cert", "needs tls.client_ca_file, which says whose certificates count")
	v.check(!slices.Contains(a.ClientNames, ""), key+".client_names", "must not be empty")
	for _, n := range a.SourceIPs {
		v.check(n.IsValid(), key+".source_ips", "must be networks such as 192.0.2.0/24")
	}
}

// added reports whether a path could be added to those of the door: none may match what
// another does, unless it says more.
func added(paths *http.ServeMux, path string) (ok bool) {
	if !pathPattern.MatchString(path) {
		return true // which is told already
	}
	defer func() { ok = recover() == nil }() // how ServeMux says it
	paths.Handle(path, http.NotFoundHandler())
	return true
}

// segments is how many of a path's segments are this one.
func segments(path, segment string) (n int) {
	for s := range strings.SplitSeq(path, "/") {
		if s == segment {
			n++
		}
	}
	return n
}

func hasSegment(path, segment string) bool { return segments(path, segment) > 0 }

func hasDots(path string) bool { return hasSegment(path, ".") || hasSegment(path, "..") }

// validation collects problems.
type validation struct{ problems []Problem }

func (v *validation) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, Problem{key, fmt.Sprintf(format, args...)})
	}
}

func (v *validation) within(n, low, high int64, key, format string, args ...any) {
	v.check(low <= n && n <= high, key, format, args...)
}

func (v *validation) address(s, key, example string) {
	_, port, err := net.SplitHostPort(s)
	v.check(s == "" || err == nil && port != "", key, "must be host:port, such as %s", example)
}

// header holds a value against what decoding takes.
func (v *validation) header(s, key string) {
	v.check(len(s) <= headerValueMax && strings.IndexFunc(s, unicode.IsControl) < 0 && strings.ToValidUTF8(s, "") == s,
		key, "must be up to %d bytes of UTF-8 without control characters", headerValueMax)
}
