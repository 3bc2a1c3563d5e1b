package arch

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the import path of this module's root.
const module = "callstitch"

// rule says what a package may import besides the packages that every rule allows.
type rule struct {
	std     []string // names of the standard library; nil: all of it
	ours    []string // packages of this module; "*": all of them
	foreign []string // other modules' packages, as path.Match patterns; "*": all but the reserved
	pure    bool     // no goroutine, channel, clock, or map order
}

// pureStd is what a package may use that computes results from its arguments
// and nothing else. An allow-list: purity is what one may use.
var pureStd = []string{
	"bytes", "cmp", "container/heap", "crypto/sha256", "encoding", "encoding/binary", "encoding/hex",
	"errors", "fmt", "hash", "io", "iter", "maps", "math", "math/bits", "slices", "sort", "strconv", "strings",
	"time", "unicode", "unicode/utf16", "unicode/utf8",
}

var none = []string{}

// rules name every package of the module: one that is not here has not yet
// earned its place. Dependencies point inward, from cmd to processor/codec.
var rules = map[string]rule{
	"processor/codec":         {std: pureStd, ours: none, foreign: none, pure: true},
	"processor/call":          {std: pureStd, ours: []string{"processor/codec"}, foreign: none, pure: true},
	"processor/call/calltest": {ours: []string{"processor/call", "processor/codec"}, foreign: []string{"pgregory.net/rapid"}},
	"processor/decode": {
		std: append(slices.Clip(pureStd), "net/url"), ours: []string{"processor/call", "processor/codec"},
		foreign: none, pure: true,
	},
	"processor/digest": {std: pureStd, ours: none, foreign: none, pure: true},
	"processor/number": {
		std: append([]string{"crypto/hmac"}, pureStd...), ours: []string{"processor/call"},
		foreign: none, pure: true,
	},
	"processor/leg": {std: pureStd, ours: []string{"processor/call", "processor/codec", "processor/digest"}, foreign: none, pure: true},
	"processor/session": {
		std: pureStd, ours: []string{"processor/call", "processor/digest", "processor/leg"},
		foreign: none, pure: true,
	},
	"processor/stitch": {
		std: pureStd, ours: []string{"processor/call", "processor/codec", "processor/leg", "processor/session"},
		foreign: none, pure: true,
	},
	"schemas": {
		std:  append([]string{"context", "crypto/tls", "embed", "encoding/base64", "encoding/json", "math/big", "net", "net/http", "net/url", "sync", "sync/atomic"}, pureStd...),
		ours: []string{"internal/quote", "processor/call"},
		foreign: []string{
			"github.com/linkedin/goavro/v2", "github.com/twmb/avro", "github.com/twmb/franz-go/pkg/sr",
			"github.com/go-json-experiment/json/jsontext",
		},
	},
	"topology": {
		std: pureStd, ours: []string{"processor/call", "processor/codec", "processor/decode", "processor/number", "processor/stitch", "schemas"},
		foreign: none, pure: true,
	},
	"topology/memory": {
		std: pureStd, ours: []string{"processor/call", "topology"},
		foreign: none, pure: true,
	},
	"topology/topologytest": {
		ours:    []string{"internal/simulator", "processor/call", "processor/stitch", "schemas", "topology", "topology/memory"},
		foreign: []string{"github.com/google/go-cmp/cmp"},
	},
	"topology/kafka": {
		ours:    []string{"processor/call", "processor/codec", "processor/number", "processor/stitch", "schemas", "topology", "topology/kafka/rawlog"},
		foreign: []string{"github.com/twmb/franz-go/*", "github.com/twmb/franz-go/*/*", "github.com/twmb/franz-go/pkg/sasl/*", "github.com/prometheus/client_golang/*", "golang.org/x/sync/*", "golang.org/x/sys/unix"},
	},
	// What lies in a log is told without knowing who reads it, or why.
	"topology/kafka/rawlog": {
		std:  append([]string{"bufio", "compress/gzip", "context", "hash/crc32"}, pureStd...),
		ours: []string{"processor/call", "topology"},
		foreign: []string{
			"github.com/twmb/franz-go/pkg/kgo", "github.com/twmb/franz-go/pkg/kadm", "github.com/twmb/franz-go/pkg/kerr", "github.com/twmb/franz-go/pkg/kmsg",
			"github.com/klauspost/compress/*", "github.com/pierrec/lz4/v4",
		},
	},
	// The door: what it must prove is pure, what it delivers to is not its own.
	"internal/receive": {
		ours:    []string{"internal/receive/auth", "internal/receive/feed", "internal/receive/spool", "internal/secret", "processor/call"},
		foreign: []string{"github.com/twmb/franz-go/pkg/kgo", "github.com/twmb/franz-go/pkg/kerr", "github.com/go-json-experiment/json/jsontext", "github.com/prometheus/client_golang/*", "github.com/prometheus/client_golang/*/*", "golang.org/x/sync/*"},
	},
	"internal/receive/auth": {
		std:  append([]string{"crypto/hmac", "crypto/sha1", "crypto/subtle", "encoding/base64", "net/netip"}, pureStd...),
		ours: none, foreign: none, pure: true,
	},
	"internal/secret": {ours: none, foreign: none},
	"internal/quote":  {std: []string{"net/url", "strings", "unicode"}, ours: none, foreign: none},
	// Whom it proves anything to, it does not know.
	"internal/credential": {ours: []string{"internal/quote", "internal/secret"}, foreign: []string{"golang.org/x/oauth2", "golang.org/x/oauth2/clientcredentials"}},
	// Only tests import it.
	"internal/credential/credentialtest": {ours: none, foreign: none},
	"cmd/callstitch":                     {ours: []string{"*"}, foreign: []string{"*"}},
	"cmd/callstitch/internal/console": {
		ours:    []string{"processor/call", "processor/number", "topology"},
		foreign: []string{"github.com/prometheus/client_golang/*", "github.com/prometheus/client_golang/*/*"},
	},
	"cmd/callstitch/internal/config": {
		ours:    []string{"cmd/callstitch/internal/webhook", "internal/credential", "internal/receive", "internal/secret", "processor/call", "processor/number", "processor/stitch", "schemas", "topology", "topology/kafka"},
		foreign: []string{"github.com/goccy/go-yaml", "github.com/goccy/go-yaml/*"},
	},
	"cmd/callstitch/internal/asyncapi": {
		ours:    []string{"cmd/callstitch/internal/config", "processor/call", "schemas", "topology", "topology/kafka"},
		foreign: none,
	},
	"cmd/callstitch/internal/explain": {
		ours: []string{
			"cmd/callstitch/internal/config", "cmd/callstitch/internal/rawfile", "cmd/callstitch/internal/terminal",
			"processor/call", "processor/decode", "processor/number", "processor/stitch", "schemas", "topology", "topology/kafka", "topology/memory",
		},
		foreign: none,
	},
	"cmd/callstitch/internal/rejects": {
		std: append([]string{"encoding/json", "regexp", "sync/atomic", "text/tabwriter"}, pureStd...),
		ours: []string{
			"cmd/callstitch/internal/terminal", "processor/call", "processor/number", "topology",
		},
		foreign: []string{"github.com/go-json-experiment/json/jsontext"},
	},
	"cmd/callstitch/internal/compare": {
		ours:    []string{"processor/call", "processor/number", "schemas", "topology", "topology/kafka"},
		foreign: []string{"github.com/go-json-experiment/json/jsontext", "golang.org/x/sync/errgroup"},
	},
	"cmd/callstitch/internal/rawfile": {
		ours: []string{"processor/call", "topology"}, foreign: []string{"github.com/go-json-experiment/json/jsontext"},
	},
	// It shares nothing with the door that it posts to: a mistake made twice would not show.
	"cmd/callstitch/internal/webhook":  {ours: none, foreign: none},
	"cmd/callstitch/internal/terminal": {ours: []string{"processor/call"}, foreign: []string{"golang.org/x/term"}},
	// What waits on disk is anybody's: the spool knows neither who sends nor who takes.
	"internal/receive/spool": {
		std:  append([]string{"context", "crypto/rand", "hash/crc32", "log/slog", "os", "path/filepath", "sync", "syscall"}, pureStd...),
		ours: none, foreign: none,
	},
	// A feed knows nothing of where its frames go.
	"internal/receive/feed": {ours: none, foreign: []string{"github.com/coder/websocket", "golang.org/x/sync/errgroup"}},
	// The simulator shares nothing with what is tested with it: a mistake made twice would not show.
	"internal/simulator": {ours: none, foreign: none},
	// Only tests: what they kill is the built program.
	"cmd/callstitch/internal/faults": {ours: none, foreign: none},
	// The analyst reads what others read: it is Python, and its test knows nothing of the domain.
	"deploy/analytics":                 {ours: none, foreign: none},
	"deploy/mirror":                    {ours: none, foreign: none},
	"deploy/monitoring":                {ours: none, foreign: []string{"github.com/goccy/go-yaml"}},
	"deploy/localkafka":                {ours: none, foreign: none},
	"deploy/localkafka/cmd/localkafka": {ours: []string{"deploy/localkafka"}, foreign: none},
	"internal/arch":                    {ours: none, foreign: none},
	// Only tests import it.
	"internal/docpage": {ours: none, foreign: none},
}

