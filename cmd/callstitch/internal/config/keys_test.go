package config

import (
	"reflect"
	"testing"
)

func TestEveryKeyHasAVariable(t *testing.T) {
	cfg := Default()
	seen := map[string]string{}
	eachKey(reflect.ValueOf(&cfg).Elem(), "", func(path string, _ reflect.Value) {
		name := envName(path)
		if other, ok := seen[name]; ok {
			t.Errorf("%s is the variable of both %s and %s", name, other, path)
		}
		seen[name] = path
	})
	if seen["CALLSTITCH_HTTP_LISTEN"] != "http.listen" {
		t.Error("http.listen has no variable")
	}
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"grace", "grace", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"tsl", "tls", 1},
		{"grcae", "grace", 1},
		{"graze", "grace", 1},
		{"partition", "partitions", 1},
		{"kitten", "sitting", 3},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
