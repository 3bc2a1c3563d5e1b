package verify

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newestVersion is the one place where the version is written.
func newestVersion(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^## (\S+)`).FindStringSubmatch(read(t, "CHANGELOG.md"))
	if m == nil {
		t.Fatal("CHANGELOG.md has no version")
	}
	return m[1]
}

// TestVersionStandsInOnePlace holds what names a version to the first heading of CHANGELOG.md.
func TestVersionStandsInOnePlace(t *testing.T) {
	version := newestVersion(t)
	chart := chartDir + "/Chart.yaml"
	written := regexp.MustCompile(`(?m)^(version|appVersion): .*$`)
	composed := regexp.MustCompile(`(?m)^    image: callstitch:.*$`)
	for path, want := range map[string]string{
		chart:                written.ReplaceAllString(read(t, chart), "$1: "+version),
		"docker-compose.yml": composed.ReplaceAllString(read(t, "docker-compose.yml"), "    image: callstitch:"+version),
	} {
		if *update {
			if err := os.WriteFile(filepath.Join(root, path), []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, path); got != want || !strings.Contains(got, version) {
			t.Errorf("%s does not have the version %s of CHANGELOG.md; type: cd deploy/verify && go test -run 'Version|Manifests' . -update", path, version)
		}
	}
	// The Dockerfile takes it from there.
	asked := regexp.MustCompile(`main\.release=\$\((.*)\)"`).FindStringSubmatch(read(t, "deploy/docker/Dockerfile"))
	if asked == nil {
		t.Fatal("the Dockerfile sets no version")
	}
	if out := run(t, nil, "sh", "-c", asked[1]); out != version+"\n" {
		t.Errorf("an image of the Dockerfile has the version %q", out)
	}
}
