// Package secret reads secrets from files, and reads them, and whatever else there is in
// files, again when those change, so that neither a configuration nor the environment
// holds a secret and a new one needs no restart.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// valuesMax is how many secrets count at a time: the one in use, and the one that
	// replaces it.
	valuesMax = 2
	// fileBytesMax is more than two tokens need. What is larger is another kind of file.
	fileBytesMax = 16 << 10
)

// A File holds one secret, or two while one takes over from the other: each on a line
// of its own. It is safe for concurrent use.
type File struct {
	path string
	kept *Kept[[]string]
}

// Open reads a file, which must hold a secret.
func Open(path string) (*File, error) {
	kept, err := Keep(func() ([]string, error) { return read(path) }, path)
	return &File{path, kept}, err
}

// Values are the file's secrets: one or two, none of them empty. While the file cannot
// be read, or holds none, they are those that it held before: a file that is being
// replaced must not refuse everybody.
func (f *File) Values() []string {
	values, _ := f.kept.Now()
	return values
}

// Problem is why the file as it is now is not what Values tells, or nil.
func (f *File) Problem() error {
	_, problem := f.kept.Now()
	return problem
}

// String names the file, and no secret.
func (f *File) String() string { return f.path }

func read(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err != nil {
		return nil, err
	}
	values, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return values, nil
}

// parse reads the lines of a file. Blank ones do not count, and spaces around a secret
// are not part of it: nobody sees them.
func parse(content []byte) ([]string, error) {
	if len(content) > fileBytesMax {
		return nil, fmt.Errorf("is over %d bytes: it should hold one secret, or two, each on a line", fileBytesMax)
	}
	var values []string
	for line := range strings.Lines(string(content)) {
		if secret := strings.TrimSpace(line); secret != "" {
			values = append(values, secret)
		}
	}
	switch {
	case len(values) == 0:
		return nil, errors.New("holds no secret")
	case len(values) > valuesMax:
		return nil, fmt.Errorf("has %d lines: it should hold one secret, or two while one replaces the other", len(values))
	}
	return values, nil
}
