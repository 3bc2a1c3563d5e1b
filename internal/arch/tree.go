package arch

import (
	"bytes"
	"fmt"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// unfinished are words that promise work or pass over a check. They are
// spelled in two parts, so as not to be found here.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|\b[tb]\.Sk` + `ip(f|Now)?\(|not imple` + `mented|unimple` + `mented`)

// checkFinished finds unfinished work. What is not there is absent; what is
// there works, and its tests run.
func checkFinished(name string, content []byte) []finding {
	var found []finding
	for i, line := range bytes.Split(content, []byte("\n")) {
		if word := unfinished.Find(line); word != nil {
			found = append(found, finding{token.Position{Filename: name, Line: i + 1}, fmt.Sprintf("%q: finish it, or leave it out", word)})
		}
	}
	return found
}

var (
	fencePattern   = regexp.MustCompile("(?ms)^```.*?^```")
	codePattern    = regexp.MustCompile("`[^`\n]*`")
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notInAnchor    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// checkLinks finds links of a Markdown document to files or headings that are
// not there. Links to other sites are not followed.
func checkLinks(root, name string, content []byte) []finding {
	var found []finding
	for _, m := range linkPattern.FindAllSubmatchIndex(withoutCode(content), -1) {
		link := string(content[m[2]:m[3]])
		if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
			continue
		}
		if err := follow(root, name, content, link); err != nil {
			line := 1 + bytes.Count(content[:m[0]], []byte("\n"))
			found = append(found, finding{token.Position{Filename: name, Line: line}, err.Error()})
		}
	}
	return found
}

func follow(root, name string, content []byte, link string) error {
	target, anchor, _ := strings.Cut(link, "#")
	if target != "" {
		full := filepath.Join(root, path.Dir(name), target)
		info, err := os.Stat(full)
		if err != nil {
			return fmt.Errorf("link to %s: no such file", link)
		}
		if anchor == "" || info.IsDir() || filepath.Ext(full) != ".md" {
			return nil
		}
		if content, err = os.ReadFile(full); err != nil {
			return err
		}
	}
	for _, h := range headingPattern.FindAllSubmatch(withoutFences(content), -1) {
		if slug(string(h[1])) == anchor {
			return nil
		}
	}
	return fmt.Errorf("link to %s: no such heading", link)
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	s := notInAnchor.ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(s, " ", "-")
}

// withoutFences blanks blocks of code, so that offsets stay.
func withoutFences(content []byte) []byte {
	return fencePattern.ReplaceAllFunc(content, blank)
}

// withoutCode blanks code in lines too.
func withoutCode(content []byte) []byte {
	return codePattern.ReplaceAllFunc(withoutFences(content), blank)
}

func blank(b []byte) []byte {
	out := bytes.Repeat([]byte(" "), len(b))
	for i, c := range b {
		if c == '\n' {
			out[i] = '\n'
		}
	}
	return out
}
