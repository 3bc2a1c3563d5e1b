package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// dialTimeout bounds one connection to a broker, its handshake included.
const dialTimeout = 10 * time.Second

// Security is how a client proves who it is and to whom it talks. The zero
// value is a plain connection without authentication. What it asks functions for, it
// asks them for at each connection, and again when the broker wants a new login on one
// (KIP-368): what is replaced needs no restart.
type Security struct {
	Mechanism string // empty, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username  string
	Password  func(context.Context) (string, error)
	Token     func(context.Context) (string, error) // of OAUTHBEARER
	Refused   func(token string)                    // is told of a token that a broker did not take; it may be nil
	TLS       func() *tls.Config                    // nil: a connection without TLS
}

// String names the mechanism and no secret.
func (s Security) String() string {
	return fmt.Sprintf("sasl %q, tls %t", s.Mechanism, s.TLS != nil)
}

// Options are the client options for Config.Client. What would send a secret as it is
// without TLS is refused.
func (s Security) Options() ([]kgo.Opt, error) {
	mechanism, err := s.mechanism()
	if err != nil {
		return nil, err
	}
	var opts []kgo.Opt
	if s.TLS != nil {
		opts = append(opts, kgo.Dialer(s.dial))
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}

func (s Security) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: s.TLS()}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, &handshakeError{err}
	}
	return brokerConn{conn}, nil
}

// handshakeError is a connection to a broker that did not come about.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// brokerConn tells what the other side's TLS refuses: it does so after the handshake, as
// far as the client's certificate is concerned.
type brokerConn struct{ net.Conn }

// Read reads from the broker.
func (c brokerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if isAlert(err) {
		err = &handshakeError{err}
	}
	return n, err
}

// isAlert reports whether the other side's TLS said that it does not go on.
func isAlert(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error"
}

func (s Security) mechanism() (sasl.Mechanism, error) {
	name := strings.ToUpper(s.Mechanism)
	if s.TLS == nil && (name == "PLAIN" || name == "OAUTHBEARER") {
		return nil, fmt.Errorf("mechanism %s needs TLS: it sends the password, or the token, as it is", name)
	}
	switch name {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Plain(func(ctx context.Context) (plain.Auth, error) {
			password, err := s.Password(ctx)
			return plain.Auth{User: s.Username, Pass: password}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(s.scram), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(s.scram), nil
	case "OAUTHBEARER":
		return bearer{s.Token, s.Refused}, nil
	default:
		return nil, fmt.Errorf("mechanism %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER", s.Mechanism)
	}
}

func (s Security) scram(ctx context.Context) (scram.Auth, error) {
	password, err := s.Password(ctx)
	return scram.Auth{User: s.Username, Pass: password}, err
}

// bearer is OAUTHBEARER with the broker's answer to a token that it does not take. That
// answer is no error of the protocol but a challenge (RFC 7628 §3.2.2).
type bearer struct {
	token   func(context.Context) (string, error)
	refused func(token string)
}

// Name is that of the mechanism.
func (b bearer) Name() string { return "OAUTHBEARER" }

// Authenticate begins a login.
func (b bearer) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	token, err := b.token(ctx)
	if err != nil {
		return nil, nil, err
	}
	session, first, err := oauth.Auth{Token: token}.AsMechanism().Authenticate(ctx, host)
	return bearerSession{session, token, b.refused}, first, err
}

type bearerSession struct {
	sasl.Session
	token   string
	refused func(token string)
}

// Challenge takes the broker's answer, which is empty where it takes the token.
func (s bearerSession) Challenge(answer []byte) (done bool, next []byte, err error) {
	if len(answer) == 0 {
		return s.Session.Challenge(answer)
	}
	if s.refused != nil {
		s.refused(s.token)
	}
	var said struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(answer, &said) != nil || !word(said.Status) {
		said.Status = "no reason"
	}
	return false, nil, &refusedToken{said.Status}
}

// refusedToken is one that a broker does not take; why is in its log.
type refusedToken struct{ said string }

func (r *refusedToken) Error() string {
	return fmt.Sprintf("%v The broker does not take the token: %s", kerr.SaslAuthenticationFailed, r.said)
}

func (r *refusedToken) Unwrap() error { return kerr.SaslAuthenticationFailed }

// word reports whether a text is one, such as invalid_token, and fit for a log.
func word(s string) bool {
	const most = 40
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z')
	})
}

// explained adds what to do to an error of a connection.
func explained(err error) error {
	if advice := ConnectionAdvice(err); advice != "" {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

// ConnectionAdvice is what to do about an error, where it is that a broker was not
// connected to; empty for others.
func ConnectionAdvice(err error) string {
	_, shaking := errors.AsType[*handshakeError](err) // registries have the same errors
	_, token := errors.AsType[*refusedToken](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, plainText := errors.AsType[tls.RecordHeaderError](err)
	_, cut := errors.AsType[*kgo.ErrFirstReadEOF](err)
	switch {
	case token:
		return "has it ended, is it for this broker's audience, and from an issuer that it trusts? Its log says why"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "does the broker know kafka.sasl.username, with this mechanism, and the password in kafka.sasl.password_file?"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the listener has another mechanism than kafka.sasl.mechanism"
	case errors.Is(err, kerr.IllegalSaslState):
		return "the listener wants no login, or another one: see kafka.sasl.mechanism, and the port"
	case shaking && unknown:
		return "set kafka.tls.ca_file to the authority that signed the broker's certificate"
	case shaking && plainText:
		return "the listener speaks no TLS: another port, or no kafka.tls"
	case shaking && isAlert(err):
		return "the broker does not take this client's certificate: does it ask for one (kafka.tls.cert_file), has it ended, and does the broker trust who signed it?"
	case cut:
		return "the listener hangs up: does it speak TLS (kafka.tls), or want a login (kafka.sasl)?"
	}
	return ""
}
