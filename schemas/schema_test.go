package schemas

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"

	"callstitch/processor/call"
)

// The description names the fields of the schema, all of them, in its order,
// and the sample knows them all.
func TestDescriptionFollowsSchema(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		schema, err := flatten(s.Schema())
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, f := range schema.fields {
			want = append(want, f.path)
		}
		if diff := cmp.Diff(want, described(t, AppendJSON(nil, s.sample()))); diff != "" {
			t.Fatalf("-schema +description\n%s", diff)
		}
	})
}

// described lists the names in a JSON object, those of nested objects behind
// their parent's, once each. The keys of attributes are data, not names.
func described(t *testing.T, object []byte) []string {
	var paths []string
	d := jsontext.NewDecoder(strings.NewReader(string(object)))
	for {
		if _, err := d.ReadToken(); err != nil {
			break
		}
		kind, length := d.StackIndex(d.StackDepth())
		if kind != '{' || length%2 == 0 {
			continue
		}
		var parts []string
		for part := range d.StackPointer().Tokens() {
			if strings.Trim(part, "0123456789") != "" {
				parts = append(parts, part)
			}
		}
		path := strings.Join(parts, ".")
		if parts[0] == "attributes" && len(parts) > 1 || slices.Contains(paths, path) {
			continue
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		t.Fatal("no JSON object")
	}
	return paths
}

func TestSampleKnowsEveryField(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		var fields map[string]any
		if err := json.Unmarshal(AppendJSON(nil, s.sample()), &fields); err != nil {
			t.Fatal(err)
		}
		for _, path := range unknown(fields, "") {
			t.Errorf("%s is unknown", path)
		}
	})
}

func unknown(v any, path string) (paths []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			paths = append(paths, unknown(inner, path+"."+name)...)
		}
		if len(v) == 0 {
			paths = append(paths, path)
		}
	case []any:
		for _, inner := range v {
			paths = append(paths, unknown(inner, path+"[]")...)
		}
		if len(v) == 0 {
			paths = append(paths, path)
		}
	case float64:
		if v == 0 {
			paths = append(paths, path)
		}
	default:
		if v == nil || v == "" || v == false {
			paths = append(paths, path)
		}
	}
	return paths
}

// unpublished are the facts that stay inside the program.
var unpublished = map[string]string{
	"EventRecord.Remarks":                  "one with the flags of the event, of which the sample has the one that is altered",
	"EventRecord.Event.IDKind":             "a matter of dedup, not of the call",
	"EventRecord.Event.Content":            "a hash for dedup",
	"EventRecord.Event.Snapshot":           "evidence for another leg, which is published there",
	"EventRecord.Event.QueuedAt":           "a session's queue_ms tells it",
	"EventRecord.Event.Started.Precision":  "told for the event's own time only",
	"EventRecord.Event.Ringing.Precision":  "as above",
	"EventRecord.Event.Answered.Precision": "as above",
	"EventRecord.Event.Ended.Precision":    "as above",

	"Session.Started.Precision":          "as above",
	"Session.Ringing.Precision":          "as above",
	"Session.PlatformAnswered.Precision": "as above",
	"Session.Answered.Precision":         "as above",
	"Session.Ended.Precision":            "as above",
	"Session.Legs.Started.Src":           "legs in a session are a summary: CallLeg tells",
	"Session.Legs.Started.Precision":     "as above",
	"Session.Legs.Answered.Src":          "as above",
	"Session.Legs.Answered.Precision":    "as above",
	"Session.Legs.Ended.Src":             "as above",
	"Session.Legs.Ended.Precision":       "as above",

	"Leg.Started.Precision":  "told for the event's own time only",
	"Leg.Ringing.Precision":  "as above",
	"Leg.Answered.Precision": "as above",
	"Leg.Ended.Precision":    "as above",
}

// Every fact of the Go structs reaches the record: another value of it gives
// another record.
func TestEveryFactIsPublished(t *testing.T) {
	seen := map[string]bool{}
	eachSubject(t, func(t *testing.T, s Subject) {
		want := AppendJSON(nil, s.sample())
		for i, path := range facts(s.sample()) {
			changed := s.sample()
			alter(changed, i)
			reason, kept := unpublished[path]
			seen[path] = true
			if same := string(AppendJSON(nil, changed)) == string(want); same != kept {
				t.Errorf("%s: published %t, listed as unpublished %t (%s)", path, !same, kept, reason)
			}
		}
	})
	for path := range unpublished {
		if !seen[path] {
			t.Errorf("%s is listed as unpublished, but there is no such fact", path)
		}
	}
}

func facts(value any) (paths []string) {
	v := reflect.ValueOf(value).Elem()
	walk(v, v.Type().Name(), func(path string, _ reflect.Value) { paths = append(paths, path) })
	return paths
}

// alter gives the fact at an index another value.
func alter(value any, index int) {
	i := 0
	walk(reflect.ValueOf(value).Elem(), "", func(_ string, v reflect.Value) {
		if i == index {
			change(v)
		}
		i++
	})
}

