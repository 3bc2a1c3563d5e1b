package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"callstitch/cmd/callstitch/internal/webhook"
	"callstitch/internal/receive"
	"callstitch/internal/secret"
	"callstitch/processor/call"
)

// Receive is the front door: whose events it takes, how they prove who they are, and
// where events wait while Kafka is away. It runs in a process of its own, beside the
// processor, from the same file.
type Receive struct {
	Listen string    `yaml:"listen"` // host:port of the webhooks; empty: none are taken
	TLS    ServerTLS `yaml:"tls"`
	// TrustedProxies are the networks whose X-Forwarded-For is believed, for
	// source_ips and for nothing else.
	TrustedProxies []string `yaml:"trusted_proxies"`

	Topic       string        `yaml:"topic"`
	Hold        time.Duration `yaml:"hold"`          // how long an event waits for Kafka before it is spooled, or refused
	MaxBody     Size          `yaml:"max_body"`      // of one event
	MaxInFlight Size          `yaml:"max_in_flight"` // events that Kafka has not acknowledged, and bodies that come in
	Spool       Spool         `yaml:"spool"`

	Endpoints []Endpoint `yaml:"endpoints"`
	Feeds     []Feed     `yaml:"feeds"`

	// HTTP is health and metrics, apart from those of run, so that both fit on one machine.
	HTTP HTTP `yaml:"http"`
	// ProbePeriod is how long /readyz says that this instance ends, before it does.
	ProbePeriod time.Duration `yaml:"probe_period"`
}

// ServerTLS encrypts what the front door listens to. Its files are read again when
// they change. Without them TLS ends in front of it.
type ServerTLS struct {
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"` // who signs the certificates of clients
}

// Spool is where events are kept that Kafka has not taken in time; empty: nowhere.
type Spool struct {
	Dir string `yaml:"dir"`
	Max Size   `yaml:"max"`
}

// Endpoint is a path to which a provider posts its events.
type Endpoint struct {
	Path     string `yaml:"path"` // may have {tenant} and {scope} as whole segments
	Provider string `yaml:"provider"`
	Tenant   string `yaml:"tenant"`
	Scope    string `yaml:"scope"`
	Auth     Auth   `yaml:"auth"`
}

// Auth is how requests prove that they are the provider's: all that is named must
// hold, and something must be.
type Auth struct {
	None      bool      `yaml:"none"` // open to everybody, said in so many words
	Basic     Basic     `yaml:"basic"`
	Stringee  Signature `yaml:"stringee"`
	TokenFile string    `yaml:"token_file"`
	SourceIPs []string  `yaml:"source_ips"` // addresses, or networks such as 192.0.2.0/24
	// ClientCert asks for a certificate of tls.client_ca_file's authorities, and
	// ClientNames for one of these names in it.
	ClientCert  bool     `yaml:"client_cert"`
	ClientNames []string `yaml:"client_names"`
}

