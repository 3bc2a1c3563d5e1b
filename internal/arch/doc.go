// Package arch keeps the design's rules about the code as tests: which package
// may import what, that the domain is pure, that no map's order reaches a
// result, that providers are named only where they are the subject, that the
// tree holds no unfinished work, and that the documents' links, and the marks of
// promises and pitfalls in comments, lead somewhere.
//
// A finding names a file and line and the rule it breaks, with its reason.
// Every rule also has a test that shows it fire (arch_test.go).
package arch