// askBroker asks the broker what no reader and no flag of the program tells.
const askBroker = "cmd/callstitch/internal/faults/broker_test.go"

// benchReceive measures the door beside what it is made of.
const benchReceive = "cmd/callstitch/internal/faults/bench_receive_test.go"

// reserved are packages that only some may import, in tests too.
var reserved = []struct {
	pattern string
	owners  []string // packages, or single files
	tests   bool     // any test may
	reason  string
}{
	{"github.com/linkedin/goavro/v2", []string{"schemas"}, false, "schemas alone turns values into Avro"},
	{"github.com/twmb/franz-go/pkg/kgo", []string{"topology/kafka", "topology/kafka/rawlog", "internal/receive", askBroker, benchReceive}, false, "topology/kafka alone speaks to brokers, and the door, which writes to a source"},
	{"github.com/twmb/franz-go/pkg/kadm", []string{"topology/kafka", "topology/kafka/rawlog", askBroker}, false, "topology/kafka alone speaks to brokers"},
	{"github.com/twmb/franz-go/pkg/kmsg", []string{"topology/kafka", "topology/kafka/rawlog", "internal/receive/producer_test.go"}, false, "topology/kafka alone speaks to brokers"},
	{"github.com/twmb/franz-go/pkg/kfake", []string{"cmd/callstitch/demo.go"}, true, "a fake broker is for the demo and tests"},
	{"github.com/twmb/franz-go/pkg/sr/srfake", []string{"cmd/callstitch/demo.go"}, true, "a fake registry is for the demo and tests"},
	{module + "/processor/call/calltest", none, true, "calltest is for tests"},
	{module + "/topology/topologytest", none, true, "topologytest is for tests"},
	{module + "/deploy/localkafka", []string{"deploy/localkafka/cmd/localkafka"}, true, "a local broker is for tests"},
	{module + "/internal/docpage", none, true, "docpage is for tests"},
	{module + "/internal/credential/credentialtest", none, true, "credentialtest is for tests"},
	{"testing", []string{"topology/topologytest", "deploy/localkafka", "internal/docpage", "internal/credential/credentialtest"}, true, "a program does not test itself"},
}

