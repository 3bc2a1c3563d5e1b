package kafka

import (
	"errors"
	"testing"
)

func TestMetadataRoundTrip(t *testing.T) {
	for _, m := range []metadata{
		{at: 0},
		{owner: "app-one-0", changelog: 123, task: "1 2 3 4", at: 7},
		{owner: "app-one-0", at: 1 << 40},
		{owner: "app-one-0", changelog: 9, at: 3, outputs: outputsMark{2, "0a1b2c3d"}},
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
