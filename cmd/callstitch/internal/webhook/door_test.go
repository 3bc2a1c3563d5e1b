package webhook

import "testing"

func TestOpen(t *testing.T) {
	for address, want := range map[string]string{
		"http://h:1":                           "http://h:1/p/a%20b",
		"http://h:1/":                          "http://h:1/p/a%20b",
		"https://h/in":                         "https://h/in/p/a%20b",
		"http://u:s3cret@h:1":                  "http://h:1/p/a%20b",
		"http://h:1/x/{tenant}/y":              "http://h:1/x/a%20b/y",
		"http://h:1/{provider}?t={tenant}":     "http://h:1/p?t=a%20b",
		"http://u:s3cret@h:1/{provider}/fixed": "http://h:1/p/fixed",
	} {
		d, err := Open(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if e, _, _ := d.For("p", "a b"); e.URL != want {
			t.Errorf("%s leads to %s, want %s", address, e.URL, want)
		}
	}
	for _, address := range []string{"", "h:1", "ftp://h", "http://", "://"} {
		if _, err := Open(address); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

func TestFor(t *testing.T) {
	d := &Door{}
	for _, r := range []Route{
		{Path: "/a/one", Provider: "a", Tenant: "one"},
		{Path: "/a/two", Provider: "a", Tenant: "two"},
		{Path: "/b/{tenant}/{scope}", Provider: "b"},
		{Path: "/c", Provider: "c"},
		{Path: "/a/any/{tenant}", Provider: "a"},
	} {
		if err := d.Add("http://h/", r); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		provider, tenant, url string
		exact, ok             bool
	}{
		{"a", "one", "http://h/a/one", true, true},
		{"a", "two", "http://h/a/two", true, true},
		{"a", "three", "http://h/a/any/three", true, true},
		{"b", "x", "http://h/b/x/main", true, true},
		{"c", "x", "http://h/c", false, true},
		{"d", "x", "", false, false},
	} {
		e, exact, ok := d.For(test.provider, test.tenant)
		if e.URL != test.url || exact != test.exact || ok != test.ok {
			t.Errorf("%s of %s: %s, %t, %t", test.provider, test.tenant, e.URL, exact, ok)
		}
	}
}
