package simulator

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run makes all of a traffic.
func run(cfg Config) ([]Record, []Truth, Counts) {
	s := New(cfg)
	var records []Record
	for {
		r, ok := s.Next()
		if !ok {
			return records, s.Truth(), s.Counts()
		}
		records = append(records, r)
	}
}

func faulty(calls int) Config {
	return Config{Seed: 7, Calls: calls, Duplicates: 0.1, Disorder: 0.2, Loss: 0.05, Garbage: 0.02, Transfers: 0.3, Tenants: 5}
}

func kcat(records []Record) []byte {
	var b []byte
	for i, r := range records {
		b = AppendKcat(b, r, "call.raw", 0, int64(i))
	}
	return b
}

func truthLines(truths []Truth) []byte {
	var b []byte
	for i := range truths {
		b = append(truths[i].AppendJSON(b), '\n')
	}
	return b
}

func TestOneSeedIsOneTraffic(t *testing.T) {
	a, aTruth, _ := run(faulty(500))
	b, bTruth, _ := run(faulty(500))
	if !bytes.Equal(kcat(a), kcat(b)) || !bytes.Equal(truthLines(aTruth), truthLines(bTruth)) {
		t.Error("two runs of one seed differ")
	}
	other := faulty(500)
	other.Seed++
	c, _, _ := run(other)
	if bytes.Equal(kcat(a), kcat(c)) {
		t.Error("two seeds give one traffic")
	}
}

// The same seed draws the same calls, whatever becomes of their records.
func TestFaultsDoNotChangeTheCalls(t *testing.T) {
	cfg := Config{Seed: 3, Calls: 400, Transfers: 0.3}
	_, plain, _ := run(cfg)
	cfg.Duplicates, cfg.Disorder, cfg.Garbage, cfg.Loss = 0.3, 0.3, 0.1, 0.001
	_, faulty, _ := run(cfg)
	// Only arrival tells Sonetel's instants, so these move with the disorder.
	facts := map[string]string{}
	for i := range plain {
		facts[plain[i].SessionID] = string(plain[i].AppendJSON(nil))
	}
	same := 0
	for i := range faulty {
		tr := &faulty[i]
		if tr.Lossy || tr.Provider == "sonetel" {
			continue
		}
		if d := cmp.Diff(facts[tr.SessionID], string(tr.AppendJSON(nil))); d != "" {
			t.Fatalf("faults changed the truth (-plain +faulty):\n%s", d)
		}
		same++
	}
	if same < 250 {
		t.Errorf("only %d of 400 truths compared", same)
	}
}

func TestRecordsComeInOrderAndAreComplete(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	cfg := faulty(300)
	cfg.Start = start
	last := start.UnixMilli()
	records, _, counts := run(cfg)
	for i, r := range records {
		if r.Timestamp < last {
			t.Fatalf("record %d is of %d, after one of %d", i, r.Timestamp, last)
		}
		last = r.Timestamp
		if len(r.Key) == 0 {
			t.Fatalf("record %d has no key", i)
		}
	}
	if int64(len(records)) != counts.Records {
		t.Errorf("%d records, counted %d", len(records), counts.Records)
	}
}

func TestValuesAreJSON(t *testing.T) {
	cfg := faulty(1500)
	cfg.Garbage = 0
	records, truths, _ := run(cfg)
	for _, r := range records {
		if r.Value != nil && !json.Valid(r.Value) {
			t.Fatalf("not JSON: %s", r.Value)
		}
	}
	for _, line := range bytes.Split(bytes.TrimSpace(truthLines(truths)), []byte("\n")) {
		if !json.Valid(line) {
			t.Fatalf("not JSON: %s", line)
		}
	}
}

// phoneLike is a telephone number, with or without its plus.
var phoneLike = regexp.MustCompile(`"(\+?1[0-9]{10})"`)

