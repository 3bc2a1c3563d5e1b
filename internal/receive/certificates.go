package receive

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"callstitch/internal/secret"
)

// certificates are what the door shows, and whom it trusts. The files are read again
// when they change, for connections that come then.
type certificates struct {
	kept  *secret.Kept[*tls.Config]
	shown atomic.Pointer[tls.Config] // last
	log   *slog.Logger
	told  rarely
}

func openCertificates(files TLS, log *slog.Logger) (*certificates, error) {
	paths := []string{files.CertFile, files.KeyFile}
	if files.ClientCAFile != "" {
		paths = append(paths, files.ClientCAFile)
	}
	kept, err := secret.Keep(files.load, paths...)
	if err != nil {
		return nil, err
	}
	c := &certificates{kept: kept, log: log}
	c.now()
	return c, nil
}

// server is the configuration of a server, which takes the one of now for each client.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now(), nil },
	}
}

// now is the configuration of the files as they are, or of what was read last: a
// certificate and its key change one after the other.
func (c *certificates) now() *tls.Config {
	current, stale := c.kept.Now()
	if before := c.shown.Swap(current); before != nil && before != current { // nil as it opens
		c.log.Info("certificates were read again")
	}
	if stale != nil && c.told.now() {
		c.log.Warn("certificates are not read again; those read before go on", "error", stale)
	}
	return current
}

func (t *TLS) load() (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the door's certificate: %w", err)
	}
	out := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{own},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if t.ClientCAFile == "" {
		return out, nil
	}
	authorities, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of clients: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(authorities) {
		return nil, errors.New("the file of the clients' authorities holds no PEM certificate")
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven // endpoints that ask for one refuse who gives none
	return out, nil
}
