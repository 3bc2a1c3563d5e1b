package quote

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, test := range []struct {
		text, want string
		secrets    []string
	}{
		{"", "", nil},
		{" two\r\n\tlines ", "two   lines", nil},
		{"an \x1b[2J escape \u202e, a byte \xff", "an  [2J escape  , a byte", nil},
		{"who is hush?", "who is •••?", []string{"hush"}},
		{"hush and hush", "••• and •••", []string{"", "hush"}},
		{strings.Repeat("é", 16), strings.Repeat("é", 15) + "…", nil},
		{strings.Repeat("a", 30), strings.Repeat("a", 30), nil},
		// What begins within what is quoted and ends far beyond it.
		{"it is " + strings.Repeat("hush", 1000), "it is •••", []string{strings.Repeat("hush", 1000)}},
	} {
		if got := Line(test.text, 30, test.secrets...); got != test.want {
			t.Errorf("%.30q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://user:hush@h.example:8081/a/b?key=hush#hush": "https://h.example:8081/a/b",
		"http://h.example": "http://h.example",
		"":                 "",
		"http://hush%":     "?",
		"://hush":          "?",
	} {
		if got := Address(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
