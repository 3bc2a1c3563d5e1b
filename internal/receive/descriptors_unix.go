//go:build unix

package receive

import "syscall"

// descriptorsMax is how many files and sockets this process can have open.
func descriptorsMax() (n int, ok bool) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 0, false
	}
	return int(min(files.Cur, 1<<30)), true
}
