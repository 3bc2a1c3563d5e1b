package config

import (
	"os"
	"testing"
)

// Secrets are in files, and never in what is shown.
func TestSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("password", []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Kafka.SASL = SASL{"scram-sha-256", "reader", "password"}
	cfg.Registry.URL = "https://user:s3cret@one:8081, http://two:8081"
	cfg.Registry.Username, cfg.Registry.PasswordFile = "reader", "password"
	if problems := cfg.validate(0); problems != nil {
		t.Fatal(problems)
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		t.Fatal(err)
	}
	security, err := cfg.Kafka.security()
	if err != nil || security.Password != "s3cret" || runtime.Registry.Password != "s3cret" {
		t.Errorf("the passwords are not read: %v", err)
	}
	if got, want := cfg.Registry.Shown(), "https://one:8081,http://two:8081"; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
	cfg.Registry.CAFile = "password"
	if _, err := cfg.Runtime(); err == nil {
		t.Error("a password is taken for a certificate")
	}
	cfg.Kafka.SASL.Mechanism = "plain"
	if problems := cfg.validate(0); len(problems) != 1 || problems[0].Key != "kafka.sasl.mechanism" {
		t.Errorf("a password would go over the wire as it is: %v", problems)
	}
}
