package decode

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/processor/call"
)

// TestFields: each provider's file lists what it reads, and nothing else. What it forgot
// would be absent from all records.
func TestFields(t *testing.T) {
	for _, p := range call.Providers() {
		read := namesRead(t, p.String()+".go")
		if p == call.Opentact {
			for _, state := range opentactStates {
				read[state.at] = true
			}
			delete(read, "") // one state has no instant
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(read)), providers[p].fields); diff != "" {
			t.Errorf("%s (-read +listed):\n%s", p, diff)
		}
	}
}

// namesRead are the names that a file gives to get and either, and to snapshot, which
// gives them to get.
func namesRead(t *testing.T, file string) map[string]bool {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for n := range ast.Preorder(syntax) {
		called, ok := n.(*ast.CallExpr)
		if !ok || !slices.Contains([]string{"get", "either", "snapshot"}, nameOf(called.Fun)) {
			continue
		}
		for _, arg := range called.Args {
			if literal, ok := arg.(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(literal.Value)
				read[name] = true
			}
		}
	}
	return read
}

func nameOf(function ast.Expr) string {
	switch f := function.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// TestFieldOf: every field is found by its name, and nothing else is.
func TestFieldOf(t *testing.T) {
	for f, name := range fields[1:] {
		if got := fieldOf(hash([]byte(name)), []byte(name)); got != field(f+1) {
			t.Errorf("%s is field %d, want %d", name, got, f+1)
		}
		if other := name + "s"; !slices.Contains(fields, other) && fieldOf(hash([]byte(name)), []byte(other)) != 0 {
			t.Errorf("%s is a field", other)
		}
	}
}
