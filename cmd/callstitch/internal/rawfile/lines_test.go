package rawfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	in := newLines(strings.NewReader("\ufeff\r\n\ufeffa\r\n  \t\r\nb b\r\n\ufeff\ufeff\r\nlast"))
	var got []string
	for {
		line, number, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line)+"@"+string(rune('0'+number)))
	}
	if diff := cmp.Diff([]string{"\ufeffa@1", "b b@3", "last@5"}, got); diff != "" {
		t.Error(diff)
	}
}

// A line beyond the limit costs no more memory than the limit, and the next one
// is whole.
func TestLongLine(t *testing.T) {
	long := io.MultiReader(io.LimitReader(endless('x'), maxLine+maxLine/2), strings.NewReader("\nnext\n"))
	in := newLines(long)
	line, _, err := in.next()
	if err != nil || len(line) != maxLine || cap(in.line) > 2*maxLine {
		t.Fatalf("%d bytes in a buffer of %d, %v", len(line), cap(in.line), err)
	}
	if line, number, err := in.next(); err != nil || string(line) != "next" || number != 1 {
		t.Errorf("%q at %d, %v", line, number, err)
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{byte(e)}, len(p)))
	return len(p), nil
}

func TestReadErrorIsTold(t *testing.T) {
	broken := errors.New("broken pipe")
	in := newLines(io.MultiReader(strings.NewReader("a\nhalf"), failing{broken}))
	if line, _, err := in.next(); err != nil || string(line) != "a" {
		t.Fatalf("%q, %v", line, err)
	}
	if line, _, err := in.next(); !errors.Is(err, broken) {
		t.Errorf("%q, %v", line, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
