//go:build unix

package main

import "golang.org/x/sys/unix"

// freeBytes is how much may be written to a directory's disk, where that is known.
func freeBytes(dir string) (n int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(uint64(s.Bavail) * uint64(s.Bsize)), true
}
