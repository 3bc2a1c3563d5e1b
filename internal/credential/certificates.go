package credential

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"callstitch/internal/secret"
)

// Files name what connections with TLS are made of, all PEM. Each may be empty, but a
// certificate and its key belong together.
type Files struct {
	CA   string // the authorities to trust; empty trusts the system's
	Cert string // what a client shows of itself, with the certificates between it and its authority
	Key  string
}

// Certificates are the configuration of TLS clients. The files are read again when they
// change, for connections that are made then. It is safe for concurrent use.
type Certificates struct{ kept *secret.Kept[*tls.Config] }

// Open reads the files.
func Open(files Files) (*Certificates, error) {
	var paths []string
	for _, path := range []string{files.CA, files.Cert, files.Key} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	kept, err := secret.Keep(files.load, paths...)
	return &Certificates{kept}, err
}

// Config is the configuration of now, and the same one until a file has changed: do not
// modify it. While the files cannot be used it is what they were before, for a certificate
// and its key change one after the other.
func (c *Certificates) Config() *tls.Config {
	current, _ := c.kept.Now()
	return current
}

func (f Files) load() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, err
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no PEM certificate", f.CA)
		}
	}
	if f.Cert != "" {
		own, err := f.pair()
		if err != nil {
			return nil, err
		}
		// Whoever asks gets it. By itself a client shows none that the server's list of
		// authorities has no place for, and what is then missing is nowhere said.
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return out, nil
}

// pair is the certificate and its key.
func (f Files) pair() (tls.Certificate, error) {
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if _, err := leaf(cert); err != nil {
		return tls.Certificate{}, fmt.Errorf("%s %w", f.Cert, err)
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return tls.Certificate{}, fmt.Errorf("the key in %s has a passphrase: give one without, as openssl pkey -in %s writes it", f.Key, f.Key)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s holds no PEM key of the certificate in %s", f.Key, f.Cert)
	}
	return pair, nil
}

// leaf is the first certificate of a PEM text.
func leaf(text []byte) (*x509.Certificate, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that cannot be read")
		}
		return c, nil
	}
	return nil, errors.New("holds no PEM certificate")
}

// Check reads the files anew, and reports why they cannot be used.
func (f Files) Check() error {
	_, err := f.load()
	return err
}

// Validity is from when until when something counts; it is zero where nothing says.
type Validity struct{ From, Until time.Time }

// Validity is that of the certificate that a client shows, and of the authority that
// lasts longest: of many in a file, some have ended. It is zero where no file is named.
func (f Files) Validity() (cert, authorities Validity, err error) {
	if f.Cert != "" {
		pair, err := f.pair()
		if err != nil {
			return cert, authorities, err
		}
		cert = Validity{pair.Leaf.NotBefore, pair.Leaf.NotAfter}
	}
	if f.CA == "" {
		return cert, authorities, nil
	}
	if err := (Files{CA: f.CA}).Check(); err != nil {
		return cert, authorities, err
	}
	text, err := os.ReadFile(f.CA)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(authorities.Until) {
			authorities = Validity{c.NotBefore, c.NotAfter}
		}
	}
	return cert, authorities, err
}
