package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWorkflows has the workflows' linter read them, which gives their scripts to
// ShellCheck, and zizmor, which looks for what an attacker would.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(workflows) != 2 {
		t.Fatalf("workflows %v: %v", workflows, err)
	}
	bin := python(t)
	lint := exec.CommandContext(t.Context(), "go", "tool", "actionlint", "-shellcheck", filepath.Join(bin, "shellcheck"), "-pyflakes", "")
	lint.Dir = filepath.Join(root, "deploy", "release")
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
	run(t, nil, filepath.Join(bin, "zizmor"), "--offline", "--quiet", ".github/workflows")
}

// TestScripts has ShellCheck read those that packages and CI run.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob(filepath.Join(root, "deploy", "release", "packaging", "*.sh"))
	if err != nil || len(scripts) != 3 {
		t.Fatalf("scripts %v: %v", scripts, err)
	}
	args := []string{".ci/run"}
	for _, s := range scripts {
		name, err := filepath.Rel(root, s)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	run(t, nil, filepath.Join(python(t), "shellcheck"), args...)
}

// TestReleasesAreBuiltWithOneGo holds the workflows to the Go of the Dockerfile: another
// one makes other bytes.
func TestReleasesAreBuiltWithOneGo(t *testing.T) {
	m := regexp.MustCompile(`FROM golang:([\d.]+)-`).FindStringSubmatch(read(t, "deploy/docker/Dockerfile"))
	if m == nil {
		t.Fatal("the Dockerfile names no Go")
	}
	for _, name := range []string{"ci.yml", "release.yml"} {
		versions := regexp.MustCompile(`go-version: "(.*)"`).FindAllStringSubmatch(read(t, ".github/workflows/"+name), -1)
		if len(versions) != 1 || versions[0][1] != m[1] {
			t.Errorf("%s builds with Go %v, the Dockerfile with %s", name, versions, m[1])
		}
	}
}

// TestReleaseCommands holds the commands that the workflow runs to what there is: flags of
// the program, tools of its module, files of a release.
func TestReleaseCommands(t *testing.T) {
	t.Parallel()
	workflow := read(t, ".github/workflows/release.yml")
	list := exec.CommandContext(t.Context(), "go", "tool")
	list.Dir = filepath.Join(root, "deploy", "release")
	tools, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`go tool (\w+)`).FindAllStringSubmatch(workflow, -1) {
		if !slices.ContainsFunc(strings.Fields(string(tools)), func(tool string) bool { return strings.HasSuffix(tool, "/"+m[1]) }) {
			t.Errorf("deploy/release has no tool %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`dist/(callstitch-\S+)`).FindAllStringSubmatch(workflow, -1) {
		released(t, m[1])
	}
	// The notes are the changes of the newest version, without its heading.
	awk := regexp.MustCompile(`awk '(.*)' CHANGELOG.md`).FindStringSubmatch(workflow)
	if awk == nil {
		t.Fatal("the workflow takes no notes from CHANGELOG.md")
	}
	heading := regexp.MustCompile(`(?m)^## .*$`).FindString(read(t, "CHANGELOG.md"))
	if notes := run(t, nil, "awk", awk[1], "CHANGELOG.md"); strings.TrimSpace(notes) != strings.TrimSpace(section(t, "CHANGELOG.md", heading)) {
		t.Errorf("the notes are:\n%s", notes)
	}
	// The workflow's command refuses a tag that is not the changelog's before anything is
	// made, and takes it for nothing but a name: Git lets it have most characters.
	making := regexp.MustCompile(`- name: Make it\n        run: (.*)\n`).FindStringSubmatch(workflow)
	if making == nil {
		t.Fatal("the workflow makes nothing")
	}
	tag := `v99.0.0;echo${IFS}run>&2;"$(echo)`
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", making[1])
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GITHUB_REF_NAME="+tag, "GITHUB_SERVER_URL=https://git.example", "GITHUB_REPOSITORY=acme/callstitch")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the tag is "+tag+", and") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnitsEndAsTheProgramDoes holds both units to the exit codes of docs/operations.md
// that no restart mends, and to each other.
func TestUnitsEndAsTheProgramDoes(t *testing.T) {
	run := read(t, "deploy/release/packaging/callstitch.service")
	receive := read(t, "deploy/release/packaging/callstitch-receive.service")
	_, hardening, _ := strings.Cut(run, "UMask=")
	for line := range strings.Lines(hardening) {
		if !strings.Contains(receive, line) {
			t.Errorf("callstitch-receive.service has no %s", line)
		}
	}
	codes := regexp.MustCompile(`(?m)^\| (\d) \|`).FindAllStringSubmatch(section(t, "docs/operations.md", "## Exit codes"), -1)
	var final []string
	for _, c := range codes {
		if c[1] > "1" {
			final = append(final, c[1])
		}
	}
	for _, u := range []string{run, receive} {
		if want := "\nRestartPreventExitStatus=" + strings.Join(final, " ") + "\n"; !strings.Contains(u, want) {
			t.Errorf("a unit has no %s", want)
		}
	}
}

// section is a document's text under a heading.
func section(t *testing.T, name, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, name), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %s", name, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// TestInstallPage holds the page to the package: each path that it names is in it, or made by it.
func TestInstallPage(t *testing.T) {
	t.Parallel()
	files := run(t, nil, "dpkg-deb", "--contents", released(t, "*_amd64.deb"))
	made, err := os.ReadFile(filepath.Join(root, "deploy/release/packaging/postinstall.sh"))
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile("(?m)^\\| `([^`]*)` \\|").FindAllStringSubmatch(section(t, "docs/operations.md", "## Install"), -1)
	for _, m := range paths {
		if !strings.Contains(files, m[1]+"\n") && !strings.Contains(string(made), m[1]+"\n") {
			t.Errorf("the package has no %s", m[1])
		}
	}
	if len(paths) < 6 {
		t.Errorf("the page names %d paths", len(paths))
	}
}
