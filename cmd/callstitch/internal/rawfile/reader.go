// Package rawfile is records as lines of text: it reads raw events one a line, or
// as kcat -J prints them, and writes both forms. It opens the files that it is
// given, and knows nothing of what becomes of a record.
package rawfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"callstitch/topology"
)

// Reader reads lines of text as raw records.
type Reader struct {
	Kcat  bool   // lines are those of kcat -J
	Topic string // of lines that name none
	// Process takes each record. Its value is valid until Process returns; an
	// error ends the reading.
	Process func(topology.Record) error
	Idle    func() // called before the input may have to be waited for; nil: nothing

	next int64 // number of the next line from 0, over all files
}

// ReadAll reads the files in turn, or standard input where there are none; "-"
// is standard input too. The offset of a line that names none is its number from
// 0 over all files.
func (r *Reader) ReadAll(stdin io.Reader, files []string) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := r.readFile(stdin, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) readFile(stdin io.Reader, name string) error {
	if name == "-" {
		return r.read(stdin, "standard input")
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	defer f.Close()
	return r.read(f, name)
}

func (r *Reader) read(from io.Reader, name string) error {
	in := newLines(from)
	in.number = r.next
	defer func() { r.next = in.number }()
	for {
		if r.Idle != nil && in.idle() {
			r.Idle()
		}
		line, number, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read records from %s: %w", name, err)
		}
		if err := r.Process(r.record(line, number)); err != nil {
			return fmt.Errorf("process line %d of %s: %w", number+1, name, err)
		}
	}
}

// record is the raw record of a line. A line of another format than expected is
// a record too: the decoder rejects what it does not know, with its bytes.
func (r *Reader) record(line []byte, number int64) topology.Record {
	if r.Kcat {
		if rec, err := ParseKcat(line); err == nil {
			return rec
		}
	}
	return topology.Record{Topic: r.Topic, Offset: number, Value: line}
}
