package compare

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"callstitch/processor/call"
)

// File is the sessions in a file, one JSON object a line, as 'callstitch process' and
// 'callstitch tail' print them.
type File struct {
	path string
	seen *atomic.Int64
}

// OpenFile is a file of sessions, whose lines are counted in seen. It is read more than
// once, so a pipe will not do.
func OpenFile(path string, seen *atomic.Int64) (File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return File{}, err
	case !info.Mode().IsRegular():
		return File{}, fmt.Errorf("%s is no regular file, and is read more than once: write it to one first", path)
	}
	return File{path, seen}, nil
}

func (f File) String() string { return "file " + f.path }

// lineMax bounds a line: the largest record that a topic of sessions takes is 4 MiB of
// Avro, and text is larger.
const lineMax = 32 << 20

// Read reads the whole file: which session a line is of is only known when it was read.
func (f File) Read(ctx context.Context, _ func(call.LegID) bool, yield func(call.LegID, []byte) error) (err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), lineMax)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f.seen.Add(1)
		if err := yield(call.LegID{}, line); err != nil {
			return fmt.Errorf("read %s, line %d: %w", f.path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	return nil
}
