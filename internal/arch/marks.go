package arch

import (
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The documents that define what comments name by a letter and a number:
// promises of the product, and pitfalls of Kafka.
const (
	promises = "README.md"
	pitfalls = "docs/pitfalls.md"
)

var (
	markPattern    = regexp.MustCompile(`\b[KOP][0-9]+\b`)
	promisePattern = regexp.MustCompile(`(?m)^\| (P[0-9]+) \|`)
	pitfallPattern = regexp.MustCompile(`(?m)^## (K[0-9]+) `)
)

// elsewhere begins the text under a pitfall that the code does not meet.
const elsewhere = "Does not concern"

// marks are what comments may name, each with the document and line that defines it.
type marks map[string]token.Position

func (m marks) define(name string, content []byte, pattern *regexp.Regexp) {
	for _, at := range pattern.FindAllSubmatchIndex(content, -1) {
		line := 1 + strings.Count(string(content[:at[0]]), "\n")
		m[string(content[at[2]:at[3]])] = token.Position{Filename: name, Line: line}
	}
}

// checkMarks finds marks in a file's comments that nothing defines, and notes
// those that are cited.
func checkMarks(f *file, defined marks, cited map[string]bool) []finding {
	var found []finding
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			for _, mark := range markPattern.FindAllString(c.Text, -1) {
				cited[mark] = true
				if _, ok := defined[mark]; !ok {
					found = append(found, f.at(c, "%s is neither a promise in %s nor a pitfall in %s", mark, promises, pitfalls))
				}
			}
		}
	}
	return found
}

// checkCited finds pitfalls that are said to be met in the code and that no
// comment cites, and those that are said to be no concern and are cited.
func checkCited(content []byte, defined marks, cited map[string]bool) []finding {
	var found []finding
	for _, mark := range slices.Sorted(maps.Keys(defined)) {
		if !strings.HasPrefix(mark, "K") {
			continue
		}
		_, text, _ := strings.Cut(string(content), "\n## "+mark+" ")
		_, text, _ = strings.Cut(text, "\n\n")
		switch met := !strings.HasPrefix(text, elsewhere); {
		case met && !cited[mark]:
			found = append(found, finding{defined[mark], mark + " is met in the code, it says, but no comment cites it"})
		case !met && cited[mark]:
			found = append(found, finding{defined[mark], mark + " is no concern of the code, it says, but a comment cites it"})
		}
	}
	return found
}
