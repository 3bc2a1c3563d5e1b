package arch

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// finding is a place that breaks a rule.
type finding struct {
	pos  token.Position
	text string
}

func (f finding) String() string { return f.pos.String() + ": " + f.text }

// file is one Go file of the module.
type file struct {
	path   string // from the module's root, with slashes
	pkg    string // its folder
	test   bool
	fset   *token.FileSet
	syntax *ast.File
}

func (f *file) at(n ast.Node, format string, args ...any) finding {
	return finding{f.fset.Position(n.Pos()), fmt.Sprintf(format, args...)}
}

// linesWith are the lines whose comments hold the mark and something after it.
func (f *file) linesWith(mark string) map[int]bool {
	lines := map[int]bool{}
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			if _, reason, ok := strings.Cut(c.Text, mark); ok && strings.TrimSpace(reason) != "" {
				lines[f.fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

// built reports whether the file is part of a build without tags of its own.
func (f *file) built() bool {
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil && c.Pos() < f.syntax.Package {
				return expr.Eval(func(string) bool { return false })
			}
		}
	}
	return true
}

func parse(fset *token.FileSet, name string, src []byte) (*file, error) {
	syntax, err := parser.ParseFile(fset, name, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &file{
		path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		fset: fset, syntax: syntax,
	}, nil
}

// walk calls visit with every file of the module whose name ends in ext. It
// passes over testdata, hidden folders, and modules nested in this one.
func walk(root, ext string, visit func(name string, content []byte) error) error {
	return filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || isModule(full)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(full, ext) {
			return nil
		}
		content, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(rel), content)
	})
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// typesOf checks the non-test files of one package. Imports are read from the
// export data that the go command has in its build cache.
func typesOf(fset *token.FileSet, pkg string, files []*file, exports map[string]string) (*types.Info, error) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	open := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	}
	var syntax []*ast.File
	for _, f := range files {
		if f.pkg == pkg && !f.test && f.built() {
			syntax = append(syntax, f.syntax)
		}
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	_, err := conf.Check(module+"/"+pkg, fset, syntax, info)
	return info, err
}

// exportData has the go command compile the packages and what they import,
// and returns where each one's export data is.
func exportData(root string, packages ...string) (map[string]string, error) {
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, packages...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(packages, " "), err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, where, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			exports[name] = where
		}
	}
	return exports, nil
}
