package kafka

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/topology"
)

func TestMetadataRoundTrip(t *testing.T) {
	for _, m := range []metadata{
		{at: 0},
		{owner: "app-one-0", changelog: 123, task: "1 2 3 4", at: 7},
		{owner: "app-one-0", at: 1 << 40},
		{owner: "app-one-0", changelog: 9, at: 3, outputs: outputsMark{2, "0a1b2c3d"}},
		{owner: "app-one-0", at: 3, outputs: outputsMark{2, "0a1b2c3d"}, made: "x=AQAAAAAAAAAAAAAAAAAAAA y.z=AgAAAAAAAAAAAAAAAAAAAA"},
		{owner: "app-one-0", at: 3, made: "x=AQAAAAAAAAAAAAAAAAAAAA"},
		{owner: "app-one-0", changelog: 123, task: "1 2 3 4", at: -1}, // as the first version wrote it
	} {
		got, err := parseMetadata(m.String())
		if err != nil || got != m {
			t.Errorf("%q became %+v, %v", m.String(), got, err)
		}
	}
	if _, err := parseMetadata("2 something new"); !errors.Is(err, ErrNewerState) {
		t.Errorf("a newer form: %v", err)
	}
	if m, err := parseMetadata("1 app-one-0 12 1 2 3 @7 and words of a later version"); err != nil || m.at != 7 || m.task != "1 2 3" {
		t.Errorf("words of a later version: %+v, %v", m, err)
	}
}

// TestForeignMetadata reads what others write beside offsets: nothing, the name of a
// member, notes of their own; or what callstitch wrote, beside another offset.
func TestForeignMetadata(t *testing.T) {
	for _, s := range []string{"", "report-loader-7d125b1e", "1", "1 owner x", "1 owner 3 @x", "checkpoint 2026-01-31", "{}"} {
		if _, err := parseCommitted(7, s); !errors.Is(err, errForeign) {
			t.Errorf("%q: %v", s, err)
		}
	}
	own := metadata{owner: "app-one-0", at: 7}.String()
	if _, err := parseCommitted(8, own); !errors.Is(err, errForeign) {
		t.Errorf("%q beside 8: %v", own, err)
	}
	if _, err := parseCommitted(7, own); err != nil {
		t.Errorf("%q beside 7: %v", own, err)
	}
}

// TestMadeRoundTrip writes the topics that an offset belongs to, and reads them.
func TestMadeRoundTrip(t *testing.T) {
	cfg := Config{Config: testTopology(4)}
	raw, exchange, changelog := cfg.Sources[0].Topic, cfg.ExchangeTopic(), cfg.ChangelogTopic()
	ids := topicIDs{raw: {1}, exchange: {2}, changelog: {3}, "call.events": {4}}
	if got, want := ids.made(&cfg, raw), raw+"=AQAAAAAAAAAAAAAAAAAAAA"; got != want {
		t.Errorf("of a source: %q, want %q", got, want)
	}
	m, err := parseCommitted(7, metadata{owner: "app-one-0", at: 7, outputs: outputsMark{2, "0a1b2c3d"}, made: ids.made(&cfg, exchange)}.String())
	if err != nil || m.outputs.generation != 2 {
		t.Errorf("of an exchange: %+v, %v", m, err)
	}
	if got, want := parseMade(m.made), (topicIDs{raw: {1}, exchange: {2}, changelog: {3}}); !maps.Equal(got, want) {
		t.Errorf("of an exchange: %v, want %v", got, want)
	}
	if got, want := m.needs(&cfg, exchange), (topicIDs{exchange: {2}, changelog: {3}}); !maps.Equal(got, want) {
		t.Errorf("an exchange needs %v, want %v", got, want)
	}
	if got := parseMade("#2.0a1b2c3d word a=b c=AQAAAAAAAAAAAAAAAAAAAA== =AQAAAAAAAAAAAAAAAAAAAA"); len(got) != 0 {
		t.Errorf("of other words: %v", got)
	}

	// Many sources do not grow over what brokers take; those that are left out are the last.
	for i := range 100 {
		topic := fmt.Sprintf("%03d.%s", i, strings.Repeat("x", 200))
		cfg.Sources = append(cfg.Sources, topology.Source{Topic: topic})
		ids[topic] = kadm.TopicID{byte(i)}
	}
	made := ids.made(&cfg, exchange)
	if got := parseMade(made); len(made) > madeMax || got[changelog] != ids[changelog] || len(got) < 6 {
		t.Errorf("%d bytes with %d ids", len(made), len(got))
	}
}
