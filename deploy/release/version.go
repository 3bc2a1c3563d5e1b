package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// version is one heading of CHANGELOG.md, and what is below it.
type version struct {
	name    string    // as 1.2.3, or 1.2.3-dev
	date    time.Time // zero: not yet released
	changes []string  // paragraphs and items, each a line, without links
}

var (
	// A version is what SemVer takes but build metadata, which no image's tag may have.
	headingPattern = regexp.MustCompile(`(?m)^## (.*)$`)
	versionPattern = regexp.MustCompile(`^((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?)(?: \((\d{4}-\d{2}-\d{2})\))?$`)
	linkPattern    = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// parseChanges reads a changelog whose headings are versions, the newest first:
// "## 1.2.3-dev" is in the making, "## 1.2.3 (2026-01-31)" was released then.
func parseChanges(content string) ([]version, error) {
	var all []version
	headings := headingPattern.FindAllStringSubmatchIndex(content, -1)
	for i, h := range headings {
		heading, end := content[h[2]:h[3]], len(content)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		m := versionPattern.FindStringSubmatch(heading)
		if m == nil {
			return nil, fmt.Errorf("%q is no heading of a version, as \"1.2.3 (2026-01-31)\" or \"1.2.3-dev\"", heading)
		}
		v := version{name: m[1], changes: paragraphs(content[h[1]:end])}
		if m[2] != "" {
			var err error
			if v.date, err = time.Parse(time.DateOnly, m[2]); err != nil {
				return nil, fmt.Errorf("%q: %w", heading, err)
			}
		}
		if unreleased := strings.Contains(v.name, "-"); v.date.IsZero() && (i > 0 || !unreleased) {
			return nil, fmt.Errorf("%q has no date: only the first heading may have none, if its version ends as -dev does", heading)
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no heading of a version")
	}
	return all, nil
}

// released reports an error unless v is released, and tag is its tag.
func (v version) released(tag string) error {
	switch {
	case v.date.IsZero():
		return fmt.Errorf("the tag is %s, and the first version of CHANGELOG.md, %s, has no date", tag, v.name)
	case strings.Contains(v.name, "-"):
		// Names of files would have a ~, which not every host keeps, and the newest release would be none.
		return fmt.Errorf("the version is %s, and what is released ends in its three numbers", v.name)
	case tag != "v"+v.name:
		return fmt.Errorf("the tag is %s, and the first version of CHANGELOG.md is %s", tag, v.name)
	}
	return nil
}

// paragraphs are those of a text in Markdown, and each item of its lists.
func paragraphs(text string) []string {
	var all []string
	for block := range strings.SplitSeq(text, "\n\n") {
		for item := range strings.SplitSeq("\n"+strings.TrimSpace(block), "\n- ") {
			if item = strings.Join(strings.Fields(linkPattern.ReplaceAllString(item, "$1")), " "); item != "" {
				all = append(all, item)
			}
		}
	}
	return all
}
