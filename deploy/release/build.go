package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// program is a built callstitch.
type program struct {
	path string
	arch string
	sum  [sha256.Size]byte
	info *buildinfo.BuildInfo
}

// copyTree copies the files of a repository that are tracked, or new and not ignored.
func copyTree(ctx context.Context, root, dir string) error {
	list, err := command(ctx, root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) { // deleted, and not yet committed
			continue
		}
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build builds the program from a tree, static, for Linux. Nothing of the machine goes in:
// not the tree's directory, nor what the user has chosen, nor Git. An empty cache is the user's.
func (r *release) build(ctx context.Context, tree, path, arch, cache string) (*program, error) {
	// Where one is empty, what `go env -w` has kept counts.
	env := []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOFIPS140=off", "GOEXPERIMENT=", "GOWORK=off",
	}
	if cache != "" {
		env = append(env, "GOCACHE="+cache)
	}
	_, err := command(ctx, tree, env, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X main.release="+r.version(), "-o", path, "./cmd/callstitch")
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &program{path, arch, sha256.Sum256(content), info}, nil
}
