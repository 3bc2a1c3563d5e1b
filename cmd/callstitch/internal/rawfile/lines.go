package rawfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is what is kept of one line. It is far beyond the largest record that
// is taken (1 MiB), also where every byte of it is escaped, so that a longer one
// becomes a reject with its bytes rather than a failure or an exhausted memory.
const maxLine = 16 << 20

// lines reads text line by line. Its memory is bounded: what a line has beyond
// maxLine is read and dropped.
type lines struct {
	r      *bufio.Reader
	line   []byte
	number int64 // of the line that next returns next, from 0
}

func newLines(r io.Reader) *lines {
	return &lines{r: bufio.NewReaderSize(r, 256<<10)}
}

// next is the next line that is not blank, without its end and with its marks, and its number from
// 0 among all lines. The line is valid until the next call. The error is io.EOF
// after the last one.
func (l *lines) next() ([]byte, int64, error) {
	for {
		line, err := l.read()
		if err != nil {
			return nil, 0, err
		}
		l.number++
		if len(bytes.TrimSpace(unmarked(line))) > 0 {
			return line, l.number - 1, nil
		}
	}
}

// unmarked is the line without the byte order marks at its front, which editors and
// shells put at the front of a file, and files that were joined have in the middle.
func unmarked(line []byte) []byte {
	mark := []byte("\ufeff")
	for bytes.HasPrefix(line, mark) {
		line = line[len(mark):]
	}
	return line
}

func (l *lines) read() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil, errors.Is(err, io.EOF) && len(l.line) > 0:
			return bytes.TrimSuffix(bytes.TrimSuffix(l.line, []byte("\n")), []byte("\r")), nil
		default:
			return nil, err
		}
	}
}

// idle reports whether the next line may have to be waited for.
func (l *lines) idle() bool { return l.r.Buffered() == 0 }
