package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file or, where its name ends with a slash, a directory of an archive.
type entry struct {
	name    string
	mode    int64
	owner   int // user and group
	content []byte
}

// archived are entries as tar, each dated at, in the order given.
func archived(entries []entry, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: at, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Size: int64(len(e.content))}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// zipped is content in gzip's form.
func zipped(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// documents are the pages that go with a program, by their name in the repository.
func (r *release) documents() (map[string][]byte, error) {
	pages, err := filepath.Glob(filepath.Join(r.tree, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, page := range append(pages, filepath.Join(r.tree, "README.md"), filepath.Join(r.tree, "CHANGELOG.md")) {
		name, err := filepath.Rel(r.tree, page)
		if err != nil {
			return nil, err
		}
		if all[filepath.ToSlash(name)], err = os.ReadFile(page); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// archive writes the tar.gz: program, pages, units, and an example of a configuration.
func (r *release) archive(dist string, p *program, licenses []byte) error {
	top := r.name("-linux-" + p.arch)
	files, err := r.documents()
	if err != nil {
		return err
	}
	for name, from := range map[string]string{
		"callstitch":                 p.path,
		"LICENSE":                    filepath.Join(r.tree, "LICENSE"),
		"callstitch.yaml":            r.packaging("callstitch.yaml"),
		"callstitch.service":         r.packaging("callstitch.service"),
		"callstitch-receive.service": r.packaging("callstitch-receive.service"),
		"sysusers.conf":              r.packaging("sysusers.conf"),
	} {
		if files[name], err = os.ReadFile(from); err != nil {
			return err
		}
	}
	files["LICENSES-OF-OTHERS"] = licenses
	entries := []entry{{name: top + "/", mode: 0o755}, {name: top + "/docs/", mode: 0o755}}
	for name, content := range files {
		mode := int64(0o644)
		if name == "callstitch" {
			mode = 0o755
		}
		entries = append(entries, entry{name: path.Join(top, name), mode: mode, content: content})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	content, err := archived(entries, r.time)
	if err != nil {
		return err
	}
	if content, err = zipped(content); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, top+".tar.gz"), content, 0o644)
}
