//go:build !unix

package receive

// descriptorsMax is not known on these systems.
func descriptorsMax() (n int, ok bool) { return 0, false }