func TestNumbersAreFictional(t *testing.T) {
	records, _, _ := run(faulty(1000))
	fictional := regexp.MustCompile(`^\+?1[2-9][0-9]{2}55501[0-9]{2}$`)
	seen := 0
	for _, r := range records {
		for _, m := range phoneLike.FindAllSubmatch(r.Value, -1) {
			seen++
			if !fictional.Match(m[1]) {
				t.Fatalf("number %s", m[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no numbers found")
	}
}

func TestSharesOfFaults(t *testing.T) {
	cfg := faulty(8000)
	_, truths, counts := run(cfg)
	made := float64(counts.Records-counts.Duplicates) - sum(counts.Ignored) - sum(counts.Rejected) + float64(counts.Lost)
	kept := made - float64(counts.Lost)
	for _, f := range []struct {
		name      string
		got, want float64
	}{
		{"duplicates", float64(counts.Duplicates) / kept, cfg.Duplicates},
		{"disorder", float64(counts.Delayed) / made, cfg.Disorder},
		{"loss", float64(counts.Lost) / made, cfg.Loss},
		{"garbage", sum(counts.Rejected) / kept, cfg.Garbage},
	} {
		if math.Abs(f.got-f.want) > 0.01 {
			t.Errorf("share of %s is %.3f, asked for %.3f", f.name, f.got, f.want)
		}
	}
	if len(truths) < cfg.Calls*99/100 {
		t.Errorf("%d truths of %d calls", len(truths), cfg.Calls)
	}
}

func sum(counts map[string]int64) float64 {
	n := int64(0)
	for _, c := range counts {
		n += c
	}
	return float64(n)
}

func TestTransfersShare(t *testing.T) {
	for _, share := range []float64{0, 0.25, 1} {
		_, truths, _ := run(Config{Seed: 5, Calls: 4000, Transfers: share})
		answered, passed := 0, 0
		for _, tr := range truths {
			if tr.Disposition == "ANSWERED" && tr.LegCount > 0 {
				answered++
				passed += int(tr.TransferCount)
			}
		}
		got := float64(passed) / float64(answered)
		// Calls of one leg at Opentact and Bandwidth are not passed on.
		if got > share || got < share*0.35 {
			t.Errorf("transferred share %.2f of answered calls, asked for %.2f", got, share)
		}
	}
}

// Every story happens in a day's traffic.
func TestStories(t *testing.T) {
	records, truths, counts := run(Config{Seed: 1, Calls: 6000, Transfers: 0.3, Garbage: 0.05, Tenants: 8})
	seen := map[string]int{}
	for _, tr := range truths {
		seen[tr.Provider+" "+tr.Disposition]++
		seen[tr.Provider+" "+tr.CloseReason]++
		seen[tr.Provider+" "+tr.Direction]++
		if tr.TransferCount > 0 {
			seen[tr.Provider+" transfer"]++
		}
		seen[tr.Provider+" "+tr.AnsweredBy]++
	}
	var want []string
	for _, p := range []string{"opentact", "stringee", "sonetel", "bandwidth"} {
		want = append(want, p+" ANSWERED", p+" NO_ANSWER", p+" NORMAL", p+" TIMEOUT", p+" INBOUND", p+" OUTBOUND", p+" transfer")
	}
	for _, p := range []string{"opentact", "stringee", "bandwidth"} {
		want = append(want, p+" BUSY", p+" REJECTED", p+" CANCELED", p+" FAILED")
	}
	want = append(want, "opentact VOICEMAIL", "bandwidth VOICEMAIL", "bandwidth MACHINE", "bandwidth HUMAN", "opentact SYSTEM", "stringee INTERNAL", "sonetel INTERNAL")
	for _, story := range want {
		if seen[story] == 0 {
			t.Errorf("no %s", story)
		}
	}
	all := kcat(records)
	for _, word := range []string{
		`\"auto_answer\":true`, `\"tag\":\"voicemail\"`, `LOSE_RACE`, `BLIND_TRANSFER`, `ATTENDED_TRANSFER`, `call_flow`, `state_end`,
		`agentEnded`, `recording_url`, `dtmf`, `connect_failed`, `channelHungUpEvent`, `missedCallEvent`, `xelion`,
		`transferAnswer`, `transferComplete`, `answering-machine`, `conferenceMemberJoin`, `recordingAvailable`, `transcriptionAvailable`,
		`Anonymous`, `sip:agent`,
	} {
		if !bytes.Contains(all, []byte(word)) {
			t.Errorf("no %s in the records", word)
		}
	}
	for _, reason := range []string{"MALFORMED_JSON", "UNKNOWN_PROVIDER", "TOO_DEEP", "MISSING_CALL_ID", "BAD_TIMESTAMP"} {
		if counts.Rejected[reason] == 0 {
			t.Errorf("no garbage of reason %s", reason)
		}
	}
}

func TestTruthsAreConsistent(t *testing.T) {
	_, truths, _ := run(Config{Seed: 2, Calls: 6000, Transfers: 0.4, Duplicates: 0.1, Tenants: 3})
	ids := map[string]bool{}
	for i := range truths {
		tr := &truths[i]
		if ids[tr.SessionID] {
			t.Errorf("session %s twice", tr.SessionID)
		}
		ids[tr.SessionID] = true
		if problem := inconsistent(tr); problem != "" {
			t.Errorf("%s: %s", problem, tr.AppendJSON(nil))
		}
	}
	if len(truths) != 6000 {
		t.Errorf("%d truths of 6000 calls", len(truths))
	}
}

// ledOutOfSight reports whether the caller went where nothing tells of him.
func (t *Truth) ledOutOfSight() bool {
	return slices.ContainsFunc(t.Transfers, func(p passing) bool { return p.to == "" && p.result == "UNKNOWN" })
}

// toldLate reports whether when the call was answered is not known, as its records came
// long after it.
func (t *Truth) toldLate() bool {
	return !t.Answered.known() && !t.TalkMS.known && t.Ended.src == "DERIVED"
}

func inconsistent(tr *Truth) string {
	named := slices.IndexFunc(tr.CallIDs, func(id string) bool { return legID(tr.Tenant, tr.Provider, id) == tr.SessionID })
	switch {
	case named < 0:
		return "no leg has the session's id"
	case tr.LegCount != int64(len(tr.CallIDs)) || tr.AnsweredLegCount > tr.LegCount:
		return "wrong leg counts"
	case !slices.IsSorted(tr.CallIDs):
		return "call ids not sorted"
	case tr.Ended.at < tr.Started.at:
		return "ends before it starts"
	case (tr.CloseReason == "TIMEOUT") != tr.EndLost || tr.EndLost != (tr.Ended.src == "TIMEOUT"):
		return "lost end and time-out do not agree"
	case tr.Disposition == "ANSWERED" && !tr.EndLost && !tr.toldLate() && (!tr.Answered.known() || tr.TalkMS.ms == 0 && !tr.ledOutOfSight()):
		return "answered without answer or talk"
	case tr.TalkMS.known && tr.TotalMS.known && tr.TalkMS.ms > tr.TotalMS.ms:
		return "talked longer than it lasted"
	case tr.Disposition != "ANSWERED" && tr.Disposition != "VOICEMAIL" && tr.Answered.known():
		return "answer without a disposition of it"
	}
	return ""
}

func TestLossTakesFromTheTruthOnlyWhatItMust(t *testing.T) {
	_, truths, counts := run(Config{Seed: 9, Calls: 4000, Loss: 0.02})
	lossy, still := 0, 0
	for i := range truths {
		if !truths[i].Lossy {
			if !truths[i].Names(TenantID | SessionID | Legs | CloseReason | StartedAt | EndedAt | AnsweredAt | TotalMS) {
				t.Fatalf("nothing lost, but not all named: %s", truths[i].AppendJSON(nil))
			}
			continue
		}
		lossy++
		if truths[i].Names(SessionID | Legs | TenantID) {
			still++
		}
	}
	if counts.Lost == 0 || lossy == 0 || still*2 < lossy {
		t.Errorf("%d records lost, %d lossy truths, %d of them with an id", counts.Lost, lossy, still)
	}
}

func TestEndlessTrafficIsBounded(t *testing.T) {
	s := New(Config{Seed: 1, Rate: 50, DiscardTruth: true, Tenants: 3})
	most := 0
	for range 100_000 {
		if _, ok := s.Next(); !ok {
			t.Fatal("endless traffic ended")
		}
		most = max(most, len(s.queue))
	}
	// A call is over after a few minutes: 50 calls a second of some five records
	// each, most of which wait for less than a minute.
	if most > 60_000 {
		t.Errorf("%d records waiting", most)
	}
	if len(s.Truth()) != 0 {
		t.Error("truth kept, though nobody wants it")
	}
}

func TestAppendKcat(t *testing.T) {
	r := Record{
		Key: []byte("k"), Value: []byte("{\"a\":\"\\u0041\x01\n\"}"), Timestamp: 5,
		Headers: []Header{{"tenant", []byte("tenant-01")}, {"empty", nil}},
	}
	got := string(AppendKcat(nil, r, "call.raw", 3, 42))
	want := `{"topic":"call.raw","partition":3,"offset":42,"tstype":"create","ts":5,"broker":0,` +
		`"headers":["tenant","tenant-01","empty",null],"key":"k","payload":"{\"a\":\"\\u0041\u0001\u000a\"}"}` + "\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var line struct{ Payload string }
	if err := json.Unmarshal([]byte(got), &line); err != nil || line.Payload != string(r.Value) {
		t.Errorf("payload %q, error %v", line.Payload, err)
	}
	if got := string(AppendKcat(nil, Record{}, "t", 0, 0)); !strings.Contains(got, `"key":null,"payload":null`) {
		t.Errorf("null key and value: %s", got)
	}
}

func TestValidate(t *testing.T) {
	for _, cfg := range []Config{{Loss: 1.5}, {Duplicates: -1}, {Disorder: math.NaN()}, {Calls: -1}, {Rate: -2}, {Tenants: 10_000}} {
		if cfg.Validate() == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if err := faulty(1).Validate(); err != nil {
		t.Error(err)
	}
}

func TestUnion(t *testing.T) {
	for _, c := range []struct {
		spans []span
		want  int64
	}{
		{nil, 0},
		{[]span{{10, 20}}, 10},
		{[]span{{30, 40}, {10, 20}}, 20},
		{[]span{{10, 30}, {20, 40}}, 30},
		{[]span{{10, 50}, {20, 30}}, 40},
		{[]span{{20, 10}}, 0},
	} {
		if got := union(slices.Clone(c.spans)); got != c.want {
			t.Errorf("union of %v is %d, must be %d", c.spans, got, c.want)
		}
	}
}

// The identity of a leg, worked out by hand from its definition.
func TestLegID(t *testing.T) {
	// printf '\0\0\0\1t\0\0\0\10stringee\0\0\0\0\0\0\0\1c' | sha256sum
	if got, want := legID("t", "stringee", "c"), "621b9a1e332d365976e77cb9fcd2f20d"; got != want {
		t.Errorf("leg id %s, must be %s", got, want)
	}
}

func TestSessionIsNamedByItsOldestLeg(t *testing.T) {
	a := &leg{id: "a", started: moment{at: 10}}
	b := &leg{id: "b", started: moment{at: 20}, ended: moment{at: 9}}
	want := legID("t", "sonetel", "b")
	if got := sessionID("t", "sonetel", []*leg{a, b}); got != want {
		t.Errorf("session %s, must be %s", got, want)
	}
	b.ended.at = 10
	want = min(legID("t", "sonetel", "a"), want)
	if got := sessionID("t", "sonetel", []*leg{a, b}); got != want {
		t.Errorf("session of equally old legs %s, must be %s", got, want)
	}
}

func BenchmarkNext(b *testing.B) {
	s := New(Config{Seed: 1, Rate: 100, Duplicates: 0.05, Disorder: 0.1, Transfers: 0.2, Tenants: 10, DiscardTruth: true})
	bytes := 0
	for b.Loop() {
		r, _ := s.Next()
		bytes += len(r.Value)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(bytes)/float64(b.N), "B/record")
}

// Calls come from the providers that are named, and from no others.
func TestProviders(t *testing.T) {
	sim := New(Config{Seed: 1, Calls: 300, Providers: []string{"stringee", "xelion"}})
	again := New(Config{Seed: 1, Calls: 300, Providers: []string{"sonetel", "stringee", "stringee"}})
	seen := map[string]int{}
	for r, ok := sim.Next(); ok; r, ok = sim.Next() {
		seen[r.Provider]++
		if same, _ := again.Next(); !bytes.Equal(same.Value, r.Value) {
			t.Fatal("the order of the names changes what is drawn")
		}
	}
	if seen["stringee"] < 100 || seen["sonetel"] < 100 || len(seen) != 2 {
		t.Errorf("records come from %v", seen)
	}
	if err := (Config{Providers: []string{"stringee", "acme"}}).Validate(); err == nil || !strings.Contains(err.Error(), `"acme"`) {
		t.Errorf("got %v", err)
	}
}
