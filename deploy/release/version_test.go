package main

import (
	"slices"
	"strings"
	"testing"
)

func TestChangesOfVersions(t *testing.T) {
	all, err := parseChanges(`# Changelog

What changed.

## 0.2.0-dev

One thing, on
two lines: [here](docs/here.md).

- an item
- another,
  longer

## 0.1.0 (2026-01-31)

The first.
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].name != "0.2.0-dev" || !all[0].date.IsZero() || all[1].name != "0.1.0" || all[1].date.Day() != 31 {
		t.Errorf("versions %+v", all)
	}
	if want := []string{"One thing, on two lines: here.", "an item", "another, longer"}; !slices.Equal(all[0].changes, want) {
		t.Errorf("changes %q, want %q", all[0].changes, want)
	}
}

func TestHeadingsThatAreNoVersions(t *testing.T) {
	for content, want := range map[string]string{
		"# Changelog\n":                              "no heading of a version",
		"## Unreleased\n":                            "no heading of a version",
		"## 0.1.0\n":                                 "has no date",
		"## 0.1\n":                                   "no heading of a version",
		"## 0.1.0+dirty (2026-01-31)\n":              "no heading of a version",
		"## 0.1.0 (2026-02-31)\n":                    "day out of range",
		"## 0.2.0 (2026-01-31)\n\n## 0.1.0-dev\n":    "has no date",
		"## 0.2.0-dev\n\n## 0.1.0 (2026-01-31) x\n":  "no heading of a version",
		"## 01.2.0-dev\n\n## 0.1.0 (2026-01-31)\nx.": "no heading of a version",
	} {
		if _, err := parseChanges(content); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

func TestOnlyTheTagOfAReleasedVersion(t *testing.T) {
	for _, test := range []struct{ heading, tag, want string }{
		{"## 0.1.0 (2026-01-31)\n", "v0.1.0", ""},
		{"## 0.1.0 (2026-01-31)\n", "v0.2.0", "is 0.1.0"},
		{"## 0.1.0 (2026-01-31)\n", "0.1.0", "is 0.1.0"},
		{"## 0.1.0-dev\n", "v0.1.0-dev", "has no date"},
		{"## 0.1.0-rc.1 (2026-01-31)\n", "v0.1.0-rc.1", "three numbers"},
	} {
		all, err := parseChanges(test.heading)
		if err != nil {
			t.Fatal(err)
		}
		err = all[0].released(test.tag)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s under %q: %v, want %q", test.tag, test.heading, err, test.want)
		}
	}
}
