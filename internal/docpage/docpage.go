// Package docpage reads the documentation, for tests that hold it against the
// program. It knows Markdown's headings, tables and blocks of code, as far as our
// pages use them.
package docpage

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Page is the text of a page, or of a part of one.
type Page string

// Read is the page in a file.
func Read(t testing.TB, file string) Page {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Page(text)
}

// Section is what the page says under a heading, which is given with its #s, up
// to the next one of its level or above.
func (p Page) Section(t testing.TB, heading string) Page {
	t.Helper()
	_, rest, found := strings.Cut(string(p), "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	next := regexp.MustCompile(`(?m)^#{1,` + strconv.Itoa(len(level)) + `} `)
	if end := next.FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return Page(rest)
}

var (
	block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```")
	row   = regexp.MustCompile(`(?m)^\| ([^|]*) \|.*$`)
	code  = regexp.MustCompile("`([^`]*)`")
)

// Blocks are the fenced blocks of a language.
func (p Page) Blocks(language string) (texts []string) {
	for _, m := range block.FindAllStringSubmatch(string(p), -1) {
		if m[1] == language {
			texts = append(texts, m[2])
		}
	}
	return texts
}

// FirstCells are the first cells of all rows of tables.
func (p Page) FirstCells() (cells []string) {
	for _, m := range row.FindAllStringSubmatch(string(p), -1) {
		cells = append(cells, m[1])
	}
	return cells
}

// FirstWords are the words in code in the first cells.
func (p Page) FirstWords() (words []string) {
	for _, cell := range p.FirstCells() {
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			words = append(words, m[1])
		}
	}
	return words
}

// HasWord reports whether the page has the word in code.
func (p Page) HasWord(word string) bool { return strings.Contains(string(p), "`"+word+"`") }
