package schemas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

const (
	// requestTimeout bounds one request: a registry answers in milliseconds, and
	// who waits longer wants to be told.
	requestTimeout = 5 * time.Second
	// readersMax bounds the remembered writer schemas. A topic of ours has a
	// handful; more means that foreign topics are being read.
	readersMax = 1000
	// answerMax bounds what an error quotes of an answer, which may be the page
	// of a proxy.
	answerMax = 300
)

// RegistryConfig says where the schema registry is and who asks.
type RegistryConfig struct {
	// URL is the base address, or several with commas between, of which the
	// next is tried where one does not answer. User and password in it are
	// taken for Username and Password, and are not part of any error.
	URL                string
	Username, Password string      // basic authentication
	TLS                *tls.Config // nil: the system's roots
}

// Registry is a client of a schema registry that speaks Confluent's API. What
// it has learnt it remembers: ids never change. Each request is bounded by a
// time-out and none is repeated; that is the caller's. It is safe for
// concurrent use.
type Registry struct {
	client *sr.Client
	urls   string // without credentials, for errors

	mu      sync.Mutex // guards what follows
	ids     map[string]int
	readers map[int]*Reader
}

// NewRegistry checks the encoders with [Verify] and connects to nothing yet.
func NewRegistry(cfg RegistryConfig) (*Registry, error) {
	if err := Verify(); err != nil {
		return nil, err
	}
	urls, err := cfg.addresses()
	if err != nil {
		return nil, err
	}
	options := []sr.ClientOpt{
		sr.HTTPClient(&http.Client{Timeout: requestTimeout}), sr.URLs(urls...), sr.UserAgent("callstitch"),
	}
	if cfg.TLS != nil {
		options = append(options, sr.DialTLSConfig(cfg.TLS))
	}
	if cfg.Username != "" {
		options = append(options, sr.BasicAuth(cfg.Username, cfg.Password))
	}
	client, err := sr.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("set up a client of the schema registry: %w", err)
	}
	return &Registry{
		client: client, urls: strings.Join(urls, ","),
		ids: map[string]int{}, readers: map[int]*Reader{},
	}, nil
}

// addresses splits the URL and moves credentials out of it.
func (cfg *RegistryConfig) addresses() ([]string, error) {
	var urls []string
	for address := range strings.SplitSeq(cfg.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("schema_registry.url holds no address such as http://127.0.0.1:8081")
		}
		if u.User != nil && cfg.Username == "" {
			cfg.Username = u.User.Username()
			cfg.Password, _ = u.User.Password()
		}
		u.User = nil
		urls = append(urls, u.String())
	}
	return urls, nil
}

// Register makes sure that the subject's schema is registered for the topic's
// values, and returns its id. A schema that is there already, as the latest
// version or not, is left alone. For a new one the compatibility is first set to
// FULL_TRANSITIVE; one that would break readers is not sent at all.
func (r *Registry) Register(ctx context.Context, s Subject, topic string) (int, error) {
	found, err := r.Check(ctx, s, topic)
	if err != nil {
		return 0, err
	}
	if found.ID != 0 {
		return found.ID, nil
	}
	name := SubjectName(topic)
	if len(found.Problems) > 0 {
		return 0, fmt.Errorf("register %s at %s: version %d is registered, and ours would break its readers: %s; 'callstitch schemas check' shows the difference: was another program's schema registered for this topic?",
			name, r.urls, found.Version, found.Problems[0])
	}
	full := sr.SetCompatibility{Level: sr.CompatFullTransitive}
	if err := r.client.SetCompatibility(ctx, full, name)[0].Err; err != nil {
		return 0, r.failure("set the compatibility of", name, err)
	}
	id, err := r.client.RegisterSchema(ctx, name, s.asSchema(), -1, -1)
	if err != nil {
		return 0, r.failure("register", name, err)
	}
	r.remember(name, id)
	return id, nil
}

// Lookup returns the id of the subject's schema and changes nothing. It is an
// error if the schema is not registered for the topic's values.
func (r *Registry) Lookup(ctx context.Context, s Subject, topic string) (int, error) {
	name := SubjectName(topic)
	r.mu.Lock()
	id, ok := r.ids[name]
	r.mu.Unlock()
	if ok {
		return id, nil
	}
	found, err := r.client.LookupSchema(ctx, name, s.asSchema())
	if err != nil {
		return 0, r.failure("look up the schema of", name, err)
	}
	r.remember(name, found.ID)
	return found.ID, nil
}

func (r *Registry) remember(name string, id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[name] = id
}

// Comparison is what the registry holds for a topic beside our schema.
type Comparison struct {
	Subject  string
	ID       int       // of our schema; 0 where it is not registered
	Version  int       // the latest registered; 0 where there is none
	Problems []Problem // why ours must not be registered; none where it is
	Diff     string    // from the latest registered to ours; empty where they say the same
}

