package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// keptToken is a file that holds the token of the session that was begun last,
// readable to its owner alone.
type keptToken struct {
	path string // empty: nothing is kept
	of   string // whose it is: a token is shown to nobody else
}

// tokenFile is what the file holds.
type tokenFile struct {
	Of    string `json:"of"`
	Token string `json:"token"`
}

func keepToken(dir, name, of string) keptToken {
	if dir == "" {
		return keptToken{}
	}
	return keptToken{filepath.Join(dir, "feed-"+url.PathEscape(name)+".json"), of}
}

// read returns the token, empty where none was kept for this account.
func (k keptToken) read() (string, error) {
	if k.path == "" {
		return "", nil
	}
	text, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the session that was kept: %w", err)
	}
	var kept tokenFile
	if json.Unmarshal(text, &kept) != nil || kept.Of != k.of {
		return "", nil // torn, or of another account: as good as none
	}
	return kept.Token, nil
}

func (k keptToken) write(token string) error {
	if k.path == "" {
		return nil
	}
	if err := k.replace(token); err != nil {
		return fmt.Errorf("keep the session: %w", err)
	}
	return nil
}

// replace writes another file and renames it, so that there is always a whole one.
func (k keptToken) replace(token string) error {
	text, err := json.Marshal(tokenFile{k.of, token})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return err
	}
	next, err := os.OpenFile(k.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	if err := errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(k.path+".new", k.path)
}

func (k keptToken) forget() error {
	if k.path == "" {
		return nil
	}
	if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the session: %w", err)
	}
	return nil
}
