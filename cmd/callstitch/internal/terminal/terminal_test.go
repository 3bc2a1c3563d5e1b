package terminal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMark(t *testing.T) {
	for _, test := range []struct {
		colours bool
		err     error
		want    string
	}{
		{false, nil, "√ the broker answers\n"},
		{true, nil, "\x1b[32m√\x1b[0m the broker answers\n"},
		{false, errors.Join(errors.New("refused"), errors.New("is it running?")), "× the broker answers\n    refused\n    is it running?\n"},
		{true, errors.New("refused"), "\x1b[31m×\x1b[0m the broker answers\n    refused\n"},
	} {
		var out bytes.Buffer
		Writer{&out, test.colours}.Mark("the broker answers", test.err)
		if out.String() != test.want {
			t.Errorf("colours %t, error %v: %q, want %q", test.colours, test.err, out.String(), test.want)
		}
	}
}

func TestRemark(t *testing.T) {
	for colours, want := range map[bool]string{false: "! look here\n", true: "\x1b[33m!\x1b[0m look here\n"} {
		var out bytes.Buffer
		if (Writer{&out, colours}).Remark("look here"); out.String() != want {
			t.Errorf("colours %t: %q, want %q", colours, out.String(), want)
		}
	}
}

// What is read by a program has no colours.
func TestFilesShowNoColours(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Is(f) || ShowsColours(f) || New(f).Colours || New(new(bytes.Buffer)).Colours {
		t.Error("a file is taken for a terminal")
	}
}
