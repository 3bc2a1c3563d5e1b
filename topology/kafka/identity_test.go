package kafka

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentityIsKept(t *testing.T) {
	cfg := Config{StateDir: t.TempDir()}
	cfg.ApplicationID = "app"
	first, err := newIdentity(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newIdentity(&cfg); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second process took the same state directory: %v", err)
	}
	first.Close()
	second, err := newIdentity(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.instance != first.instance || second.random {
		t.Errorf("the name changed from %s to %s", first.instance, second.instance)
	}
	if want := "app-" + first.instance + "-0"; second.worker("app") != want {
		t.Errorf("worker name %s, want %s", second.worker("app"), want)
	}
}

func TestIdentityWithoutStateDir(t *testing.T) {
	cfg := Config{}
	a, err := newIdentity(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newIdentity(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !a.random || a.instance == b.instance {
		t.Errorf("random names %q and %q", a.instance, b.instance)
	}
	cfg.InstanceID = "pod-0"
	if id, err := newIdentity(&cfg); err != nil || id.instance != "pod-0" || id.random {
		t.Errorf("configured name: %+v, %v", id, err)
	}
}

func TestIdentityEmptyFileIsReplaced(t *testing.T) {
	cfg := Config{StateDir: t.TempDir()}
	cfg.ApplicationID = "app"
	dir := filepath.Join(cfg.StateDir, "app")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "instance-id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := newIdentity(&cfg)
	if err != nil || id.instance == "" {
		t.Errorf("%+v, %v", id, err)
	}
}
