//go:build !unix

package kafka

import (
	"errors"
	"io"
)

// lockFile has no lock that would end with the process on these systems.
func lockFile(string) (io.Closer, error) {
	return nil, errors.New("state_dir needs a Unix system, set instance_id instead")
}
