package faults

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
	"callstitch/topology"
)

// hangup is what Bandwidth sends at the end of a call, with a place for what is wrong with it.
const hangup = `{"eventType":"disconnect","eventTime":"2026-03-01T10:00:09Z","callId":"%s","from":"+15550100101","to":"+15550100102","direction":"inbound","startTime":"2026-03-01T10:00:00Z","answerTime":"2026-03-01T10:00:04Z","endTime":"2026-03-01T10:00:09Z","cause":"hangup"}`

// refused is a raw record that is rejected for one reason, and what mends it.
type refused struct {
	reason   string
	provider string // header, where there is one
	headers  []call.Header
	value    string
	mend     []string // arguments of a replay
	leaves   string   // the call id that a session then has
}

func refusals() []refused {
	end := func(id string) string { return fmt.Sprintf(hangup, id) }
	return []refused{
		{"MALFORMED_JSON", "bandwidth", nil, end("c-malformed") + "}", []string{"--edit", `sed 's/}}$/}/'`}, "c-malformed"},
		{"TOO_LARGE", "bandwidth", nil, end("c-large") + strings.Repeat(" ", 1<<20), []string{"--edit", "tr -d ' '"}, "c-large"},
		{"TOO_DEEP", "bandwidth", nil, strings.TrimSuffix(end("c-deep"), "}") + `,"x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}", []string{"--edit", `sed 's/,"x":.*/}/'`}, "c-deep"},
		{"UNKNOWN_PROVIDER", "bandwith", nil, end("c-unknown"), []string{"--set", "provider=bandwidth"}, "c-unknown"},
		{"AMBIGUOUS_PROVIDER", "", nil, `{"messageType":"notification",` + end("c-ambiguous")[1:], []string{"--set", "provider=bandwidth"}, "c-ambiguous"},
		{"MISSING_CALL_ID", "bandwidth", nil, end(""), []string{"--edit", `sed 's/"callId":""/"callId":"c-missing"/'`}, "c-missing"},
		{"BAD_FIELD", "bandwidth", nil, strings.Replace(end("c-field"), `"c-field"`, "7", 1), []string{"--edit", `sed 's/"callId":7/"callId":"c-field"/'`}, "c-field"},
		{"BAD_TIMESTAMP", "bandwidth", nil, strings.Replace(end("c-time"), `"eventTime":"2026`, `"eventTime":"1926`, 1), []string{"--edit", "sed s/1926/2026/"}, "c-time"},
		{"BAD_HEADER", "bandwidth", []call.Header{{Key: "tenant"}}, end("c-header"), []string{"--set", "tenant=acme"}, "c-header"},
		{"ID_CONFLICT", "stringee", nil, strings.Replace(fmt.Sprintf(stringeeEnd, "c-conflict"), "agent1", "agent2", 1), []string{"--set", "scope=two"}, "c-conflict of another scope"},
	}
}

// stringeeEnd has an id of its own, so that another content under it is a conflict.
const stringeeEnd = `{"call_status":"ended","timestamp_ms":1772359209000,"call_id":"%s","event_id":"e-1","project_id":1,"from":{"number":"15550100001","type":"external"},"to":{"number":"agent1","type":"internal"}}`

// sonetelCall is a call of which nothing but the records' own times tells when it was.
// Its hang-up may have a header that nobody knows.
func sonetelCall(topic, id, lastProvider string, at time.Time) (records []topology.Record) {
	for i, typ := range []string{"newCallEvent", "callConnectedEvent", "callHungUpEvent"} {
		provider := "sonetel"
		if typ == "callHungUpEvent" {
			provider = lastProvider
		}
		records = append(records, topology.Record{
			Topic: topic, Timestamp: at.Add(time.Duration(i) * 10 * time.Second).UnixMilli(), Headers: []call.Header{{Key: "provider", Value: []byte(provider)}},
			Value: fmt.Appendf(nil, `{"messageType":"notification","notificationType":%q,"notification":{"callId":%q,"date":%q,"callerPhoneNumber":"+15550100177","calleeUser":"u-1"}}`, typ, id, at.UTC().Format(time.DateTime)),
		})
	}
	return records
}

// replays is an application with a source that takes records of 2 MiB.
type replays struct {
	*application
	raw string
}

func newReplays(t *testing.T, p *program, id string) *replays {
	t.Helper()
	raw := id + ".raw"
	if err := p.cluster.CreateTopic(t.Context(), raw, 1); err != nil {
		t.Fatal(err)
	}
	p.broker.set(t, raw, "max.message.bytes", "2097152")
	return &replays{newApplication(t, p, &traffic{topic: raw}, id, "workers: 1", "exchange_partitions: 1", "grace: 1s"), raw}
}

// awaitBook waits until the book has so many records.
func (r *replays) awaitBook(read, rejected, conflicting int64) {
	r.t.Helper()
	now := func() book { return total(lastBooks(r.books.all())) }
	r.await(fmt.Sprintf("%d records in the book", read), func() bool { return now().Read >= read })
	if b := now(); b.Read != read || b.Rejected != rejected || b.Conflicting != conflicting {
		r.t.Fatalf("the book is %+v, want %d read, %d rejected, %d in conflict", b, read, rejected, conflicting)
	}
}

// replay runs the command, and gives what it says in JSON.
func (r *replays) replay(code int, args ...string) (o struct {
	Executed      bool
	Matched, Sent int64
	Fates         map[string]int64
},
) {
	r.t.Helper()
	var complaint strings.Builder
	cmd := r.command(append([]string{"rejects", "replay", "-o", "json"}, args...)...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if _, ended := err.(*exec.ExitError); err != nil && !ended || cmd.ProcessState.ExitCode() != code {
		r.t.Fatalf("%v: %v, want exit code %d\n%s%s", args, err, code, out, complaint.String())
	}
	if err := json.Unmarshal(out, &o); err != nil {
		r.t.Fatal(err)
	}
	return o
}

// closed are the sessions' last records by the call id of their first leg, as fields.
func (r *replays) closed() map[string]map[string]any {
	r.t.Helper()
	last := map[string]map[string]any{}
	for _, line := range lines(output(r.t, r.command("tail", r.topic("call.sessions")))) {
		var s map[string]any
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			r.t.Fatal(err)
		}
		id, _ := s["legs"].([]any)[0].(map[string]any)["provider_call_id"].(string)
		if other := last[id]; other != nil && other["session_id"] != s["session_id"] {
			id += " of another scope"
		}
		if s["record_state"] == "FINAL" {
			last[id] = s
		}
	}
	return last
}

// TestRejectsAreReplayed has a reject of each reason, twice: while its cause is not mended
// it is left, or, where one insists, comes back, up to three times; once that is mended
// it is taken. The dry run says before what then happens.
func TestRejectsAreReplayed(t *testing.T) {
	r := newReplays(t, newProgram(t), "replay")
	r.begin(1)
	all := refusals()
	n := int64(len(all))
	dated := time.Now().Add(-time.Hour).UnixMilli()
	records := []topology.Record{{Topic: r.raw, Timestamp: dated, Value: fmt.Appendf(nil, stringeeEnd, "c-conflict"), Headers: []call.Header{{Key: "provider", Value: []byte("stringee")}}}}
	for _, c := range all {
		rec := topology.Record{Topic: r.raw, Timestamp: dated, Value: []byte(c.value), Headers: c.headers}
		if c.provider != "" {
			rec.Headers = append(rec.Headers, call.Header{Key: "provider", Value: []byte(c.provider)})
		}
		records = append(records, rec)
	}
	r.broker.writeAll(t, records...)
	r.awaitBook(1+n, n-1, 1)

	if o := r.replay(1, "--execute"); o.Matched != n || o.Sent != 0 || o.Fates["would_be_rejected_again"] != n {
		t.Errorf("not mended: %+v", o)
	}
	for i := range int64(3) {
		if o := r.replay(0, "--execute", "--even-if-rejected"); o.Sent != n || o.Fates["sent_all_the_same"] != n {
			t.Fatalf("insisted upon for the %d. time: %+v", i+1, o)
		}
		r.awaitBook(1+n*(i+2), (n-1)*(i+2), i+2)
	}
	if o := r.replay(1, "--execute", "--even-if-rejected"); o.Sent != 0 || o.Fates["replayed_enough"] != n {
		t.Errorf("after three times: %+v", o)
	}
	for _, c := range all {
		args := append([]string{"--reason", c.reason, "--max-replays", "4"}, c.mend...)
		said := r.replay(0, args...)
		done := r.replay(0, append(args, "--execute")...)
		if said.Executed || said.Sent != 0 || !done.Executed || done.Sent != 1 || done.Matched != 1 || said.Fates["would_be_taken"] != 1 || !cmp.Equal(said.Fates, done.Fates) {
			t.Errorf("%s, mended: said %+v, did %+v", c.reason, said, done)
		}
	}
	r.awaitBook(1+n*5, (n-1)*4, 4)
	if o := r.replay(0, "--execute"); o.Matched != 0 {
		t.Errorf("at the end there are still: %+v", o)
	}
	r.await("the sessions", func() bool { return len(r.closed()) == len(all)+1 })
	got := r.closed()
	for _, c := range all {
		if got[c.leaves] == nil {
			t.Errorf("%s: there is no session of %s", c.reason, c.leaves)
		}
	}
	r.stop(r.instances)
}

// TestADayLater replays a hang-up of which only the record's time tells when it was, a
// day after it was rejected, from a topic that dates records itself and from one that
// does not. The session is what it would have been; nothing else is held by it.
func TestADayLater(t *testing.T) {
	p := newProgram(t)
	for _, timestamps := range []string{"CreateTime", "LogAppendTime"} {
		t.Run(timestamps, func(t *testing.T) {
			t.Parallel()
			r := newReplays(t, p, "day-"+strings.ToLower(timestamps))
			r.begin(1)
			at := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
			r.broker.writeAll(t, slices.Concat(sonetelCall(r.raw, "x-right", "sonetel", at), sonetelCall(r.raw, "x-wrong", "sonetell", at))...)
			r.awaitBook(6, 1, 0)
			r.broker.set(t, r.raw, "message.timestamp.type", timestamps)
			if o := r.replay(0, "--execute", "--set", "provider=sonetel"); o.Sent != 1 {
				t.Fatalf("%+v", o)
			}
			r.awaitBook(7, 1, 0)
			told := func(id string) map[string]any {
				all := map[string]any{}
				for _, field := range []string{"started_at", "answered_at", "ended_at", "talk_ms", "total_ms", "disposition", "close_reason", "end_lost", "hangup_cause"} {
					all[field] = r.closed()[id][field]
				}
				return all
			}
			r.await("the call to have its end", func() bool { return r.closed()["x-wrong"]["close_reason"] == "NORMAL" })
			if d := cmp.Diff(told("x-right"), told("x-wrong")); d != "" {
				t.Error(d)
			}
			if want := float64(at.Add(20 * time.Second).UnixMilli()); told("x-wrong")["ended_at"] != want {
				t.Errorf("it ended at %v, want %v", told("x-wrong")["ended_at"], want)
			}
			r.stop(r.instances)
		})
	}
}
