// Command release makes what is published of one version: `make release`.
//
// Everything it writes is a function of the commit, of the Go toolchain, of go.sum
// and of -source: whoever runs it again has the same bytes, and the same SHA256SUMS.
// It needs no network once the modules are there, and no root.
//
// It is a module of its own, because its dependencies are not the program's.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// architectures are those that a release is built for.
var architectures = []string{"amd64", "arm64"}

// release is one version, and what is known of it.
type release struct {
	changes []version // the newest first: it is the one that is released
	time    time.Time // the commit's, and of everything that is written
	commit  string
	source  string // address of the repository; empty: not said
	tree    string // directory with the sources
}

func (r *release) version() string { return r.changes[0].name }

// name is that of a file of the release.
func (r *release) name(suffix string) string { return "callstitch-" + r.version() + suffix }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ExitOnError)
	root := flags.String("root", "../..", "the repository")
	dist := flags.String("o", "", "directory for the files, in which those of an earlier release are deleted (default: dist in the repository)")
	tag := flags.String("tag", "", "refuse unless this is the tag of a version that CHANGELOG.md dates, as v1.2.3")
	source := flags.String("source", "", "address of the repository, for the labels of packages and images")
	dirty := flags.Bool("dirty", false, "take what is not committed too: for tests")
	quick := flags.Bool("quick", false, "build the second time from the first one's cache: the linker runs twice, the compiler once")
	_ = flags.Parse(args) // ExitOnError
	if flags.NArg() > 0 {
		return fmt.Errorf("no arguments are taken, and there is %q", flags.Arg(0))
	}
	if *dist == "" {
		*dist = filepath.Join(*root, "dist")
	}
	content, err := os.ReadFile(filepath.Join(*root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	r := &release{source: *source}
	if r.changes, err = parseChanges(string(content)); err != nil {
		return fmt.Errorf("CHANGELOG.md: %w", err)
	}
	if err := r.changes[0].released(*tag); *tag != "" && err != nil {
		return err
	}
	if err := r.committed(ctx, *root, *dirty); err != nil {
		return err
	}
	if err := emptied(*dist); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "callstitch-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	return r.make(ctx, *root, work, *dist, *quick, out)
}

// emptied makes dist, and deletes what an earlier release has left in it. Where there is
// anything else, it is somebody's, and nothing is deleted.
func emptied(dist string) error {
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	ours := regexp.MustCompile(`^(callstitch[-_]|SHA256SUMS)`)
	for _, e := range entries {
		if !ours.MatchString(e.Name()) || !e.Type().IsRegular() {
			return fmt.Errorf("%s has %s, which is no file of a release: name another directory", dist, e.Name())
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dist, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// committed reads what is known of the commit.
func (r *release) committed(ctx context.Context, root string, dirty bool) error {
	changed, err := command(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" && !dirty {
		return fmt.Errorf("a release is of a commit, and there are changes:\n%s", changed)
	}
	last, err := command(ctx, root, nil, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(last), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	r.commit, r.time = commit, time.Unix(unix, 0).UTC()
	return err
}

// make fills dist.
func (r *release) make(ctx context.Context, root, work, dist string, quick bool, out io.Writer) error {
	// Two directories of different length: a path in a binary makes them differ.
	r.tree = filepath.Join(work, "tree")
	again := filepath.Join(work, "the-same-tree-elsewhere")
	for _, dir := range []string{r.tree, again} {
		if err := copyTree(ctx, root, dir); err != nil {
			return err
		}
	}
	cache := ""
	if !quick {
		cache = filepath.Join(work, "cache")
	}
	programs := map[string]*program{}
	for _, arch := range architectures {
		p, err := r.build(ctx, r.tree, filepath.Join(work, arch), arch, "")
		if err != nil {
			return err
		}
		second, err := r.build(ctx, again, filepath.Join(work, arch+"-again"), arch, cache)
		if err != nil {
			return err
		}
		if p.sum != second.sum {
			return fmt.Errorf("two builds for %s differ: %x and %x; %s and %s", arch, p.sum, second.sum, p.path, second.path)
		}
		fmt.Fprintf(out, "built twice, the same: linux/%s %x\n", arch, p.sum[:8])
		programs[arch] = p
	}
	licenses, err := licenses(ctx, r.tree, programs[architectures[0]])
	if err != nil {
		return err
	}
	for _, arch := range architectures {
		p := programs[arch]
		if err := errors.Join(
			r.archive(dist, p, licenses),
			r.packages(work, dist, p, licenses),
			r.bill(dist, p),
		); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	if err := r.images(work, dist, programs, licenses); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return checksums(dist, out)
}

// checksums writes SHA256SUMS over the files in dist.
func checksums(dist string, out io.Writer) error {
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	sums := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dist, e.Name()))
		if err != nil {
			return err
		}
		sums[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&list, "%s  %s\n", sums[name], name)
	}
	fmt.Fprint(out, list.String())
	return os.WriteFile(filepath.Join(dist, "SHA256SUMS"), []byte(list.String()), 0o644)
}

// command runs one in a directory, with more in its environment, and returns what it prints.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var failed strings.Builder
	cmd.Stderr = &failed
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, failed.String())
	}
	return string(output), nil
}
