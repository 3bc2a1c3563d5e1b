package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is that of deploy/docker/Dockerfile and of the manifests.
const user = 65532

// images writes the image: for each architecture as `docker load` takes it, and for all of
// them as an OCI layout, which is what is pushed.
func (r *release) images(work, dist string, programs map[string]*program, licenses []byte) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		image, err := r.image(programs[arch], licenses)
		if err != nil {
			return err
		}
		tag, err := name.NewTag("callstitch:" + r.version())
		if err != nil {
			return err
		}
		if err := tarball.WriteToFile(filepath.Join(dist, r.name("-image-"+arch+".tar")), tag, image); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	// A layout names what it holds; the name leads to the index, that to a machine's image.
	dir := filepath.Join(work, "layout")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version()})); err != nil {
		return err
	}
	var entries []entry
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		within, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		e := entry{name: filepath.ToSlash(within), mode: 0o644}
		if d.IsDir() {
			e.name, e.mode = e.name+"/", 0o755
		} else if e.content, err = os.ReadFile(file); err != nil {
			return err
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	content, err := archived(entries, r.time)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, r.name("-oci.tar")), content, 0o644)
}

// image is an image of nothing but the program and what it asks a system for: authorities,
// a name for its user, and a directory of that user's.
func (r *release) image(p *program, licenses []byte) (v1.Image, error) {
	content, err := os.ReadFile(p.path)
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(filepath.Join(r.tree, "LICENSE"))
	if err != nil {
		return nil, err
	}
	dir := func(name string) entry { return entry{name: name + "/", mode: 0o755} }
	file := func(name string, content []byte) entry { return entry{name: name, mode: 0o644, content: content} }
	layer, err := archived([]entry{
		{name: "callstitch", mode: 0o755, content: content},
		dir("etc"),
		file("etc/group", []byte("root:x:0:\nnonroot:x:65532:\n")),
		file("etc/passwd", []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/var/lib/callstitch:/sbin/nologin\n")),
		dir("etc/ssl"), dir("etc/ssl/certs"),
		file("etc/ssl/certs/ca-certificates.crt", authorities()),
		{name: "tmp/", mode: 0o1777},
		dir("usr"), dir("usr/share"), dir("usr/share/doc"), dir("usr/share/doc/callstitch"),
		file("usr/share/doc/callstitch/copyright", own),
		file("usr/share/doc/callstitch/LICENSES-OF-OTHERS", licenses),
		dir("var"), dir("var/lib"),
		{name: "var/lib/callstitch/", mode: 0o755, owner: user},
	}, r.time)
	if err != nil {
		return nil, err
	}
	made, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{Layer: made, MediaType: types.OCILayer, History: v1.History{
		Created: v1.Time{Time: r.time}, CreatedBy: "callstitch/deploy/release",
	}})
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":       "callstitch",
		"org.opencontainers.image.description": "Turns raw telephony events on Kafka into call sessions",
		"org.opencontainers.image.version":     r.version(),
		"org.opencontainers.image.revision":    r.commit,
		"org.opencontainers.image.created":     r.time.Format(time.RFC3339),
		"org.opencontainers.image.licenses":    license,
	}
	if r.source != "" {
		labels["org.opencontainers.image.source"] = r.source
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", p.arch, v1.Time{Time: r.time}
	config.Config = v1.Config{
		User:         "65532:65532",
		Entrypoint:   []string{"/callstitch"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "8085/tcp": {}, "8086/tcp": {}},
		Labels:       labels,
		Env:          []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
	}
	return mutate.ConfigFile(image, config)
}

// authorities are the certificates that Mozilla trusts without conditions, which PEM cannot
// state. They come with a module, so two machines have the same.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes all
		}
	}
	return all.Bytes()
}
