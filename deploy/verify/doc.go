// Package verify reads what is deployed with the readers of the tools that
// will read it. It is a module of its own, because their dependencies are not
// the program's; `make test` runs it.
package verify
