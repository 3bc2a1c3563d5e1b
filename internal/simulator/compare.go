package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is how what a processor said compares with the truth.
type Report struct {
	Truths   int // sessions that had to come out
	Sessions int // sessions that came out, SUPERSEDED ones aside
	Matched  int // truths whose session came out, right in all named fields
	Excused  int // truths of which loss left nothing that can be compared

	Missing  int            // truths without a session
	Extra    int            // sessions without a truth
	Wrong    map[string]int // sessions in which the field differs, by field
	Examples []string       // the first few differences of each sort
}

// OK reports whether everything came out as it must.
func (r *Report) OK() bool { return r.Missing == 0 && r.Extra == 0 && len(r.Wrong) == 0 }

// String is the report in lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d truths, %d sessions: %d matched, %d excused, %d missing, %d extra\n",
		r.Truths, r.Sessions, r.Matched, r.Excused, r.Missing, r.Extra)
	var names []string
	for name := range r.Wrong {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "wrong %s: %d\n", name, r.Wrong[name])
	}
	for _, e := range r.Examples {
		b.WriteString(e)
		b.WriteByte('\n')
	}
	return b.String()
}

// examplesOfEach bounds the examples of each sort of difference.
const examplesOfEach = 3

func (r *Report) example(sort string, n int, format string, args ...any) {
	if n <= examplesOfEach {
		r.Examples = append(r.Examples, sort+": "+fmt.Sprintf(format, args...))
	}
}

// session is one session as a processor wrote it.
type session struct {
	fields  map[string]json.RawMessage
	version int64
	told    bool // some truth is about it
}

// Compare holds the sessions, one JSON object a line with the field names of
// CallSession, against the truth. Of several lines with one session_id the one
// with the highest record_version counts; SUPERSEDED sessions are set aside.
// Every field that a truth names must be equal.
func Compare(truth []Truth, sessions io.Reader) (Report, error) {
	latest, err := readSessions(sessions)
	if err != nil {
		return Report{}, err
	}
	r := Report{Truths: len(truth), Sessions: len(latest), Wrong: map[string]int{}}
	legs := byLeg(latest)
	for i := range truth {
		r.compare(&truth[i], latest, legs)
	}
	r.findExtra(latest)
	return r, nil
}

func readSessions(in io.Reader) (map[string]*session, error) {
	latest := map[string]*session{}
	lines := bufio.NewReaderSize(in, 1<<20)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := addSession(latest, line); err != nil {
				return nil, fmt.Errorf("read session on line %d: %w", n, err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read sessions: %w", err)
		}
	}
	for id, s := range latest {
		if string(s.fields["record_state"]) == `"SUPERSEDED"` {
			delete(latest, id)
		}
	}
	return latest, nil
}

func addSession(latest map[string]*session, line []byte) error {
	s := &session{}
	if err := json.Unmarshal(line, &s.fields); err != nil {
		return err
	}
	var id string
	if err := json.Unmarshal(s.fields["session_id"], &id); err != nil {
		return fmt.Errorf("session_id: %w", err)
	}
	if v, ok := s.fields["record_version"]; ok {
		if err := json.Unmarshal(v, &s.version); err != nil {
			return fmt.Errorf("record_version: %w", err)
		}
	}
	if old := latest[id]; old == nil || old.version <= s.version {
		latest[id] = s
	}
	return nil
}

// byLeg finds a session by tenant, provider and provider call id of a leg.
func byLeg(sessions map[string]*session) map[string]*session {
	legs := map[string]*session{}
	for _, s := range sessions {
		for _, id := range s.ids("legs", "provider_call_id") {
			legs[string(s.fields["tenant_id"])+string(s.fields["provider"])+id] = s
		}
	}
	return legs
}

// ids are one member of each object of an array, sorted.
func (s *session) ids(field, member string) []string {
	var objects []map[string]json.RawMessage
	// What has another form has no ids, and so is equal to no truth.
	_ = json.Unmarshal(s.fields[field], &objects)
	values := make([]string, len(objects))
	for i, o := range objects {
		_ = json.Unmarshal(o[member], &values[i])
	}
	slices.Sort(values)
	return values
}

func (r *Report) compare(t *Truth, sessions, legs map[string]*session) {
	if t.Lossy {
		for _, id := range t.CallIDs {
			if s := legs[`"`+t.Tenant+`""`+t.Provider+`"`+id]; s != nil {
				s.told = true
			}
		}
	}
	if !t.Names(SessionID) {
		r.Excused++
		return
	}
	s := sessions[t.SessionID]
	if s == nil {
		r.Missing++
		r.example("missing", r.Missing, "%s", t.AppendJSON(nil))
		return
	}
	s.told = true
	if r.fields(t, s) {
		r.Matched++
	}
}

// fields compares the named fields one by one and reports whether all are equal.
func (r *Report) fields(t *Truth, s *session) bool {
	equal := true
	for i := range fields {
		f := &fields[i]
		if !t.Names(1 << i) {
			continue
		}
		want := f.append(t, []byte{'{'}, f.name)[len(f.name)+4:]
		got := s.field(f.name)
		if bytes.Equal(want, got) {
			continue
		}
		equal = false
		r.Wrong[f.name]++
		r.example("wrong "+f.name, r.Wrong[f.name], "is %s, must be %s, of %s", got, want, t.AppendJSON(nil))
	}
	return equal
}

func (s *session) field(name string) []byte {
	member := ""
	switch name {
	case "transfers":
		return s.transfers()
	case "legs":
		member = "provider_call_id"
	case "recordings":
		member = "recording_id"
	default:
		return s.fields[name]
	}
	return ids([]byte{'{'}, name, member, s.ids(name, member))[len(name)+4:]
}

// transfers are those members of the transfers that a truth tells.
func (s *session) transfers() []byte {
	var all []struct {
		Type       string  `json:"type"`
		To         *string `json:"to_leg_id"`
		Transferor *string `json:"transferor"`
		Result     string  `json:"result"`
		Inferred   bool    `json:"inferred"`
	}
	// What has another form is equal to no truth.
	if err := json.Unmarshal(s.fields["transfers"], &all); err != nil {
		return s.fields["transfers"]
	}
	b, err := json.Marshal(all)
	if err != nil || all == nil {
		return []byte("[]")
	}
	return b
}

func (r *Report) findExtra(sessions map[string]*session) {
	var extra []string
	for id, s := range sessions {
		if !s.told {
			extra = append(extra, id)
		}
	}
	r.Extra = len(extra)
	slices.Sort(extra)
	for i, id := range extra {
		r.example("extra", i+1, "%s %s %s", id, sessions[id].fields["tenant_id"], sessions[id].fields["provider"])
	}
}
