package simulator

import (
	"bytes"
	"strings"
)

// noise is a record that is no call event: what providers send on the same feed
// about other things, and deletions.
func (s *Simulator) noise(t *tenant, p *provider) Record {
	d := s.calls
	r := Record{Timestamp: s.clock + d.between(20, 3000), Headers: t.headers(d, p, false), Key: []byte(t.name), Provider: p.name, Tenant: t.name}
	choices := p.noise
	n := d.IntN(len(choices) + 1)
	if n == len(choices) {
		s.counts.Ignored["null"]++
		return r
	}
	kind := choices[n]
	s.counts.Ignored[p.name+"/"+kind.name]++
	r.Value = kind.write(d, t, s.clock)
	return r
}

type noiseKind struct {
	name  string
	write func(d draw, t *tenant, at int64) []byte
}

// garbage is a record that no processor can take, made from a good one, which
// arrives unharmed too. The reason why it cannot is planned.
func (s *Simulator) garbage(good Record, t *tenant, p *provider) Record {
	d := s.faults
	r := good
	r.Timestamp += d.between(0, 1000)
	if way := pick(d, p.slips); d.chance(0.4) && bytes.Contains(good.Value, []byte(way.old)) {
		s.counts.Rejected[way.reason]++
		r.Value = bytes.Replace(good.Value, []byte(way.old), []byte(way.new), 1)
		r.Headers = t.headers(d, p, false)
		return r
	}
	way := pick(d, garbages)
	s.counts.Rejected[way.reason]++
	r.Value, r.Headers = way.spoil(d, good)
	return r
}

type garbageKind struct {
	reason string
	spoil  func(d draw, good Record) ([]byte, []Header)
}

var garbages = []garbageKind{
	{"MALFORMED_JSON", func(d draw, r Record) ([]byte, []Header) {
		return r.Value[:len(r.Value)-1-d.IntN(len(r.Value)/2)], r.Headers
	}},
	{"MALFORMED_JSON", func(draw, Record) ([]byte, []Header) { return []byte{}, nil }},
	{"MALFORMED_JSON", func(_ draw, r Record) ([]byte, []Header) {
		return append(bytes.Clone(r.Value), " trailing"...), r.Headers
	}},
	{"UNKNOWN_PROVIDER", func(_ draw, r Record) ([]byte, []Header) {
		return r.Value, []Header{r.Headers[0], {"provider", []byte("nobody")}}
	}},
	{"TOO_DEEP", func(_ draw, r Record) ([]byte, []Header) {
		deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
		return append([]byte(`{"extra":`+deep+`,`), r.Value[1:]...), r.Headers
	}},
}

// slip is a small change that makes a good value one that cannot be taken.
type slip struct{ reason, old, new string }