// Basic is a name and a password, asked for with a challenge.
type Basic struct {
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// Signature is the secret that bodies are signed with.
type Signature struct {
	SecretFile string `yaml:"secret_file"`
}

// Feed is a WebSocket that pushes events: one with a login, which has a server, or one
// with an address, which has a url.
type Feed struct {
	Name     string `yaml:"name"` // in logs and metrics
	Provider string `yaml:"provider"`
	Tenant   string `yaml:"tenant"`
	Scope    string `yaml:"scope"`

	Server       string `yaml:"server"`
	PBXTenant    string `yaml:"pbx_tenant"` // of the server's tenants, the one to log in to
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`

	URL          string   `yaml:"url"`
	Send         []string `yaml:"send"` // frames that are sent once connected
	TokenFile    string   `yaml:"token_file"`
	SubscribeURL string   `yaml:"subscribe_url"`

	Events    []string      `yaml:"events"` // what to subscribe to
	Drop      []string      `yaml:"drop"`   // kinds of frames that are not taken
	Heartbeat time.Duration `yaml:"heartbeat"`
}

func defaultReceive() Receive {
	return Receive{
		Topic: "call.raw", Hold: 10 * time.Second, MaxBody: 1 << 20, MaxInFlight: 64 << 20, Spool: Spool{Max: 10 << 30},
		HTTP: HTTP{Listen: "127.0.0.1:8086"}, ProbePeriod: 5 * time.Second,
	}
}

// Files is how many files with secrets there are.
func (r *Receive) Files() (n int) {
	for _, f := range append(r.secretFiles(), r.TLS.files()...) {
		if f.path != "" {
			n++
		}
	}
	return n
}

// Configured reports whether there is a front door.
func (r *Receive) Configured() bool {
	return r.Listen != "" || len(r.Endpoints) > 0 || len(r.Feeds) > 0
}

// Receiver is the configuration of internal/receive. It has no log, no metrics and no
// callback. The error is about what is in files.
func (c *Config) Receiver() (receive.Config, error) {
	security, err := c.Kafka.security()
	if err != nil {
		return receive.Config{}, err
	}
	client, err := security.Options()
	if err != nil {
		return receive.Config{}, fmt.Errorf("use kafka.sasl and kafka.tls: %w", err)
	}
	r := c.receiver()
	r.Client = client
	return r, nil
}

// receiver is that much of it that needs no file. What cannot be read as what it
// should be is left out: validate has told it.
func (c *Config) receiver() receive.Config {
	r := &c.Receive
	out := receive.Config{
		Brokers: c.Kafka.Brokers, Topic: r.Topic,
		Hold: r.Hold, MaxInFlight: int64(r.MaxInFlight), MaxBody: int64(r.MaxBody),
		Spool:  receive.Spool{Dir: r.Spool.Dir, Max: int64(r.Spool.Max)},
		Listen: r.Listen, TLS: receive.TLS(r.TLS), TrustedProxies: prefixes(r.TrustedProxies),
		InstanceID: c.InstanceID, StateDir: c.StateDir, HTTPListen: r.HTTP.Listen, ProbePeriod: r.ProbePeriod,
	}
	for _, e := range r.Endpoints {
		provider, _ := call.ParseProvider(e.Provider)
		out.Endpoints = append(out.Endpoints, receive.Endpoint{
			Path: e.Path, Provider: provider, Tenant: e.Tenant, Scope: e.Scope,
			Auth: receive.Auth{
				None: e.Auth.None, Username: e.Auth.Basic.Username, PasswordFile: e.Auth.Basic.PasswordFile,
				SignatureFile: e.Auth.Stringee.SecretFile, TokenFile: e.Auth.TokenFile, SourceIPs: prefixes(e.Auth.SourceIPs),
				ClientCert: e.Auth.ClientCert, ClientNames: e.Auth.ClientNames,
			},
		})
	}
	for _, f := range r.Feeds {
		provider, _ := call.ParseProvider(f.Provider)
		out.Feeds = append(out.Feeds, receive.Feed{
			Name: f.Name, Provider: provider, Tenant: f.Tenant, Scope: f.Scope,
			Server: f.Server, PBXTenant: f.PBXTenant, Username: f.Username, PasswordFile: f.PasswordFile,
			URL: f.URL, Send: f.Send, TokenFile: f.TokenFile, SubscribeURL: f.SubscribeURL,
			Events: f.Events, Drop: f.Drop, Heartbeat: f.Heartbeat,
		})
	}
	return out
}

// prefixes are networks; an address alone is the network of itself. It leaves out what
// is neither.
func prefixes(texts []string) (all []netip.Prefix) {
	for _, text := range texts {
		if p, err := parsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func parsePrefix(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// secretFiles are the files with secrets, by key. The processor does not need them: it
// may run where they are not.
func (r *Receive) secretFiles() (files []keyedFile) {
	for i, e := range r.Endpoints {
		key := fmt.Sprintf("receive.endpoints[%d].auth.", i)
		files = append(files,
			keyedFile{key + "basic.password_file", e.Auth.Basic.PasswordFile},
			keyedFile{key + "stringee.secret_file", e.Auth.Stringee.SecretFile},
			keyedFile{key + "token_file", e.Auth.TokenFile})
	}
	for i, f := range r.Feeds {
		key := fmt.Sprintf("receive.feeds[%d].", i)
		files = append(files, keyedFile{key + "password_file", f.PasswordFile}, keyedFile{key + "token_file", f.TokenFile})
	}
	return files
}

func (t *ServerTLS) files() []keyedFile {
	return []keyedFile{
		{"receive.tls.cert_file", t.CertFile}, {"receive.tls.key_file", t.KeyFile}, {"receive.tls.client_ca_file", t.ClientCAFile},
	}
}

// keyedFile is a file under the key that names it.
type keyedFile struct{ key, path string }

// validateReceive holds a front door that is configured, or needed, against what it must
// be. What is wrong with values that are no words of its own is told here.
func (c *Config) validateReceive(v *validation, needed bool) {
	r := &c.Receive
	for i, text := range r.TrustedProxies {
		v.network(text, fmt.Sprintf("receive.trusted_proxies[%d]", i))
	}
	for i, e := range r.Endpoints {
		for k, text := range e.Auth.SourceIPs {
			v.network(text, fmt.Sprintf("receive.endpoints[%d].auth.source_ips[%d]", i, k))
		}
	}
	for i, f := range r.Feeds {
		_, known := call.ParseProvider(f.Provider)
		v.check(known || f.Provider == "", fmt.Sprintf("receive.feeds[%d].provider", i), "must be %s, or absent", providersAndAliases())
	}
	if !needed && len(r.Endpoints)+len(r.Feeds) == 0 {
		return // an address alone, as from a variable that all processes have, is no front door yet
	}
	v.check(kafkaName.MatchString(r.Topic), "receive.topic", "must be of the characters a-z A-Z 0-9 . _ -")
	out := c.receiver()
	for _, p := range out.Validate() {
		v.check(false, "receive."+p.Key, "%s", p.Text)
	}
}

// missingToReceive lists what the front door needs besides, and is not there.
func (c *Config) missingToReceive() []problem {
	v := &validation{}
	v.brokers(c.Kafka.Brokers)
	for _, f := range c.Receive.secretFiles() {
		if _, err := firstSecret(f.path); err != nil {
			v.check(false, f.key, "cannot be used: %v", err)
		}
	}
	for _, f := range c.Receive.TLS.files() {
		v.readable(f.path, f.key)
	}
	return v.problems
}

// Door is the endpoints as the providers have them, with the secrets that they prove
// themselves with; base is where the door is. Where a file has two secrets, they use
// the first. Those who must show a certificate are left out: nobody has their key.
func (r *Receive) Door(base string) (*webhook.Door, error) {
	door := &webhook.Door{}
	for _, e := range r.Endpoints {
		if e.Auth.ClientCert || len(e.Auth.ClientNames) > 0 {
			continue
		}
		provider, _ := call.ParseProvider(e.Provider)
		route := webhook.Route{Path: e.Path, Provider: provider.String(), Tenant: e.Tenant}
		route.Username = e.Auth.Basic.Username
		var errs [3]error
		route.Password, errs[0] = firstSecret(e.Auth.Basic.PasswordFile)
		route.Secret, errs[1] = firstSecret(e.Auth.Stringee.SecretFile)
		route.Token, errs[2] = firstSecret(e.Auth.TokenFile)
		if err := errors.Join(append(errs[:], door.Add(base, route))...); err != nil {
			return nil, err
		}
	}
	return door, nil
}

// firstSecret is the first secret of a file, empty where none is named.
func firstSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := secret.Open(path)
	if err != nil {
		return "", err
	}
	return f.Values()[0], nil
}

// Trust is how a client on this side knows the door: by the very certificate that it
// has, whatever names are in it; any other is verified as usual. It is nil where the door
// has none.
func (r *Receive) Trust() (*tls.Config, error) {
	if r.TLS.CertFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(r.TLS.CertFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("receive.tls.cert_file %s holds no PEM certificate", r.TLS.CertFile)
	}
	own := block.Bytes
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection decides
		VerifyConnection: func(s tls.ConnectionState) error {
			if bytes.Equal(s.PeerCertificates[0].Raw, own) { // there is one: it is a client's connection
				return nil
			}
			return verify(s)
		},
	}, nil
}

// verify is what crypto/tls does by itself.
func verify(s tls.ConnectionState) error {
	o := x509.VerifyOptions{DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
