package memory_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/number"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
	"callstitch/topology/topologytest"
)

// numberForms are the forms in which numbers can be hidden.
func numberForms(t testing.TB) []number.Form {
	t.Helper()
	key, err := number.NewKey(strings.Repeat("a key of a test ", 2))
	if err != nil {
		t.Fatal(err)
	}
	return []number.Form{{Mode: number.Masked}, {Mode: number.HMAC, Key: key}}
}

// published is what an application publishes of a corpus in a form.
func published(t testing.TB, corpus *topologytest.Corpus, stitching memory.Config, form number.Form) (all []topology.Output) {
	t.Helper()
	stitching.Numbers, stitching.Stitch.Settled = form, true
	run := memory.New(stitching, func(o topology.Output) {
		o.Key = bytes.Clone(o.Key)
		all = append(all, o)
	})
	offsets := map[int32]int64{}
	for _, r := range corpus.Shuffle(7, 3, time.Second, 0.1) {
		r.Offset = offsets[r.Partition]
		offsets[r.Partition]++
		if err := run.Process(r.Record); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestNumbersAreHidden publishes simulated calls in each form, and holds all records, the
// PARTIAL ones too, against those with whole numbers: the fields that the schemas mark
// have changed, each in the one way that is right for it, and no other byte has.
func TestNumbersAreHidden(t *testing.T) {
	for name, of := range map[string]*topologytest.Corpus{
		"calls":     topologytest.Traffic(41, 250),
		"conflicts": topologytest.Calls(41, 60, 10*time.Second).Conflicts(20).Noise(41, 12),
	} {
		cfg := memory.Config{BatchRecords: 50, Config: topology.Config{
			ApplicationID: "callstitch", ExchangePartitions: 3, Stitch: topologytest.Minutes,
			Sources: []topology.Source{{Topic: topologytest.Topic}},
		}}
		whole := published(t, of, cfg, number.Form{})
		for _, form := range numberForms(t) {
			t.Run(name+" "+form.Mode.String(), func(t *testing.T) {
				h := hidden{T: t, form: form, written: map[address]string{}, addresses: map[string]address{}, seen: map[string]int{}}
				h.hold(whole, published(t, of, cfg, form))
			})
		}
	}
}

// hidden holds hidden numbers against whole ones.
type hidden struct {
	*testing.T
	form      number.Form
	written   map[address]string // how each is written
	addresses map[string]address // which each token stands for
	seen      map[string]int     // how often each field was hidden

	tenant  string            // of the record at hand
	content bool              // its id is made of what it says
	certain map[string]string // its raw spellings whose international form it has
}

// address is one address of a tenant, whatever it is spelt like.
type address struct{ tenant, text string }

func (h *hidden) hold(whole, hidden []topology.Output) {
	if len(whole) != len(hidden) {
		h.Fatalf("there are %d records, and %d with whole numbers", len(hidden), len(whole))
	}
	var text [][]byte
	for i := range whole {
		a, b := whole[i], hidden[i]
		if !bytes.Equal(a.Key, b.Key) || a.Sink() != b.Sink() {
			h.Fatalf("record %d has another key or sink", i)
		}
		switch was := a.Value.(type) {
		case *call.Reject:
			is := *b.Value.(*call.Reject)
			if was.Reason == call.RejectIDConflict {
				h.seen["ID_CONFLICT"]++
				h.compare(h.marked(schemas.Events), "reject", "", parse(h, was.Value), parse(h, is.Value))
				text = append(text, is.Value)
				is.Value = was.Value
			}
			if fmt.Sprint(*was) != fmt.Sprint(is) {
				h.Errorf("a reject has changed: %s", was.Reason)
			}
		default:
			e, ok := was.(*call.EventRecord)
			h.content = ok && e.IDKind == call.IDContent
			subject, _ := a.Sink().Subject()
			is := schemas.AppendJSON(nil, b.Value)
			h.compare(h.marked(subject), "", "", parse(h, schemas.AppendJSON(nil, a.Value)), parse(h, is))
			text = append(text, is)
		}
		if h.Failed() { // one is enough to look at
			return
		}
	}
	h.search(bytes.Join(text, []byte("\n")))
	fields := []string{"from_raw", "to_e164", "legs.from_e164", "transfers.transferor", "transfer_target_raw", "attributes.to_alias", "raw_sha256"}
	if h.form.Mode == number.HMAC {
		fields = append(fields, "event_id")
	}
	for _, field := range fields {
		if h.seen[field] == 0 && h.seen["ID_CONFLICT"] == 0 {
			h.Errorf("no %s was hidden", field)
		}
	}
}

// spelt notes how the parties of a record are spelt.
func (h *hidden) spelt(record map[string]any) {
	h.tenant, _ = record["tenant_id"].(string)
	h.certain = map[string]string{}
	for _, end := range []string{"from", "to"} {
		raw, _ := record[end+"_raw"].(string)
		if e164, ok := record[end+"_e164"].(string); ok {
			h.certain[raw] = e164
		}
	}
}

// digits are runs that may hold a number.
var digits = regexp.MustCompile(`[0-9]{8,}`)

// search looks for every number, in any field.
func (h *hidden) search(published []byte) {
	numbers := map[string]bool{}
	for of := range h.written {
		if number := strings.TrimPrefix(of.text, "+"); digits.FindString(number) == number {
			numbers[number] = true
		}
	}
	if len(numbers) < 30 {
		h.Errorf("only %d numbers were hidden", len(numbers))
	}
	for _, place := range digits.FindAllIndex(published, -1) {
		run := published[place[0]:place[1]]
		for n := 8; n <= len(run); n++ {
			for at := range len(run) - n + 1 {
				if numbers[string(run[at:at+n])] {
					h.Fatalf("a number is in %s", published[max(place[0]-40, 0):place[1]])
				}
			}
		}
	}
}

// marked are the fields of a subject that the schema marks.
func (h *hidden) marked(s schemas.Subject) map[string]bool {
	marked := map[string]bool{"attributes." + call.AttributeAlias: true, "attributes." + call.AttributeActor: true}
	for _, f := range s.Fields() {
		marked[f.Path] = f.Number
	}
	return marked
}

func parse(h *hidden, text []byte) map[string]any {
	var value map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		h.Fatal(err)
	}
	return value
}

func (h *hidden) compare(marked map[string]bool, what, path string, was, is any) {
	switch a := was.(type) {
	case map[string]any:
		b, ok := is.(map[string]any)
		if !ok || len(a) != len(b) {
			h.Errorf("%s: %v was %v", path, is, was)
			return
		}
		if path == "" {
			h.spelt(a)
		}
		for name := range a {
			h.compare(marked, what, strings.TrimPrefix(path+"."+name, "."), a[name], b[name])
		}
	case []any:
		b, ok := is.([]any)
		if !ok || len(a) != len(b) {
			h.Errorf("%s: %v was %v", path, is, was)
			return
		}
		for i := range a {
			h.compare(marked, what, path, a[i], b[i])
		}
	case string:
		b, _ := is.(string)
		switch {
		case marked[path]:
			h.seen[path]++
			h.number(path, a, b)
		case path == "event_id" && h.form.Mode == number.HMAC && h.content:
			h.seen[path]++
			if a == b || len(a) != len(b) {
				h.Errorf("%s %s was %s", path, b, a)
			}
		case path == "raw_sha256" && what == "":
			h.seen[path]++
			if a == b || len(a) != len(b) {
				h.Errorf("%s %s was %s", path, b, a)
			}
		case a != b:
			h.Errorf("%s %s was %s", path, b, a)
		}
	default:
		if was != is {
			h.Errorf("%s %v was %v", path, is, was)
		}
	}
}

// number holds one number against how it is written.
func (h *hidden) number(path, was, is string) {
	switch {
	case call.NamesNobody(was):
		if was != is {
			h.Errorf("%s %q, which names nobody, is %q", path, was, is)
		}
	case h.form.Mode == number.Masked:
		of := address{text: was}
		if h.written[of] = is; is != number.Mask(was) || is == was {
			h.Errorf("%s %q is %q", path, was, is)
		}
	default:
		of := address{h.tenant, strings.TrimPrefix(cmp.Or(h.certain[was], was), "+")}
		if is == was || number.KeyOf(is) != h.form.Key.ID() {
			h.Errorf("%s %q is %q", path, was, is)
		}
		if before := cmp.Or(h.written[of], is); before != is {
			h.Errorf("%s %q is %q, and was %q before", path, was, is, before)
		}
		if other, known := h.addresses[is]; known && other != of {
			h.Errorf("%v and %v are both %q", of, other, is)
		}
		h.written[of], h.addresses[is] = is, of
	}
}
