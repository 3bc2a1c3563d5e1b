package receive

import (
	"strings"
	"testing"

	"callstitch/processor/call"
)

func TestEveryProviderHasItsAnswer(t *testing.T) {
	for _, p := range call.Providers() {
		a := answerTo(p)
		if a.success < 200 || a.success > 299 {
			t.Errorf("%s is told %d for success", p, a.success)
		}
		if (len(a.member) == 0) != (len(a.wants) == 0) {
			t.Errorf("%s has events without the member that names them, or that without events", p)
		}
		for name, w := range a.wants {
			if (w.kind == control) != (w.setting != "") {
				t.Errorf("%s: %s is call control (%t) and names the setting %q", p, name, w.kind == control, w.setting)
			}
		}
	}
}

func TestAProviderWithoutARowHears200(t *testing.T) {
	if got := answerTo(call.Provider(200)); got.success != 200 || got.signature != nil {
		t.Errorf("it hears %+v", got)
	}
}

func TestNameOfAnEvent(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 1<<20) + `","eventType":"disconnect"}`
	for body, want := range map[string]string{
		`{"eventType":"disconnect"}`:                                    "disconnect",
		"\xef\xbb\xbf {\"eventType\" : \"disconnect\" }":                "disconnect",
		`{"a":{"eventType":"answer"},"b":[1],"eventType":"disconnect"}`: "disconnect",
		`{"event_type":"answer","eventType":"disconnect"}`:              "answer",
		`{"eventType":"dis\u0063onnect"}`:                               "disconnect",
		`{"a":1,"a":2,"eventType":"disconnect"}`:                        "disconnect",
		"{\"a\":\"\xff\",\"eventType\":\"disconnect\"}":                 "disconnect",
		`{"eventType":"disconnect"`:                                     "disconnect", // the rest is the decoder's business
		long:                                                            "disconnect",
		`{"eventType":7,"event_type":"disconnect"}`:                     "",
		`{"eventType":null}`:                                            "",
		`{"eventtype":"disconnect"}`:                                    "",
		`[{"eventType":"disconnect"}]`:                                  "",
		`"eventType"`:                                                   "",
		`{"eventType"`:                                                  "",
		`{"a":`:                                                         "",
		`{a:1}`:                                                         "",
		"":                                                              "",
		"\x00":                                                          "",
	} {
		if got := textOf([]byte(body), []string{"eventType", "event_type"}); got != want {
			t.Errorf("%.60q: got %q, want %q", body, got, want)
		}
	}
}

func TestWhatAnEventWants(t *testing.T) {
	bandwidth := answers[call.Bandwidth]
	for body, want := range map[string]kind{
		`{"eventType":"initiate"}`:             control,
		`{"event_type":"transferAnswer"}`:      control,
		`{"eventType":"conferenceMemberJoin"}`: either,
		`{"eventType":"disconnect"}`:           notification,
		`{"eventType":"novelty"}`:              other,
		`{}`:                                   other,
	} {
		name, w := bandwidth.event([]byte(body))
		if w.kind != want || (name == "") != (want == other) {
			t.Errorf("%s: got %q, kind %d", body, name, w.kind)
		}
	}
	opentact := answers[call.Opentact]
	if name, w := opentact.event([]byte(`{"eventType":"initiate"}`)); name != "" || w.kind != other {
		t.Errorf("another provider's event is %q", name)
	}
}

// FuzzNameOfAnEvent: no body may stop the door, which looks into those that nobody else
// has looked at.
func FuzzNameOfAnEvent(f *testing.F) {
	for _, body := range []string{`{"eventType":"disconnect"}`, `{"a":{"b":[1,"\u00`, "\xef\xbb\xbf{", `{"eventType":"\ud800"}`, strings.Repeat("[", 200)} {
		f.Add([]byte(body))
	}
	bandwidth := answers[call.Bandwidth]
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		name, w := bandwidth.event(body)
		if w != bandwidth.wants[name] || (name != "") != (w.kind != other) {
			t.Errorf("got %q, %v", name, w)
		}
		if string(body) != before {
			t.Error("the body was changed")
		}
	})
}
