package receive

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/processor/call"
)

// Config is what a receiver is run with. It names the files with secrets and
// certificates: these are read, and read again when they change, while it runs.
type Config struct {
	// Brokers and Client are how Kafka is reached, Topic where events go.
	Brokers []string
	Client  []kgo.Opt
	Topic   string

	// Hold is how long an event waits for Kafka before it goes to the spool or is
	// refused. It must be less than the time-out of who sends it.
	Hold time.Duration
	// MaxInFlight bounds the bytes of events that Kafka has not acknowledged yet, and, counted
	// apart, of bodies that come in.
	MaxInFlight int64
	Spool       Spool

	Listen         string // host:port of the door; empty: feeds only
	TLS            TLS
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	MaxBody        int64
	Endpoints      []Endpoint
	Feeds          []Feed

	// InstanceID tells apart instances that log in at the same provider. Empty takes
	// the host's name. StateDir keeps the tokens of feeds over a restart; empty keeps none.
	InstanceID string
	StateDir   string

	HTTPListen  string        // host:port of /healthz, /readyz and /metrics; empty serves none
	ProbePeriod time.Duration // how long /readyz says that this instance ends, before the door closes

	Log     *slog.Logger         // nil discards
	Metrics *prometheus.Registry // what /metrics serves; Run adds its own. Nil is a new one
	// Listening, where it is not nil, is told the addresses once they are open; an
	// address that was not asked for is empty.
	Listening func(door, http string)
}

// Spool is where on disk events wait for Kafka. Without a Dir there is none.
type Spool struct {
	Dir string
	Max int64 // bytes
}

// TLS is what the door shows to clients; without a certificate it speaks plain HTTP,
// and TLS ends in front of it.
type TLS struct {
	CertFile, KeyFile string // PEM
	ClientCAFile      string // PEM; the authorities of client certificates
}

// Endpoint is a path that a provider posts to.
type Endpoint struct {
	// Path may have {tenant} and {scope} as segments, which then are what they say.
	Path     string
	Provider call.Provider
	Tenant   string
	Scope    string
	Auth     Auth
}

// Auth is what a request must prove. All that is set must hold, and something must
// be set: an endpoint that is open to everybody says so with None.
type Auth struct {
	None bool

	Username, PasswordFile string         // HTTP basic authentication
	SignatureFile          string         // the secret by which the provider signs, where it does
	TokenFile              string         // a bearer token, or ?token=
	SourceIPs              []netip.Prefix // where requests may come from
	ClientCert             bool           // a certificate of TLS.ClientCAFile's authorities
	ClientNames            []string       // one of which the certificate must have; empty: any
}

// Feed is a WebSocket that pushes events. Which of its fields count depends on the
// provider's dialect: package feed has them.
type Feed struct {
	Name     string
	Provider call.Provider // NoProvider: any WebSocket that pushes JSON
	Tenant   string
	Scope    string

	Server, PBXTenant      string // where to log in
	Username, PasswordFile string

	URL          string // where to connect
	Send         []string
	TokenFile    string
	SubscribeURL string

	Events    []string
	Drop      []string
	Heartbeat time.Duration
}

// Problem is one thing that is wrong with a Config.
type Problem struct {
	Key  string // as in the configuration file below receive, such as endpoints[0].path
	Text string // what is wrong, and what to write instead
}
