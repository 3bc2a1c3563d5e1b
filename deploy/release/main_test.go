package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyReleasesAreDeleted(t *testing.T) {
	dist := filepath.Join(t.TempDir(), "dist")
	put := func(names ...string) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dist, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func() int {
		entries, err := os.ReadDir(dist)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if err := emptied(dist); err != nil || count() != 0 {
		t.Fatalf("%d files, %v", count(), err)
	}
	put("callstitch-0.1.0-oci.tar", "callstitch_0.1.0-1_amd64.deb", "SHA256SUMS")
	if err := emptied(dist); err != nil || count() != 0 {
		t.Fatalf("%d files, %v", count(), err)
	}
	put("callstitch-0.1.0-oci.tar", "thesis.tex")
	if err := emptied(dist); err == nil || !strings.Contains(err.Error(), "thesis.tex") || count() != 2 {
		t.Fatalf("%d files, %v", count(), err)
	}
}
