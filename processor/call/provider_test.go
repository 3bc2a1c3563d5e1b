package call

import (
	"slices"
	"strings"
	"testing"

	"callstitch/internal/docpage"
)

func TestEveryProviderHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Providers() {
		for _, word := range append([]string{p.String()}, p.Aliases()...) {
			if word == "" || word != strings.ToLower(word) || seen[word] {
				t.Errorf("processor/call/provider.go: provider %d has %q among its names, which is empty, not in lower case or taken", p, word)
			}
			seen[word] = true
			if got, known := ParseProvider(word); !known || got != p {
				t.Errorf("%q is parsed as %v, %t", word, got, known)
			}
		}
	}
	if len(ProviderNames()) != len(Providers()) {
		t.Errorf("%d names of %d providers", len(ProviderNames()), len(Providers()))
	}
	if _, known := ParseProvider(""); known {
		t.Error("no name is a provider's")
	}
}

// TestEveryProviderIsDocumented walks all providers and asks for the row of each
// in the tables of the documents that have one a provider.
func TestEveryProviderIsDocumented(t *testing.T) {
	for _, table := range []struct{ page, heading string }{
		{"docs/providers.md", "## The providers"},
		{"docs/records.md", "## Transfers"},
	} {
		rows := docpage.Read(t, "../../"+table.page).Section(t, table.heading).FirstCells()
		for _, p := range Providers() {
			if !slices.ContainsFunc(rows, func(cell string) bool { return strings.EqualFold(cell, p.String()) }) {
				t.Errorf("%s, %s: the table has no row for %s", table.page, table.heading, p)
			}
		}
	}
	operations := docpage.Read(t, "../../docs/operations.md")
	for _, begins := range []string{"| `sources[].provider` |", "| `provider` |"} {
		_, row, _ := strings.Cut(string(operations), "\n"+begins)
		row, _, _ = strings.Cut(row, "\n")
		for _, p := range Providers() {
			for _, word := range append([]string{p.String()}, p.Aliases()...) {
				if !docpage.Page(row).HasWord(word) {
					t.Errorf("docs/operations.md: %s does not list %s", begins, word)
				}
			}
		}
	}
}
