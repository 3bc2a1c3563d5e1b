package config

import (
	"fmt"
	"os"

	"callstitch/internal/secret"
	"callstitch/processor/number"
)

// Form is how records show numbers, with the key from its file as that is now. It is asked
// for once, when a program that writes records starts: tokens of two keys cannot be joined,
// so a key does not change under a program that runs.
func (e *Emit) Form() (f number.Form, err error) {
	f.Mode, _ = number.ParseMode(e.Numbers) // validate has seen it
	if f.Mode != number.HMAC {
		return f, nil
	}
	if f.Key, err = numbersKey(e.NumbersKeyFile); err != nil {
		return number.Form{}, fmt.Errorf("use emit.numbers_key_file: %w", err)
	}
	return f, nil
}

func numbersKey(path string) (number.Key, error) {
	file, err := secret.Open(path)
	if err != nil {
		return number.Key{}, err
	}
	values := file.Values()
	if len(values) > 1 {
		return number.Key{}, fmt.Errorf("%s has two lines, and tokens are made with one key", path)
	}
	key, err := number.NewKey(values[0])
	if err != nil {
		return number.Key{}, fmt.Errorf("%s %w", path, err)
	}
	return key, nil
}

// keys are the key of tokens, where there are tokens.
func (e *Emit) keys() []Credential {
	if e.NumbersKeyFile == "" {
		return nil
	}
	_, err := numbersKey(e.NumbersKeyFile)
	return []Credential{{Key: "emit.numbers_key_file", File: e.NumbersKeyFile, Err: err}}
}

// Exposed reports whether everybody on the machine may read the key of tokens.
func (e *Emit) Exposed() bool {
	const others = 0o004
	info, err := os.Stat(e.NumbersKeyFile)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&others != 0
}
