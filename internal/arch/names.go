package arch

import (
	"fmt"
	"go/token"
	"path"
	"slices"
	"strings"
)

// mayNameProviders are the files and folders whose subject is one provider or
// another, each with its reason. All others speak of what kind of provider it is.
var mayNameProviders = map[string]string{
	"processor/call/provider.go":    "has the row of each",
	"processor/decode/providers.go": "lists the rows",
	"processor/decode/causes.go":    "has the causes of what some of them run",
	"processor/session/dialect.go":  "has the row of each",
	"internal/simulator/feed.go":    "lists the rows",
	"internal/simulator/graphs.go":  "draws as two of them would",
	"internal/simulator/tenant.go":  "has accounts at each",
	"cmd/callstitch/process.go":     "shows a command line",

	"cmd/callstitch/internal/config/receive.go":   "has the key of one's signature",
	"cmd/callstitch/internal/webhook/endpoint.go": "proves itself as each does",

	"processor/call/calltest":           "tells what one might send",
	"internal/receive/answers.go":       "has the row of each",
	"internal/receive/feed/dialects.go": "lists the rows",
}

// providerFolders have files of each provider: its name, alone or before an underscore.
var providerFolders = []string{"processor/decode", "internal/simulator", "internal/receive/auth", "internal/receive/feed"}

// checkNames finds names of providers, and of the systems behind them, in files
// that must work for any provider. Tests may name those that they are about.
func checkNames(name string, content []byte, providers []string) []finding {
	folder := path.Dir(name)
	owner, _, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".go"), "_")
	ownFile := slices.Contains(providerFolders, folder) && slices.Contains(providers, owner)
	if strings.HasSuffix(name, "_test.go") || ownFile || mayNameProviders[name] != "" || mayNameProviders[folder] != "" {
		return nil
	}
	var found []finding
	line := 0
	for text := range strings.Lines(strings.ToLower(string(content))) {
		line++
		if i := slices.IndexFunc(providers, func(p string) bool { return strings.Contains(text, p) }); i >= 0 {
			found = append(found, finding{
				token.Position{Filename: name, Line: line},
				fmt.Sprintf("names %s: what is true of one provider is a fact in its row (docs/providers.md)", providers[i]),
			})
		}
	}
	return found
}
