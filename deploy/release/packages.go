package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

const (
	authors     = "The callstitch authors"
	license     = "Apache-2.0"
	description = "Turns raw telephony events on Kafka into call sessions\n" +
		"It reads the call events of several providers from Kafka topics, drops duplicates,\n" +
		"stitches call legs into sessions, and writes Avro records, exactly once.\n" +
		"callstitch-receive takes the providers' webhooks to Kafka."
)

func (r *release) packaging(name string) string {
	return filepath.Join(r.tree, "deploy", "release", "packaging", name)
}

// packages writes the deb and the rpm of a program: the same files, the same scripts.
func (r *release) packages(work, dist string, p *program, licenses []byte) error {
	dir := filepath.Join(work, "packages-"+p.arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	changelog, err := r.changelog()
	if err != nil {
		return err
	}
	pages, err := r.documents()
	if err != nil {
		return err
	}
	generated := map[string][]byte{"changelog.yaml": changelog, "LICENSES-OF-OTHERS": licenses}
	if generated["changelog.gz"], err = zipped(pages["CHANGELOG.md"]); err != nil { // Debian's name of it
		return err
	}
	for name, content := range generated {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}

	contents := files.Contents{}
	put := func(from, to, kind string, mode os.FileMode) {
		contents = append(contents, &files.Content{Source: from, Destination: to, Type: kind, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.time}})
	}
	put(p.path, "/usr/bin/callstitch", "", 0o755)
	put("", "/etc/callstitch", files.TypeDir, 0o755)
	put(r.packaging("callstitch.yaml"), "/etc/callstitch/callstitch.yaml", files.TypeConfigNoReplace, 0o644)
	put(r.packaging("environment"), "/etc/default/callstitch", files.TypeConfigNoReplace, 0o644)
	put(r.packaging("callstitch.service"), "/usr/lib/systemd/system/callstitch.service", "", 0o644)
	put(r.packaging("callstitch-receive.service"), "/usr/lib/systemd/system/callstitch-receive.service", "", 0o644)
	put(r.packaging("sysusers.conf"), "/usr/lib/sysusers.d/callstitch.conf", "", 0o644)
	const doc = "/usr/share/doc/callstitch/"
	put(filepath.Join(r.tree, "LICENSE"), doc+"copyright", "", 0o644)
	put(filepath.Join(dir, "LICENSES-OF-OTHERS"), doc+"LICENSES-OF-OTHERS", "", 0o644)
	for name := range pages {
		if name != "CHANGELOG.md" {
			put(filepath.Join(r.tree, filepath.FromSlash(name)), doc+name, "", 0o644)
		}
	}
	put(filepath.Join(dir, "changelog.gz"), doc+"changelog.gz", "", 0o644)

	for _, kind := range []string{"deb", "rpm"} {
		info := nfpm.WithDefaults(&nfpm.Info{
			Name: "callstitch", Arch: p.arch, Platform: "linux",
			Version: r.version(), VersionSchema: "semver", Release: "1", MTime: r.time,
			Section: "net", Priority: "optional", Maintainer: authors, Vendor: authors,
			Description: description, Homepage: r.source, License: license,
			Changelog: filepath.Join(dir, "changelog.yaml"), DisableGlobbing: true,
			Overridables: nfpm.Overridables{
				Contents:   contents,
				Depends:    []string{"systemd"}, // for the units, and the user that systemd-sysusers makes
				Recommends: []string{"ca-certificates"},
				Scripts: nfpm.Scripts{
					PostInstall: r.packaging("postinstall.sh"),
					PreRemove:   r.packaging("preremove.sh"),
					PostRemove:  r.packaging("postremove.sh"),
				},
				RPM: nfpm.RPM{BuildHost: "localhost", Packager: authors, Compression: "gzip"},
				Deb: nfpm.Deb{Compression: "gzip"},
			},
		})
		if kind == "deb" {
			info.Depends = []string{"systemd | systemd-standalone-sysusers"}
		}
		if err := nfpm.PrepareForPackager(info, kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		packager, err := nfpm.Get(kind)
		if err != nil {
			return err
		}
		out, err := os.Create(filepath.Join(dist, packager.ConventionalFileName(info)))
		if err != nil {
			return err
		}
		if err := packager.Package(info, out); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	return nil
}

// changelog is CHANGELOG.md in the form that nfpm makes the packages' changelogs of. A
// version in the making is dated as its commit.
func (r *release) changelog() ([]byte, error) {
	type change struct {
		Note string `json:"note"`
	}
	type debian struct {
		Urgency       string   `json:"urgency"`
		Distributions []string `json:"distributions"`
	}
	type entry struct {
		Deb      debian    `json:"deb"`
		Semver   string    `json:"semver"`
		Date     time.Time `json:"date"`
		Packager string    `json:"packager"`
		Changes  []change  `json:"changes"`
	}
	var entries []entry
	for _, v := range r.changes {
		e := entry{Semver: v.name, Date: v.date, Packager: authors, Deb: debian{"medium", []string{"stable"}}}
		if e.Date.IsZero() {
			e.Date = r.time
		}
		for _, note := range v.changes {
			e.Changes = append(e.Changes, change{note})
		}
		entries = append(entries, e)
	}
	return json.Marshal(entries) // which is YAML, too
}
