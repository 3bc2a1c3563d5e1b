package arch

import (
	"go/ast"
	"slices"
)

// runtimes drive topology.Worker, which alone decides the order of a transaction:
// what is proven under the adversary is what production runs.
var runtimes = []string{"topology/kafka", "topology/memory", "topology/topologytest"}

// ownLoop are what a runtime would call that kept an order of its own.
var ownLoop = []string{"Sent", "Tick", "Answers", "EnvelopeFor"}

// checkOneLoop finds a runtime that does what is the Worker's to do.
func checkOneLoop(f *file) []finding {
	if f.test || !slices.Contains(runtimes, f.pkg) {
		return nil
	}
	var found []finding
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(ownLoop, s.Sel.Name) {
			found = append(found, f.at(n, "%s uses %s: the order of a transaction is topology.Worker's", f.pkg, s.Sel.Name))
		}
		return true
	})
	return found
}
