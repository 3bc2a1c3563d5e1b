package kafka

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// identity is the name of an instance. Kafka knows its worker by it, as
// transactional.id and group.instance.id, so no two live instances may share
// one (K12).
type identity struct {
	instance string
	random   bool // not stable: a crash costs transaction and session time-outs
	lock     io.Closer
}

// newIdentity takes the configured name, else the one kept in the state
// directory, else a random one. Close releases it.
func newIdentity(cfg *Config) (identity, error) {
	if cfg.InstanceID != "" {
		return identity{instance: cfg.InstanceID}, nil
	}
	if cfg.StateDir == "" {
		return identity{instance: randomName(), random: true}, nil
	}
	return keptIdentity(filepath.Join(cfg.StateDir, cfg.ApplicationID))
}

// worker is the name of the instance's worker. It ends in a number since an instance
// could have several: whoever upgrades from there comes back as its first.
func (id identity) worker(application string) string {
	return application + "-" + id.instance + "-0"
}

func (id identity) Close() error {
	if id.lock == nil {
		return nil
	}
	return id.lock.Close()
}

// keptIdentity reads the name kept in a directory, making one the first time.
// Its lock keeps a second process from using the name while this one lives.
func keptIdentity(dir string) (identity, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return identity{}, fmt.Errorf("make the state directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return identity{}, fmt.Errorf("lock the state directory %s: %w: another process uses it, give this one another state_dir", dir, err)
	}
	path := filepath.Join(dir, "instance-id")
	kept, err := os.ReadFile(path)
	name := strings.TrimSpace(string(kept))
	if errors.Is(err, os.ErrNotExist) || err == nil && name == "" {
		name = randomName()
		err = os.WriteFile(path, []byte(name+"\n"), 0o600)
	}
	if err != nil {
		return identity{}, errors.Join(fmt.Errorf("keep the instance id: %w", err), lock.Close())
	}
	return identity{instance: name, lock: lock}, nil
}

func randomName() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
