package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// clocks are what the time package has besides arithmetic.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// orderMark, in a comment on the line or the one above, gives the reason why
// a map's order does not reach a result.
const orderMark = "order:"

// checkPure finds goroutines, channels and clocks in a package that may have none.
func checkPure(f *file) []finding {
	if f.test || !rules[f.pkg].pure {
		return nil
	}
	var found []finding
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if what := impure(n); what != "" {
			found = append(found, f.at(n, "%s has %s: concurrency and time belong in topology/kafka", f.pkg, what))
		}
		return true
	})
	return found
}

func impure(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return "a channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel"
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
			return "a clock (time." + n.Sel.Name + ")"
		}
	}
	return ""
}

// checkOrder finds loops over maps in a pure package. info types the file.
func checkOrder(f *file, info *types.Info) []finding {
	if f.test || !rules[f.pkg].pure {
		return nil
	}
	reasons := f.linesWith(orderMark)
	var found []finding
	report := func(n ast.Node, what string) {
		line := f.fset.Position(n.Pos()).Line
		if !reasons[line] && !reasons[line-1] {
			found = append(found, f.at(n, "%s %s in no fixed order: sort, or say why it does not matter in a comment // %s …", f.pkg, what, orderMark))
		}
	}
	var sorted []ast.Expr // arguments of slices.Sorted
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if t := info.TypeOf(n.X); t != nil && isMap(t) {
				report(n, "loops over a map")
			}
		case *ast.CallExpr:
			switch name := calledFrom(info, n); {
			case strings.HasPrefix(name, "slices.Sorted"):
				sorted = append(sorted, n.Args...)
			case slices.Contains([]string{"maps.All", "maps.Keys", "maps.Values"}, name) && !slices.Contains(sorted, ast.Expr(n)):
				report(n, "takes "+name)
			}
		}
		return true
	})
	return found
}

func isMap(t types.Type) bool {
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// calledFrom names a called function of another package, as in "maps.Keys".
func calledFrom(info *types.Info, call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	obj := info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil {
		return ""
	}
	return fmt.Sprintf("%s.%s", obj.Pkg().Path(), obj.Name())
}
