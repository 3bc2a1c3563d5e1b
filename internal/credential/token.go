package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TokenFromFile is the bearer token that a file holds, which somebody else replaces
// before it ends.
func TokenFromFile(path string) (Source, error) {
	read, err := FromFile(path)
	if err != nil {
		return nil, err
	}
	get := func(ctx context.Context) (string, error) {
		token, err := read(ctx)
		if err == nil {
			err = checkToken(token)
		}
		if err != nil {
			return "", fmt.Errorf("%s %w", path, err)
		}
		return token, nil
	}
	_, err = get(context.Background())
	return get, err
}

// checkToken holds a token against the form that one has (RFC 6750 §2.1). What has
// another, such as the whole answer that a token came in, would be refused without a
// reason.
func checkToken(token string) error {
	if token == "" || strings.ContainsFunc(token, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-._~+/=", r)
	}) {
		return errors.New("holds no bearer token, which has no other characters than a-z A-Z 0-9 - . _ ~ + / =")
	}
	return nil
}

// Ends is when a token says of itself that it ends. Many do: they are JSON web tokens.
// Whether that is true is not looked at, nor may it: only who takes the token knows.
func Ends(token string) (at time.Time, says bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return at, false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return at, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Exp <= 0 || claims.Exp > latest {
		return at, false
	}
	return time.Unix(int64(claims.Exp), 0).UTC(), true
}

// latest is the year 9999 in Unix time: what is beyond is no date.
const latest = 253402300799
