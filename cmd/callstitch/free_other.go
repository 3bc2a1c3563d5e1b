//go:build !unix

package main

// freeBytes is how much may be written to a directory's disk, where that is known.
func freeBytes(string) (n int64, known bool) { return 0, false }
