package spool

import (
	"io"
	"os"
	"path/filepath"
)

// disk is the directory of a spool. Tests have one that fails, and one that loses power.
type disk interface {
	list() (names []string, err error)
	create(name string) (file, error) // that must not be there
	read(name string) ([]byte, error)
	// ends are the first and the last n bytes, or what there is.
	ends(name string, n int) (head, tail []byte, size int64, err error)
	truncate(name string, size int64) error
	rename(from, to string) error
	remove(name string) error
	// sync makes durable which names there are.
	sync() error
}

// file is one that is written.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// directory is a disk that is one.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func (d directory) list() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// create opens for appending: after a truncation the next write begins at the new end.
func (d directory) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d directory) read(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d directory) ends(name string, n int) (head, tail []byte, size int64, err error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, 0, err
	}
	size = info.Size()
	head = make([]byte, min(int64(n), size))
	tail = make([]byte, len(head))
	if _, err = f.ReadAt(head, 0); err == nil {
		_, err = f.ReadAt(tail, size-int64(len(tail)))
	}
	return head, tail, size, err
}

func (d directory) truncate(name string, size int64) error { return os.Truncate(d.path(name), size) }

func (d directory) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d directory) remove(name string) error     { return os.Remove(d.path(name)) }

func (d directory) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
