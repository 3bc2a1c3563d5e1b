package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/internal/credential/credentialtest"
)

// withCertificate is a configuration with a client certificate that ends after a while.
func withCertificate(t *testing.T, a *credentialtest.Authority, life time.Duration) *config.Config {
	t.Helper()
	t.Chdir(t.TempDir())
	cert, key := a.Issue(t, "app", time.Now().Add(life))
	credentialtest.Write(t, "tls.crt", cert)
	credentialtest.Write(t, "tls.key", key)
	credentialtest.Write(t, "secret", []byte("hush"))
	cfg := config.Default()
	cfg.Kafka.TLS = config.TLS{CertFile: "tls.crt", KeyFile: "tls.key"}
	return &cfg
}

const day = 24 * time.Hour

// TestExaminedCredentials has certificates that end sooner and later, tokens, and an
// endpoint that gives none.
func TestExaminedCredentials(t *testing.T) {
	a := credentialtest.NewAuthority(t, "one")
	for _, test := range []struct {
		life, left time.Duration
		want       string
	}{
		{90 * day, -time.Hour, "kafka.tls.cert_file tls.crt can be used: it ended at"},
		{90 * day, 13 * day, "! kafka.tls.cert_file tls.crt: it ends at"},
		{90 * day, 15 * day, "kafka.tls.cert_file tls.crt can be used\n"},
		{day, 4 * time.Hour, "! kafka.tls.cert_file tls.crt: it ends at"},
		{day, 6 * time.Hour, "kafka.tls.cert_file tls.crt can be used\n"},
	} {
		a.Life = test.life
		if got := examined(t, withCertificate(t, a, test.left)); !strings.HasPrefix(got, test.want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%v of %v: got %s, want %s", test.left, test.life, got, test.want)
		}
	}
	cfg := withCertificate(t, a, day)
	_, another := a.Issue(t, "app", time.Now().Add(time.Hour))
	credentialtest.Write(t, "tls.key", another)
	if got, want := examined(t, cfg), "kafka.tls.cert_file tls.crt can be used: tls.key holds no PEM key of the certificate in tls.crt"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}

	*cfg = config.Default()
	credentialtest.Write(t, "token", []byte(credentialtest.NewIssuer(t, -time.Minute).Token("app")))
	cfg.Kafka.SASL.OAuth.TokenFile = "token"
	if got, want := examined(t, cfg), "kafka.sasl.oauth.token_file token can be used: it ended at"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}

	issuer := credentialtest.NewIssuer(t, time.Minute)
	server := httptest.NewUnstartedServer(issuer)
	server.TLS = a.Server(t, tls.NoClientCert)
	server.StartTLS()
	defer server.Close()
	credentialtest.Write(t, "ca.pem", a.PEM)
	cfg.Kafka.SASL.OAuth = config.OAuth{TokenURL: server.URL, ClientID: "app", ClientSecretFile: "secret", CAFile: "ca.pem"}
	if got, want := examined(t, cfg), "kafka.sasl.oauth.token_url gives a token: fetch a token from "+server.URL+": status 401"; !strings.Contains(got, want) || strings.Contains(got, "hush") {
		t.Errorf("got %s, want %s", got, want)
	}
	issuer.Know("app", "hush")
	if got := examined(t, cfg); !strings.HasSuffix(got, "kafka.sasl.oauth.token_url gives a token\n") {
		t.Errorf("got %s", got)
	}
}

// TestExaminedKeyOfNumbers has a key that can be used, one that others may read, one that is
// too short, and none.
func TestExaminedKeyOfNumbers(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg := config.Default()
	cfg.Emit.Numbers, cfg.Emit.NumbersKeyFile = "hmac", "key"
	const usable = "emit.numbers_key_file key can be used"
	for _, test := range []struct {
		content string
		mode    os.FileMode
		want    string
	}{
		{strings.Repeat("k", 32), 0o600, usable + "\n"},
		{strings.Repeat("k", 32), 0o440, usable + "\n"},
		{strings.Repeat("k", 32), 0o644, usable + "\n! everybody on this machine may read key, and with it find whose each token is: chmod o-r key\n"},
		{strings.Repeat("k", 31), 0o600, usable + ": key has a key of 31 bytes, and the least is 32: make one with openssl rand -hex 32\n"},
		{"", 0o600, usable + ": key holds no secret\n"},
	} {
		_ = os.Remove("key")
		if err := os.WriteFile("key", []byte(test.content), test.mode); err != nil {
			t.Fatal(err)
		}
		if got := examined(t, &cfg); got != test.want {
			t.Errorf("%v: got %s, want %s", test.mode, got, test.want)
		}
	}
}

// examined is what is found, a line for each, without the line of a client's authorities that hold.
func examined(t *testing.T, cfg *config.Config) string {
	t.Helper()
	var b strings.Builder
	for _, f := range examineCredentials(t.Context(), cfg) {
		switch {
		case f.Err != nil:
			b.WriteString(f.What + ": " + f.Err.Error())
		case f.Advice != "":
			b.WriteString("! " + f.Advice)
		default:
			b.WriteString(f.What)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestWatchedCredentials: what is wrong is said when it begins, and then once an hour.
func TestWatchedCredentials(t *testing.T) {
	a := credentialtest.NewAuthority(t, "one")
	cfg := withCertificate(t, a, time.Hour)
	cfg.Kafka.SASL.PasswordFile, cfg.Kafka.SASL.OAuth.TokenFile = "secret", "token"
	synctest.Test(t, func(t *testing.T) {
		issue := func(life time.Duration) {
			cert, key := a.Issue(t, "app", time.Now().Add(life))
			credentialtest.Write(t, "tls.crt", cert)
			credentialtest.Write(t, "tls.key", key)
		}
		issue(expirySoon + 30*time.Minute)
		credentialtest.Write(t, "token", []byte(credentialtest.NewIssuer(t, 90*day).Token("app")))
		var log bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		metrics := prometheus.NewPedanticRegistry()
		go watchCredentials(ctx, cfg, slog.New(slog.NewTextHandler(&log, nil)), metrics)
		lines := func(after time.Duration, want int, what string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			text := log.String()
			log.Reset()
			if strings.Count(text, "\n") != want || !strings.Contains(text, what) || strings.Contains(text, "hush") {
				t.Errorf("got %q, want %d lines of %q", text, want, what)
			}
		}
		lines(29*time.Minute, 0, "")
		lines(3*time.Minute, 1, "it ends at")
		lines(3*time.Hour, 3, "it ends at")
		credentialtest.Write(t, "secret", []byte("\n"))
		lines(2*time.Minute, 1, "secret holds no secret")
		credentialtest.Write(t, "secret", []byte("new"))
		issue(30 * time.Minute)
		lines(20*time.Minute, 1, "it ends at")
		credentialtest.Write(t, "token", []byte("opaque")) // which does not say when it ends
		lines(2*time.Hour, 2, "it ended at")
		if found, err := metrics.Gather(); err != nil || len(found) != 1 || len(found[0].GetMetric()) != 1 || !strings.Contains(found[0].String(), `value:"kafka.tls.cert_file"`) || found[0].GetMetric()[0].GetGauge().GetValue() > float64(time.Now().Unix()) {
			t.Errorf("the metric is %v, %v", found, err)
		}
		stop()
		synctest.Wait()
	})
}
