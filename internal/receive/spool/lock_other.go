//go:build !unix

package spool

import (
	"errors"
	"io"
)

// lockFile has no lock that would end with the process on these systems, and no way to
// make a new file's name durable.
func lockFile(string) (io.Closer, error) {
	return nil, errors.New("a spool needs a Unix system")
}
