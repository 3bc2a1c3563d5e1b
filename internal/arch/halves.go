package arch

import (
	"go/ast"
	"go/types"
	"path"
	"slices"
	"strings"
)

// twoHalves is one package that does two things with the same brokers. What both stand on
// is most of what either knows of them, and as packages it would be a face of some 190
// names; so the halves stay together, and are held apart file by file. Files of neither
// half are the ground.
const twoHalves = "topology/kafka"

// half is one of them.
type half struct {
	does  string
	files []string // without .go
}

var halves = []half{
	{"runs", []string{
		"ahead", "assign", "backlog", "balancer", "byhand", "fence", "fetched", "held", "identity", "identity_other", "identity_unix", "input",
		"member", "metrics", "orphans", "partition", "patience", "pulse", "recreated", "report", "restore", "run", "session", "stall", "status",
		"threads", "tick", "transaction", "worker",
	}},
	// It works while nothing runs, and asks no instance.
	{"looks from outside", []string{
		"abort", "await", "bookmark", "drop", "examine", "examine_target", "generation", "idle", "leftopen", "replay", "replicas",
		"reset", "resetting", "seek",
	}},
}

// halfOf is the half that a file belongs to; nil: the ground.
func halfOf(name string) *half {
	for i := range halves {
		if slices.Contains(halves[i].files, strings.TrimSuffix(path.Base(name), ".go")) {
			return &halves[i]
		}
	}
	return nil
}

// checkHalves finds the first thing of the other half that a file uses, or of each half
// where it is of the ground. info types the file.
func checkHalves(f *file, info *types.Info) []finding {
	if f.test || f.pkg != twoHalves {
		return nil
	}
	var found []finding
	allowed := []*half{nil, halfOf(f.path)}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		if !ok || info.Uses[name] == nil {
			return true
		}
		defined := f.fset.Position(info.Uses[name].Pos()).Filename
		if h := halfOf(defined); path.Dir(defined) == f.pkg && !slices.Contains(allowed, h) {
			found = append(found, f.at(name, "%s uses %s of %s, which %s: what both halves need stands in a file of neither, and each file of one is named in internal/arch/halves.go",
				path.Base(f.path), name.Name, path.Base(defined), h.does))
			allowed = append(allowed, h)
		}
		return true
	})
	return found
}
