package kafka

import (
	"errors"
	"strings"
	"testing"
)

func TestMetadataRoundTrip(t *testing.T) {
	for _, m := range []metadata{
		{},
		{owner: "app-one-0", changelog: 123, task: "1 2 3 4"},
		{owner: "app-one-0"},
	} {
		got, err := parseMetadata(m.String())
		if err != nil || got != m {
			t.Errorf("%q became %+v, %v", m.String(), got, err)
		}
	}
	if m, err := parseMetadata(""); err != nil || m != (metadata{}) {
		t.Errorf("a seeded offset: %+v, %v", m, err)
	}
	if _, err := parseMetadata("2 something new"); !errors.Is(err, ErrNewerState) {
		t.Errorf("a newer form: %v", err)
	}
	if _, err := parseMetadata("1 owner x"); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "reset") {
		t.Errorf("a foreign form: %v", err)
	}
}
