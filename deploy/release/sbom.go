package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// bill writes a program's bill of materials in CycloneDX's form: what the linker has
// recorded in it, so nothing that is only in go.mod.
func (r *release) bill(dist string, p *program) error {
	name := "pkg:golang/callstitch@v" + r.version()
	main := &cyclonedx.Component{
		BOMRef: name, Type: cyclonedx.ComponentTypeApplication, Name: "callstitch", Version: r.version(), PackageURL: name,
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: license}}},
		Hashes:   &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(p.sum[:])}},
		Properties: &[]cyclonedx.Property{
			{Name: "go:goos", Value: "linux"},
			{Name: "go:goarch", Value: p.arch},
			{Name: "go:toolchain", Value: p.info.GoVersion},
			{Name: "git:commit", Value: r.commit},
		},
	}
	std := "pkg:golang/std@" + strings.TrimPrefix(p.info.GoVersion, "go")
	components := []cyclonedx.Component{{BOMRef: std, Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: p.info.GoVersion, PackageURL: std}}
	needs := []string{std}
	for _, m := range p.info.Deps {
		// go.sum's hash of a module: SHA-256 over the list of its files.
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%s %s has no hash: %q", m.Path, m.Version, m.Sum)
		}
		url := "pkg:golang/" + m.Path + "@" + m.Version
		components = append(components, cyclonedx.Component{
			BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: url,
			Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}},
		})
		needs = append(needs, url)
	}
	bom := cyclonedx.NewBOM()
	// Named by what it is about, so that it is the same bytes each time.
	id := sha256.Sum256(append([]byte("callstitch "+r.version()+" "), p.sum[:]...))
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	bom.Metadata = &cyclonedx.Metadata{Timestamp: r.time.Format(time.RFC3339), Component: main}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: name, Dependencies: &needs}}
	out, err := os.Create(filepath.Join(dist, r.name("-linux-"+p.arch+".cdx.json")))
	if err != nil {
		return err
	}
	if err := cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return out.Close()
}