func walk(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		// The pointer may be shared between samples.
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		v.Set(own)
		walk(own.Elem(), path, visit)
	case v.Kind() == reflect.Slice && v.Len() > 0:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		walk(own.Index(0), path, visit)
	default:
		visit(path, v)
	}
}

func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8: // a word of a vocabulary, none of which is the zero value in the sample
		v.SetUint(1 + v.Uint()%2)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case reflect.Pointer: // nil in the sample
		v.Set(reflect.New(v.Type().Elem()))
	}
}

// vocabulary says which vocabulary a field's words come from, by its name.
func vocabulary(path string) string {
	name := path[strings.LastIndex(path, ".")+1:]
	switch {
	case name == "q850_src" || name == "sip_src":
		return "code_src"
	case name == "src" || strings.HasSuffix(name, "_src"):
		return "evidence"
	case strings.HasSuffix(name, "_kind"):
		return "party_kind"
	case path == "recordings.status":
		return "recording_status"
	case path == "transfers.type":
		return "transfer_type"
	case path == "transfers.result":
		return "transfer_result"
	}
	switch name {
	case "flags", "quality_flags":
		return "flag"
	case "correlation_methods":
		return "link"
	case "decoder":
		return "provider"
	}
	return name
}

// The schemas list the program's words, for people and for machines.
func TestVocabularies(t *testing.T) {
	used := map[string]bool{"reject_reason": true, "code_src": true} // rejects are no Avro
	eachSubject(t, func(t *testing.T, s Subject) {
		schema, err := flatten(s.Schema())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range schema.fields {
			name := vocabulary(f.path)
			words, ok := call.Vocabulary()[name]
			if !ok {
				if f.words != "" {
					t.Errorf("%s lists words of no vocabulary", f.path)
				}
				continue
			}
			used[name] = true
			if f.words != asJSON(words) {
				t.Errorf("%s lists %s, want %s", f.path, f.words, asJSON(words))
			}
			if list := strings.Join(words, ", "); !strings.Contains(f.doc, list) {
				t.Errorf("%s: the doc does not say %s", f.path, list)
			}
		}
	})
	for name := range call.Vocabulary() {
		if !used[name] {
			t.Errorf("no field has the words of %s", name)
		}
	}
}

// TestAddressesAmongAttributesAreMarked holds the keys that the schemas name to those that
// are written as numbers are.
func TestAddressesAmongAttributesAreMarked(t *testing.T) {
	eachSubject(t, func(t *testing.T, s Subject) {
		eachField(avro.MustParse(s.Schema()).Root(), func(f *avro.SchemaField) {
			keys, marked := f.Props["x-pii-keys"].([]any)
			if want := f.Name == "attributes"; marked != want {
				t.Errorf("%s: marked %t, want %t", f.Name, marked, want)
			}
			for _, key := range keys {
				if !(call.Attribute{Key: key.(string)}).IsAddress() {
					t.Errorf("%s is marked, and is no address", key)
				}
			}
			if all := []any{call.AttributeActor, call.AttributeAlias}; marked && !slices.Equal(keys, all) {
				t.Errorf("marked are %v, want %v", keys, all)
			}
		})
	})
}

// Telephone numbers are marked, so that a consumer can mask them by machine.
func TestNumbersAreMarked(t *testing.T) {
	numbers := []string{"from_raw", "from_e164", "to_raw", "to_e164", "transfer_target_raw", "transferor"}
	eachSubject(t, func(t *testing.T, s Subject) {
		eachField(avro.MustParse(s.Schema()).Root(), func(f *avro.SchemaField) {
			marked := f.Props["x-pii"] == "phone"
			if want := slices.Contains(numbers, f.Name); marked != want {
				t.Errorf("%s: marked %t, want %t", f.Name, marked, want)
			}
		})
	})
}

func eachField(n *avro.SchemaNode, visit func(*avro.SchemaField)) {
	for i := range n.Fields {
		visit(&n.Fields[i])
		if items := n.Fields[i].Type.Items; items != nil {
			eachField(items, visit)
		}
	}
}

func TestVerify(t *testing.T) {
	if err := Verify(); err != nil {
		t.Fatal(err)
	}
}

// A schema that changed without its description is found.
func TestVerifyFindsDifference(t *testing.T) {
	for _, change := range []struct{ from, to, want string }{
		{`"name": "read", "type": "long"`, `"name": "read", "type": "string"`, "string"},
		{`{"name": "read",`, `{"name": "extra", "type": "int", "default": 7, "doc": "x"}, {"name": "read",`, "differs from goavro"},
		{`"name": "late"`, `"name": "later"`, "later"},
	} {
		schema := strings.Replace(Audit.Schema(), change.from, change.to, 1)
		if schema == Audit.Schema() {
			t.Fatalf("no %s in the schema", change.from)
		}
		codec, err := goavro.NewCodec(schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := compare(codec, sampleAudit()); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: got %v", change.to, err)
		}
	}
}
