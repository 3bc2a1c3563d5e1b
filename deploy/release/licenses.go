package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// licensePattern is what a module calls the files that must go with its code.
var licensePattern = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

// licenses are the texts that go with the code of others in the program: Go's, and
// those of every module that is linked.
func licenses(ctx context.Context, tree string, p *program) ([]byte, error) {
	goroot, err := command(ctx, tree, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var all strings.Builder
	all.WriteString("callstitch is under the Apache License 2.0. It contains code of others, under these licenses.\n")
	if err := appendLicenses(&all, "Go "+p.info.GoVersion, strings.TrimSpace(goroot)); err != nil {
		return nil, err
	}
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: a release takes modules as they were published", m.Path)
		}
		dir, err := command(ctx, tree, nil, "go", "list", "-m", "-f", "{{.Dir}}", m.Path)
		if err != nil {
			return nil, err
		}
		if err := appendLicenses(&all, m.Path+" "+m.Version, strings.TrimSpace(dir)); err != nil {
			return nil, err
		}
	}
	return []byte(all.String()), nil
}

func appendLicenses(all *strings.Builder, of, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licensePattern.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(all, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 80), of, e.Name(), strings.TrimSpace(string(text)))
	}
	if !found {
		return fmt.Errorf("%s has no license: may it be published?", of)
	}
	return nil
}
