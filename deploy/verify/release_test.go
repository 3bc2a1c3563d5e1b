package verify

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// distDir/dist holds a release of this tree as it is. It is made once, for the first test that asks.
var distDir string

var dist = sync.OnceValue(func() (err error) {
	if distDir, err = os.MkdirTemp("", "callstitch-dist-"); err != nil {
		return err
	}
	// What a user has chosen with `go env -w` must not get into what is released.
	name, _ := exec.Command("go", "env", "GOENV").Output()
	choices, _ := os.ReadFile(strings.TrimSpace(string(name))) // if there are any
	chosen := filepath.Join(distDir, "goenv")
	if err := os.WriteFile(chosen, append(choices, "\nGOFLAGS=-tags=chosen\n"...), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("go", "run", ".", "-dirty", "-quick", "-o", filepath.Join(distDir, "dist"))
	cmd.Dir, cmd.Env = filepath.Join(root, "deploy", "release"), append(os.Environ(), "GOENV="+chosen)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make release: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if distDir != "" {
		_ = os.RemoveAll(distDir)
	}
	os.Exit(code)
}

// released is the one file of the release whose name matches a pattern.
func released(t *testing.T, pattern string) string {
	t.Helper()
	if err := dist(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(distDir, "dist", pattern))
	if err != nil || len(names) != 1 {
		t.Fatalf("of %s there are %v: %v", pattern, names, err)
	}
	return names[0]
}

// TestReleaseIsOfOneVersion asks everything that is released which version it is.
func TestReleaseIsOfOneVersion(t *testing.T) {
	t.Parallel()
	version := newestVersion(t)
	packaged := strings.Replace(version, "-", "~", 1) + "-1" // before the version that it becomes

	archive := released(t, "*-linux-"+runtime.GOARCH+".tar.gz")
	dir := t.TempDir()
	run(t, nil, "tar", "xzf", archive, "-C", dir, "--strip-components=1")
	if out := run(t, nil, filepath.Join(dir, "callstitch"), "version"); !strings.HasPrefix(out, "callstitch "+version+" (") {
		t.Errorf("the program says: %s", out)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if out := run(t, nil, "dpkg-deb", "--field", released(t, "*_"+arch+".deb"), "Version", "Architecture"); out != "Version: "+packaged+"\nArchitecture: "+arch+"\n" {
			t.Errorf("the deb says: %s", out)
		}
		machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
		if out := run(t, nil, "rpm", "-qp", "--queryformat", "%{VERSION}-%{RELEASE} %{ARCH}", released(t, "*."+machine+".rpm")); out != packaged+" "+machine {
			t.Errorf("the rpm says: %s", out)
		}
		for _, from := range []string{"oci-archive:" + released(t, "*-oci.tar") + ":" + version, "docker-archive:" + released(t, "*-image-"+arch+".tar")} {
			var image struct {
				Labels           map[string]string
				Architecture, Os string
			}
			if err := json.Unmarshal([]byte(run(t, nil, "skopeo", "--override-arch", arch, "inspect", from)), &image); err != nil {
				t.Fatal(err)
			}
			if image.Architecture != arch || image.Os != "linux" || image.Labels["org.opencontainers.image.version"] != version {
				t.Errorf("%s is %+v", from, image)
			}
		}
	}
	// The image that the chart and the services run is the one that is loaded.
	var loaded []struct{ RepoTags []string }
	if err := json.Unmarshal([]byte(run(t, nil, "tar", "xOf", released(t, "*-image-amd64.tar"), "manifest.json")), &loaded); err != nil {
		t.Fatal(err)
	}
	want := []string{"callstitch:" + version}
	if !slices.Equal(loaded[0].RepoTags, want) {
		t.Errorf("the image is loaded as %v, want %v", loaded[0].RepoTags, want)
	}
	if !strings.Contains(read(t, manifestsDir+"/run.yaml"), `image: "`+want[0]+`"`) {
		t.Errorf("the manifests run another image than %v", want)
	}
	services := load(t, "traffic").Services
	for _, name := range ours {
		if image := services[name].Image; image != want[0] {
			t.Errorf("the service %s runs %s, want %v", name, image, want)
		}
	}
	// Each package brings the changes, under the version.
	changes := run(t, nil, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar xO ./usr/share/doc/callstitch/changelog.Debian.gz | gzip -d`, "sh", released(t, "*_amd64.deb"))
	for of, text := range map[string]string{"deb": changes, "rpm": run(t, nil, "rpm", "-qp", "--changelog", released(t, "*.x86_64.rpm"))} {
		if !strings.Contains(text, version) || !strings.Contains(text, "The first version.") {
			t.Errorf("the changes in the %s:\n%s", of, text)
		}
	}
	cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	cmd.Dir = filepath.Join(distDir, "dist")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestBillsOfMaterials has CycloneDX's own library validate the lists, and holds them
// to what the linker says.
func TestBillsOfMaterials(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		bill := released(t, "*-linux-"+arch+".cdx.json")
		run(t, nil, filepath.Join(python(t), "python"), "-c", `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(error and str(error))`, bill)
		var bom struct {
			Components []struct{ Name, Version string }
		}
		content, err := os.ReadFile(bill)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &bom); err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, c := range bom.Components {
			if c.Name != "std" {
				listed = append(listed, c.Name+" "+c.Version)
			}
		}
		dir := t.TempDir()
		run(t, nil, "tar", "xzf", released(t, "*-linux-"+arch+".tar.gz"), "-C", dir, "--strip-components=1")
		var linked, built []string
		for _, m := range regexp.MustCompile(`(?m)^\t(dep|build)\t(\S+)\t?(\S*)`).FindAllStringSubmatch(run(t, nil, "go", "version", "-m", filepath.Join(dir, "callstitch")), -1) {
			if m[1] == "build" {
				built = append(built, m[2])
			} else {
				linked = append(linked, m[2]+" "+m[3])
			}
		}
		level := map[string]string{"amd64": "GOAMD64=v1", "arm64": "GOARM64=v8.0"}[arch]
		if want := []string{"-buildmode=exe", "-compiler=gc", "-trimpath=true", "CGO_ENABLED=0", "GOARCH=" + arch, "GOOS=linux", level}; !slices.Equal(built, want) {
			t.Errorf("%s: built with %v, want %v", arch, built, want)
		}
		if len(linked) == 0 || !slices.Equal(sorted(listed), sorted(linked)) {
			t.Errorf("%s: listed %v, linked %v", arch, listed, linked)
		}
		others, err := os.ReadFile(filepath.Join(dir, "LICENSES-OF-OTHERS"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range linked {
			if !strings.Contains(string(others), "\n"+m+": ") {
				t.Errorf("%s: there is no license of %s", arch, m)
			}
		}
	}
}
