package explain

import (
	"strings"
	"testing"

	"callstitch/processor/call"
	"callstitch/topology"
)

func TestParseQuestion(t *testing.T) {
	leg := call.NewLegID("default", call.Bandwidth, "", "c-1")
	for _, test := range []struct {
		args []string
		want string // of the question, or in the error
		leg  call.LegID
	}{
		{[]string{"c-1"}, `session, leg or provider call id "c-1"`, call.LegID{}},
		{[]string{leg.String()}, `session, leg or provider call id "` + leg.String() + `"`, leg},
		{[]string{"call.raw", "3", "118204"}, "raw record call.raw 3 118204", call.LegID{}},
		{[]string{""}, "must not be empty", call.LegID{}},
		{[]string{"", "0", "0"}, "must not be empty", call.LegID{}},
		{[]string{"call.raw", "-1", "0"}, `PARTITION must be a number from 0, not "-1"`, call.LegID{}},
		{[]string{"call.raw", "0", "x"}, `OFFSET must be a number from 0, not "x"`, call.LegID{}},
	} {
		q, err := ParseQuestion(test.args)
		got := q.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) || q.leg != test.leg {
			t.Errorf("%q: %q about leg %s, want %q about %s", test.args, got, q.leg, test.want, test.leg)
		}
	}
}

// A topic without raw records is refused: which ones those are, only the
// configured sources tell.
func TestCheckTopic(t *testing.T) {
	cfg := topology.Config{ApplicationID: "callstitch", Topics: topology.Topics{Sessions: "call.sessions"}}
	sources := []topology.Source{{Topic: "call.raw"}}
	for _, test := range []struct {
		sources []topology.Source
		topic   string
		refused bool
	}{
		{nil, "anything", false},
		{nil, "call.sessions", true},
		{nil, cfg.ExchangeTopic(), true},
		{sources, "call.raw", false},
		{sources, "anything", true},
	} {
		cfg.Sources = test.sources
		q := Question{at: &call.Source{Topic: test.topic}}
		if err := q.CheckTopic(cfg); (err != nil) != test.refused {
			t.Errorf("%s of %d sources: %v", test.topic, len(test.sources), err)
		}
	}
	if err := (Question{id: "call.sessions"}).CheckTopic(cfg); err != nil {
		t.Errorf("an id is taken for a topic: %v", err)
	}
}