// checkImports holds a file's imports against the rules.
func checkImports(f *file) []finding {
	r, known := rules[f.pkg]
	if !known {
		return []finding{f.at(f.syntax.Name, "package %s has no rule in internal/arch: which noun is it, and what may it import?", f.pkg)}
	}
	var found []finding
	for _, spec := range f.syntax.Imports {
		imported := importPath(spec)
		if reason := f.reservedFor(imported); reason != "" {
			found = append(found, f.at(spec, "%s imports %s: %s", f.pkg, imported, reason))
			continue
		}
		if f.test {
			continue
		}
		if !r.allows(imported) {
			found = append(found, f.at(spec, "%s may not import %s (internal/arch/imports.go)", f.pkg, imported))
		}
	}
	return found
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has read it
	return p
}

// moduleOf is the module among decided that an imported package of another
// site belongs to; empty when none does.
func moduleOf(imported string, decided []string) (longest string) {
	for _, m := range decided {
		if (imported == m || strings.HasPrefix(imported, m+"/")) && len(m) > len(longest) {
			longest = m
		}
	}
	return longest
}

// isForeign reports whether a package is another site's: its path begins with a host.
func isForeign(imported string) bool {
	host, _, _ := strings.Cut(imported, "/")
	return strings.Contains(host, ".")
}

// reservedFor is the reason why this file may not import a reserved package.
func (f *file) reservedFor(imported string) string {
	for _, r := range reserved {
		if r.pattern != imported || (f.test && r.tests) {
			continue
		}
		if !slices.Contains(r.owners, f.pkg) && !slices.Contains(r.owners, f.path) {
			return r.reason
		}
	}
	return ""
}

func (r rule) allows(imported string) bool {
	if inner, ours := strings.CutPrefix(imported, module+"/"); ours {
		return matches(r.ours, inner)
	}
	if !isForeign(imported) {
		return r.std == nil || slices.Contains(r.std, imported)
	}
	return matches(r.foreign, imported)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok || p == "*"
	})
}
