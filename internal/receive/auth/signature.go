package auth

import "crypto/subtle"

// A Signature is a way in which a provider signs what it posts.
type Signature struct {
	Header string // has the signature
	sign   func(key string, body []byte) string
}

// Verify reports whether the body, byte for byte as it came, was signed so with one of
// the keys. An empty key signs nothing.
func (s *Signature) Verify(signature string, body []byte, keys []string) bool {
	found := 0
	for _, key := range keys {
		if key != "" {
			found |= subtle.ConstantTimeCompare([]byte(signature), []byte(s.sign(key, body)))
		}
	}
	return found == 1
}

// Sign is the header's value for a body.
func (s *Signature) Sign(key string, body []byte) string { return s.sign(key, body) }
