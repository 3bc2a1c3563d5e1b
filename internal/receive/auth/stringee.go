package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
)

// Stringee signs a post with the project's signing secret key:
// base64(HMAC-SHA1(key, body)). There is no time in it, so an old post can be
// sent again; it is a repetition then, and is dropped as one.
// https://developer.stringee.com/docs/validating-requests-are-coming-from-stringee
var Stringee = Signature{Header: "X-Stringee-Signature", sign: signStringee}

func signStringee(key string, body []byte) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write(body) // never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
