// Package credential has what the program's clients prove themselves with, and whom they
// trust: certificates, passwords and tokens from files, which are read again when they
// change, and tokens that are fetched. None of them is in an error of this package.
package credential

import (
	"context"

	"callstitch/internal/secret"
)

// Source is asked for a password, or a token, whenever one is needed.
type Source func(context.Context) (string, error)

// FromFile is the secret that a file holds. Of two the first is said: whoever takes
// secrets takes both, who logs in can say one.
func FromFile(path string) (Source, error) {
	file, err := secret.Open(path)
	if err != nil {
		return nil, err
	}
	return func(context.Context) (string, error) { return file.Values()[0], nil }, nil
}
