package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// failing is a disk that refuses some of what it is asked to do.
type failing struct {
	disk
	mu   sync.Mutex
	errs map[string]error
}

// refuse has the disk refuse something with an error; without one everything works again.
func (d *failing) refuse(what string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil || d.errs == nil {
		d.errs = map[string]error{}
	}
	d.errs[what] = err
}

func (d *failing) err(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errs[what]
}

func (d *failing) create(name string) (file, error) {
	if err := d.err("create"); err != nil {
		return nil, err
	}
	f, err := d.disk.create(name)
	return failingFile{f, d}, err
}

func (d *failing) read(name string) ([]byte, error) {
	if err := errors.Join(d.err("read"), d.err("read "+name)); err != nil {
		return nil, err
	}
	return d.disk.read(name)
}

func (d *failing) sync() error {
	if err := d.err("sync directory"); err != nil {
		return err
	}
	return d.disk.sync()
}

type failingFile struct {
	file
	disk *failing
}

func (f failingFile) Write(p []byte) (int, error) {
	if err := f.disk.err("write"); err != nil {
		return 0, err
	}
	if err := f.disk.err("write large"); err != nil && len(p) > 50_000 {
		return 0, err
	}
	if err := f.disk.err("write half"); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f failingFile) Sync() error {
	if err := f.disk.err("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f failingFile) Truncate(size int64) error {
	if err := f.disk.err("truncate"); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

// powered is a disk that loses power: what was not made durable is there in part, or not
// at all, or as zeros; names too.
type powered struct {
	mu      sync.Mutex
	files   map[string]*poweredFile
	durable map[string]bool // names
	off     bool
	// careless disks say that they have made something durable, and have not.
	carelessFile, carelessDirectory bool
}

type poweredFile struct {
	disk    *powered
	data    []byte
	durable int // of data
}

var errOff = errors.New("no power")

func (d *powered) do(what func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return errOff
	}
	return what()
}

func (d *powered) list() (names []string, err error) {
	return names, d.do(func() error {
		names = slices.Collect(maps.Keys(d.files))
		return nil
	})
}

func (d *powered) create(name string) (f file, err error) {
	return f, d.do(func() error {
		made := &poweredFile{disk: d}
		d.files[name], f = made, made
		return nil
	})
}

func (d *powered) read(name string) (data []byte, err error) {
	return data, d.do(func() error {
		f, ok := d.files[name]
		if !ok {
			return fs.ErrNotExist
		}
		data = bytes.Clone(f.data)
		return nil
	})
}

func (d *powered) ends(name string, n int) (head, tail []byte, size int64, err error) {
	data, err := d.read(name)
	n = min(n, len(data))
	return data[:n], data[len(data)-n:], int64(len(data)), err
}

func (d *powered) truncate(name string, size int64) error {
	return d.do(func() error {
		f := d.files[name]
		f.data, f.durable = f.data[:size], min(f.durable, int(size))
		return nil
	})
}

func (d *powered) rename(from, to string) error {
	return d.do(func() error {
		d.files[to] = d.files[from]
		delete(d.files, from)
		return nil
	})
}

func (d *powered) remove(name string) error {
	return d.do(func() error {
		delete(d.files, name)
		return nil
	})
}

func (d *powered) sync() error {
	return d.do(func() error {
		if d.carelessDirectory {
			return nil
		}
		d.durable = map[string]bool{}
		for name := range d.files {
			d.durable[name] = true
		}
		return nil
	})
}

func (f *poweredFile) Write(p []byte) (int, error) {
	return len(p), f.disk.do(func() error {
		f.data = append(f.data, p...)
		return nil
	})
}

func (f *poweredFile) Sync() error {
	return f.disk.do(func() error {
		if !f.disk.carelessFile {
			f.durable = len(f.data)
		}
		return nil
	})
}

func (f *poweredFile) Truncate(size int64) error {
	return f.disk.do(func() error {
		f.data, f.durable = f.data[:size], min(f.durable, int(size))
		return nil
	})
}

func (f *poweredFile) Close() error { return nil }

// fail is a loss of power, and its return.
func (d *powered) fail(rng *rand.Rand) (after *powered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	after = &powered{files: map[string]*poweredFile{}, carelessFile: d.carelessFile, carelessDirectory: d.carelessDirectory}
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[name]
		if !d.durable[name] && rng.IntN(2) == 0 {
			continue
		}
		data := bytes.Clone(f.data)
		const page = 64
		for at := f.durable; at < len(data); at += page {
			if rng.IntN(3) == 0 {
				clear(data[at:min(at+page, len(data))])
			}
		}
		data = data[:f.durable+rng.IntN(len(data)-f.durable+1)]
		after.files[name] = &poweredFile{disk: after, data: data, durable: len(data)}
	}
	after.durable = map[string]bool{}
	for name := range after.files {
		after.durable[name] = true
	}
	return after
}

// outages has records appended and drained under losses of power, and returns those
// that were acknowledged and never came out.
func outages(t *testing.T, seed uint64, d *powered) (lost []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	acknowledged, out := map[string]bool{}, map[string]bool{}
	cfg, _ := testConfig(t)
	for round := range 4 {
		s, err := open(cfg, d)
		if err != nil {
			t.Fatal(err)
		}
		if round%2 == 1 {
			for _, body := range drained(t, s) {
				out[body] = true
			}
		}
		for i := range 1 + rng.IntN(4) {
			waits := map[string]<-chan error{}
			for j := range 1 + rng.IntN(4) {
				body := fmt.Sprint(round, i, j, string(make([]byte, rng.IntN(300))))
				waits[body] = s.Append(record(body))
			}
			if rng.IntN(8) == 0 {
				s.mu.Lock()
				s.seal = true
				s.stir()
				s.mu.Unlock()
			}
			if i > 0 && rng.IntN(4) == 0 {
				break // in the middle of it
			}
			for body, wait := range waits {
				if <-wait == nil {
					acknowledged[body] = true
				}
			}
		}
		d = d.fail(rng)
		mustClose(t, s)
	}
	s, err := open(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	for _, body := range drained(t, s) {
		out[body] = true
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	for body := range acknowledged {
		if !out[body] {
			lost = append(lost, body)
		}
	}
	return lost
}

// TestPowerIsLost: what was acknowledged outlives any loss of power.
func TestPowerIsLost(t *testing.T) {
	for seed := range uint64(300) {
		if lost := outages(t, seed, &powered{files: map[string]*poweredFile{}}); len(lost) > 0 {
			t.Fatalf("seed %d: %d records are lost: %q", seed, len(lost), lost)
		}
	}
}

// TestPowerIsLostOnCarelessDisks: the test above notices a missing fsync, of a file and
// of the directory.
func TestPowerIsLostOnCarelessDisks(t *testing.T) {
	for _, what := range []string{"file", "directory"} {
		t.Run(what, func(t *testing.T) {
			for seed := range uint64(300) {
				d := &powered{files: map[string]*poweredFile{}, carelessFile: what == "file", carelessDirectory: what == "directory"}
				if lost := outages(t, seed, d); len(lost) > 0 {
					return
				}
			}
			t.Error("nothing was lost")
		})
	}
}
