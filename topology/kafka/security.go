package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Security is how a client proves who it is and to whom it talks. The zero
// value is a plain connection without authentication.
type Security struct {
	Mechanism string // empty, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string
	Password  string
	TLS       bool
	CA        []byte // PEM of the authorities to trust; empty trusts the system's
}

// String names the mechanism and no secret.
func (s Security) String() string {
	return fmt.Sprintf("sasl %q, tls %t", s.Mechanism, s.TLS)
}

// Options are the client options for Config.Client. PLAIN without TLS is
// refused: it would send the password in the clear.
func (s Security) Options() ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if s.TLS {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if len(s.CA) > 0 {
			cfg.RootCAs = x509.NewCertPool()
			if !cfg.RootCAs.AppendCertsFromPEM(s.CA) {
				return nil, errors.New("the authorities' file holds no PEM certificate")
			}
		}
		opts = append(opts, kgo.DialTLSConfig(cfg))
	}
	mechanism, err := s.mechanism()
	if err != nil || mechanism == nil {
		return opts, err
	}
	return append(opts, kgo.SASL(mechanism)), nil
}

func (s Security) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "":
		return nil, nil
	case "PLAIN":
		if !s.TLS {
			return nil, errors.New("mechanism PLAIN needs TLS: it sends the password as it is")
		}
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	default:
		return nil, fmt.Errorf("mechanism %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", s.Mechanism)
	}
}