// Check compares the subject's schema with the versions that are registered for
// the topic's values: both ways with each by Avro's rules, and with the latest
// by the stricter ones of [CheckEvolution]. It changes nothing. The registry is
// not asked to judge, because not every registry does.
func (r *Registry) Check(ctx context.Context, s Subject, topic string) (Comparison, error) {
	c := Comparison{Subject: SubjectName(topic)}
	id, err := r.Lookup(ctx, s, topic)
	if err != nil && !errors.Is(err, ErrNotRegistered) {
		return c, err
	}
	c.ID = id
	versions, err := r.client.Schemas(ctx, c.Subject)
	if isNotFound(err) {
		return c, nil
	}
	if err != nil {
		return c, r.failure("read the versions of", c.Subject, err)
	}
	if len(versions) == 0 {
		return c, nil
	}
	latest := slices.MaxFunc(versions, func(a, b sr.SubjectSchema) int { return a.Version - b.Version })
	c.Version = latest.Version
	c.Diff = Diff(latest.Schema.Schema, s.Schema())
	if c.ID == 0 {
		c.Problems = CheckEvolution(latest.Schema.Schema, s.Schema())
		for _, v := range versions {
			c.Problems = append(c.Problems, incompatible(v, s)...)
		}
	}
	return c, nil
}

// incompatible applies Avro's rules, ours as reader and as writer.
func incompatible(version sr.SubjectSchema, s Subject) []Problem {
	if version.Type != sr.TypeAvro {
		return []Problem{{What: fmt.Sprintf("version %d is no Avro schema", version.Version)}}
	}
	registered, err := avro.Parse(version.Schema.Schema)
	if err != nil {
		return []Problem{{What: fmt.Sprintf("version %d cannot be read: %v", version.Version, err)}}
	}
	ours, err := avro.Parse(s.Schema())
	if err != nil {
		return []Problem{{What: err.Error()}}
	}
	var problems []Problem
	if err := avro.CheckCompatibility(registered, ours); err != nil {
		problems = append(problems, Problem{What: fmt.Sprintf("records of version %d could not be read with it: %v", version.Version, err)})
	}
	if err := avro.CheckCompatibility(ours, registered); err != nil {
		problems = append(problems, Problem{What: fmt.Sprintf("its records could not be read with version %d: %v", version.Version, err)})
	}
	return problems
}

// Reader reads values with the schema of the given id, whoever wrote them.
func (r *Registry) Reader(ctx context.Context, id int) (*Reader, error) {
	r.mu.Lock()
	reader, ok := r.readers[id]
	r.mu.Unlock()
	if ok {
		return reader, nil
	}
	what := fmt.Sprintf("schema %d", id)
	schema, err := r.client.SchemaByID(ctx, id)
	if err != nil {
		return nil, r.failure("fetch", what, err)
	}
	if schema.Type != sr.TypeAvro {
		return nil, fmt.Errorf("read %s of %s: it is %s, not Avro; is this an output topic?", what, r.urls, schema.Type)
	}
	reader, err = NewReader(schema.Schema)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", what, r.urls, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.readers) >= readersMax {
		clear(r.readers)
	}
	r.readers[id] = reader
	return reader, nil
}

func (s Subject) asSchema() sr.Schema { return sr.Schema{Schema: s.Schema(), Type: sr.TypeAvro} }

// ErrNotRegistered is the failure to find a schema in a registry that answers.
var ErrNotRegistered = errors.New("not registered")

// failure says what was being done, where, and what to do next.
func (r *Registry) failure(doing, name string, err error) error {
	if isNotFound(err) {
		return fmt.Errorf("%s %s at %s: %w; run 'callstitch schemas register', or set schema_registry.auto_register", doing, name, r.urls, ErrNotRegistered)
	}
	answer, ok := errors.AsType[*sr.ResponseError](err)
	if !ok {
		return fmt.Errorf("%s %s at %s: %w; is schema_registry.url right and the registry running?", doing, name, r.urls, err)
	}
	said := answer.Error()
	if len(said) > answerMax {
		said = strings.ToValidUTF8(said[:answerMax], "") + "…"
	}
	advice := "see the registry's log"
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		advice = "check the credentials and rights of the user in schema_registry"
	case http.StatusNotFound:
		advice = "is schema_registry.url the address of a schema registry?"
	case http.StatusConflict:
		advice = "'callstitch schemas check' shows the difference to what is registered"
	case http.StatusUnprocessableEntity:
		advice = "the registry does not take the schema or the setting"
	}
	return fmt.Errorf("%s %s at %s: status %d: %s; %s", doing, name, r.urls, answer.StatusCode, said, advice)
}

// isNotFound tells a registry that does not know the subject or schema from an
// address at which there is no registry.
func isNotFound(err error) bool {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	return ok && answer.StatusCode == http.StatusNotFound && answer.ErrorCode != 0
}
