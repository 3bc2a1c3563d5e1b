package simulator

import (
	"bytes"
	"strconv"
	"strings"
)

// noise is a record that is no call event: what providers send on the same feed
// about other things, and deletions.
func (s *Simulator) noise(t *tenant, p *provider) Record {
	d := s.calls
	r := Record{Timestamp: s.clock + d.between(20, 3000), Headers: t.headers(d, p, false), Key: []byte(t.name)}
	choices := noises[p.name]
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

var noises = map[string][]noiseKind{
	"opentact":  {{"sms", opentactOther("sms")}, {"tn", opentactOther("tn")}, {"account", opentactOther("account")}},
	"stringee":  {{"routing", stringeeRouting}},
	"sonetel":   {{"test", sonetelTest}, {"presence", sonetelPresence}},
	"bandwidth": {{"conference", bandwidthRoom}},
}

func opentactOther(kind string) func(draw, *tenant, int64) []byte {
	return func(d draw, t *tenant, at int64) []byte {
		b := str([]byte("{"), "uuid", d.uuid())
		b = iso(b, "created_on", at)
		b = str(b, "type", kind)
		b = str(b, "message", kind+" changed")
		b = raw(b, "payload", `{"state":"changed"}`)
		b = null(b, "call", "call_flow", "call_record")
		b = raw(b, "account", `{"uuid":"`+t.account+`"}`)
		b = raw(b, "delivery_report", "[]")
		return append(b, '}')
	}
}

func stringeeRouting(d draw, t *tenant, _ int64) []byte {
	b := str([]byte("{"), "action", "GetIVRRouting")
	b = num(b, "project_id", t.project)
	b = raw(b, "calls", `[]`)
	b = num(b, "serial", d.between(1, 99))
	return append(b, '}')
}

func sonetelTest(d draw, _ *tenant, _ int64) []byte {
	b := str([]byte("{"), "messageType", "test")
	b = str(b, "message", strconv.FormatInt(d.between(1, 999), 10))
	return append(b, '}')
}

func sonetelPresence(_ draw, _ *tenant, _ int64) []byte {
	b := str([]byte("{"), "messageType", "notification")
	b = str(b, "notificationType", "presenceListEvent")
	return append(raw(b, "notification", "{}"), '}')
}

func bandwidthRoom(d draw, _ *tenant, at int64) []byte {
	b := str([]byte("{"), "eventType", "conferenceCreated")
	b = iso(b, "eventTime", at)
	b = str(b, "conferenceId", "conf-"+d.uuid())
	return append(str(b, "name", "meeting"), '}')
}

// garbage is a record that no processor can take, made from a good one, which
// arrives unharmed too. The reason why it cannot is planned.
func (s *Simulator) garbage(good Record, t *tenant, p *provider) Record {
	d := s.faults
	r := good
	r.Timestamp += d.between(0, 1000)
	if way := pick(d, slips[p.name]); d.chance(0.4) && bytes.Contains(good.Value, []byte(way.old)) {
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

// slips are by provider; a value that has none of the words is spoilt in another
// way. Conference events have theirs in another place: without a call id they
// would be taken for news of the conference.
var slips = map[string][]slip{
	"opentact":  {{"MISSING_CALL_ID", `"call":{"uuid":`, `"call":{"uuxd":`}},
	"stringee":  {{"MISSING_CALL_ID", `"call_id":"`, `"call_xd":"`}, {"BAD_TIMESTAMP", `"timestamp_ms":1`, `"timestamp_ms":91`}},
	"sonetel":   {{"MISSING_CALL_ID", `"callId":"`, `"callXd":"`}},
	"bandwidth": {{"MISSING_CALL_ID", `Z","callId":"`, `Z","callXd":"`}, {"BAD_TIMESTAMP", `"eventTime":"20`, `"eventTime":"19`}},
}
