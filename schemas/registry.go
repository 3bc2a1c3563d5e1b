package schemas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"

	"callstitch/internal/quote"
)

const (
	// readersMax bounds the remembered writer schemas. A topic of ours has a
	// handful; more means that foreign topics are being read.
	readersMax = 1000
	// failureKept is how long a schema that could not be fetched is not asked for
	// again: a topic has many records of each, and a registry may be slow to fail.
	failureKept = 5 * time.Second
	// writesMax is how often a write is tried that somebody else was faster with.
	writesMax = 3
)

// RegistryConfig says where the schema registry is and who asks.
type RegistryConfig struct {
	// URL is the base address, or several with commas between, of which the
	// next is tried where one does not answer. User and password in it are
	// taken for Username and Password, and are not part of any error.
	URL string
	// Username and Password are basic authentication, Token is a bearer token in its
	// place. Both are asked for with each request.
	Username string
	Password func(context.Context) (string, error)
	Token    func(context.Context) (string, error)
	// Refused is told of a token that the registry did not take, so that Token may give
	// another one; it may be nil.
	Refused func(token string)
	// TLS is asked for with each request, too; while it gives the same one, connections
	// are kept. Nil: the system's roots.
	TLS func() *tls.Config
}

// Registry is a client of a schema registry that speaks Confluent's API. What
// it has learnt it remembers: ids never change. Each request is bounded in time, its
// answer in size; it is repeated a few times where the registry answers
// that it cannot now, and otherwise that is the caller's. It is safe for
// concurrent use.
type Registry struct {
	client *client
	urls   string // without what may be secret, for errors

	mu       sync.Mutex // guards what follows
	ids      map[string]int
	versions map[string]registered // by their path
	readers  map[int]*Reader
	failed   map[int]failedFetch
}

// failedFetch is why a schema could not be had, and until when that is the answer.
type failedFetch struct {
	err   error
	until time.Time
}

// NewRegistry checks the encoders with [Verify] and connects to nothing yet.
func NewRegistry(cfg RegistryConfig) (*Registry, error) {
	if err := Verify(); err != nil {
		return nil, err
	}
	addresses, err := cfg.addresses()
	if err != nil {
		return nil, err
	}
	return &Registry{
		client: newClient(addresses, cfg), urls: cfg.Shown(),
		ids: map[string]int{}, versions: map[string]registered{}, readers: map[int]*Reader{}, failed: map[int]failedFetch{},
	}, nil
}

// String is the registry's address, without what may be secret in it.
func (r *Registry) String() string { return r.urls }

// Shown is the address without what may be secret in it: user, password, query.
func (cfg RegistryConfig) Shown() string {
	addresses := strings.Split(cfg.URL, ",")
	for i, a := range addresses {
		addresses[i] = quote.Address(strings.TrimSpace(a))
	}
	return strings.Join(addresses, ",")
}

// addresses splits the URL and moves credentials out of it.
func (cfg *RegistryConfig) addresses() ([]*url.URL, error) {
	var addresses []*url.URL
	for address := range strings.SplitSeq(cfg.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("schema_registry.url holds no address such as http://127.0.0.1:8081")
		}
		if u.User != nil && cfg.Username == "" && cfg.Token == nil {
			password, _ := u.User.Password()
			cfg.Username = u.User.Username()
			cfg.Password = func(context.Context) (string, error) { return password, nil }
		}
		u.User = nil
		addresses = append(addresses, u)
	}
	return addresses, nil
}

// Register makes sure that the subject's schema is registered for the topic's
// values, and returns its id. A schema that is there already, as the latest
// version or not, is left alone, and one request tells. For a new one the
// compatibility is first set to FULL_TRANSITIVE; one that would break readers is not
// sent at all. Of two programs that register at once both succeed.
func (r *Registry) Register(ctx context.Context, s Subject, topic string) (id int, err error) {
	for range writesMax {
		if id, err = r.Lookup(ctx, s, topic); !errors.Is(err, ErrNotRegistered) {
			return id, err
		}
		if id, err = r.register(ctx, s, topic); !isConflict(err) {
			return id, err
		}
		// Somebody else wrote at the same time: what is there now? (K45)
		select {
		case <-ctx.Done():
			return 0, err
		case <-time.After(r.client.pause):
		}
	}
	if id, looked := r.Lookup(ctx, s, topic); looked == nil {
		return id, nil
	}
	return 0, err
}

// register registers a schema that is not there yet.
func (r *Registry) register(ctx context.Context, s Subject, topic string) (int, error) {
	name := SubjectName(topic)
	versions, err := r.versionsOf(ctx, name)
	if err != nil {
		return 0, err
	}
	if problems := breaks(versions, s); len(problems) > 0 {
		return 0, fmt.Errorf("register %s at %s: version %d is registered, and ours would break its readers: %s; 'callstitch schemas check' shows the difference: was another program's schema registered for this topic?",
			name, r.urls, versions[len(versions)-1].Version, problems[0])
	}
	if err := r.protect(ctx, name); err != nil {
		return 0, err
	}
	var answer struct {
		ID int `json:"id"`
	}
	err = r.client.ask(ctx, http.MethodPost, subjectPath(name)+"/versions", s.asSchema(), &answer)
	if err == nil && answer.ID <= 0 {
		err = errNotRegistry
	}
	if err != nil {
		return 0, r.failure("register", name, err)
	}
	r.remember(name, answer.ID)
	return answer.ID, nil
}

// fullTransitive is the compatibility of our subjects.
const fullTransitive = "FULL_TRANSITIVE"

// protect sets the compatibility of a subject. Where that fails because another
// program sets it, it is enough that it is set (K45).
func (r *Registry) protect(ctx context.Context, name string) error {
	path := "/config/" + url.PathEscape(name)
	set := struct {
		Level string `json:"compatibility"`
	}{fullTransitive}
	err := r.client.ask(ctx, http.MethodPut, path, set, &struct{}{})
	if err == nil {
		return nil
	}
	var is struct {
		Level string `json:"compatibilityLevel"`
	}
	if looked := r.client.ask(ctx, http.MethodGet, path, nil, &is); looked == nil && is.Level == fullTransitive {
		return nil
	}
	return r.failure("set the compatibility of", name, err)
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
	var found registered
	err := r.client.ask(ctx, http.MethodPost, subjectPath(name), s.asSchema(), &found)
	if err == nil && found.ID <= 0 {
		err = errNotRegistry
	}
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

// registered is one version of a subject, as a registry tells it.
type registered struct {
	Version int    `json:"version,omitempty"`
	ID      int    `json:"id,omitempty"`
	Schema  string `json:"schema"`
	Type    string `json:"schemaType,omitempty"` // empty: Avro
}

func (v registered) isAvro() bool { return v.Type == "" || v.Type == "AVRO" }

func subjectPath(name string) string { return "/subjects/" + url.PathEscape(name) }

// versionsOf reads all versions of a subject, in their order; none where it is
// unknown. Those that were read once are not read again.
func (r *Registry) versionsOf(ctx context.Context, name string) ([]registered, error) {
	var numbers []int
	err := r.client.ask(ctx, http.MethodGet, subjectPath(name)+"/versions", nil, &numbers)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, r.failure("read the versions of", name, err)
	}
	slices.Sort(numbers)
	versions := make([]registered, len(numbers))
	for i, n := range numbers {
		if versions[i], err = r.version(ctx, name, n); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

func (r *Registry) version(ctx context.Context, name string, number int) (v registered, err error) {
	path := subjectPath(name) + "/versions/" + strconv.Itoa(number)
	r.mu.Lock()
	v, ok := r.versions[path]
	r.mu.Unlock()
	if ok {
		return v, nil
	}
	if v, err = r.schemaAt(ctx, path); err != nil {
		return v, r.failure(fmt.Sprintf("read version %d of", number), name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[path] = v
	return v, nil
}

// schemaAt reads the schema that a registry has at a path.
func (r *Registry) schemaAt(ctx context.Context, path string) (v registered, err error) {
	if err = r.client.ask(ctx, http.MethodGet, path, nil, &v); err == nil && v.Schema == "" {
		err = errNotRegistry
	}
	return v, err
}

// latest is the latest version of a subject.
func (r *Registry) latest(ctx context.Context, name string) (v registered, err error) {
	if v, err = r.schemaAt(ctx, subjectPath(name)+"/versions/latest"); err != nil {
		err = r.failure("read the latest version of", name, err)
	}
	return v, err
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
// by the stricter ones of [CheckEvolution]; where ours is one of them, only with the
// latest. It changes nothing. The registry is not asked to judge, because not
// every registry does.
func (r *Registry) Check(ctx context.Context, s Subject, topic string) (Comparison, error) {
	c := Comparison{Subject: SubjectName(topic)}
	id, err := r.Lookup(ctx, s, topic)
	if err == nil {
		latest, err := r.latest(ctx, c.Subject)
		if err != nil {
			return c, err
		}
		c.ID, c.Version, c.Diff = id, latest.Version, Diff(latest.Schema, s.Schema())
		return c, nil
	}
	if !errors.Is(err, ErrNotRegistered) {
		return c, err
	}
	versions, err := r.versionsOf(ctx, c.Subject)
	if err != nil || len(versions) == 0 {
		return c, err
	}
	latest := versions[len(versions)-1]
	c.Version, c.Diff, c.Problems = latest.Version, Diff(latest.Schema, s.Schema()), breaks(versions, s)
	return c, nil
}

// breaks is why a schema must not be registered after these versions.
func breaks(versions []registered, s Subject) []Problem {
	if len(versions) == 0 {
		return nil
	}
	problems := CheckEvolution(versions[len(versions)-1].Schema, s.Schema())
	for _, v := range versions {
		problems = append(problems, incompatible(v, s)...)
	}
	return problems
}

// incompatible applies Avro's rules, ours as reader and as writer.
func incompatible(v registered, s Subject) []Problem {
	if !v.isAvro() {
		return []Problem{{What: fmt.Sprintf("version %d is no Avro schema", v.Version)}}
	}
	registered, err := avro.Parse(v.Schema)
	if err != nil {
		return []Problem{{What: fmt.Sprintf("version %d cannot be read: %v", v.Version, err)}}
	}
	ours, err := avro.Parse(s.Schema())
	if err != nil {
		return []Problem{{What: err.Error()}}
	}
	var problems []Problem
	if err := avro.CheckCompatibility(registered, ours); err != nil {
		problems = append(problems, Problem{What: fmt.Sprintf("records of version %d could not be read with it: %v", v.Version, err)})
	}
	if err := avro.CheckCompatibility(ours, registered); err != nil {
		problems = append(problems, Problem{What: fmt.Sprintf("its records could not be read with version %d: %v", v.Version, err)})
	}
	return problems
}

// Reader reads values with the schema of the given id, whoever wrote them. An id
// that could not be fetched is not asked for again for some seconds.
func (r *Registry) Reader(ctx context.Context, id int) (*Reader, error) {
	r.mu.Lock()
	reader, failed := r.readers[id], r.failed[id]
	r.mu.Unlock()
	if reader != nil {
		return reader, nil
	}
	if time.Now().Before(failed.until) {
		return nil, failed.err
	}
	reader, err := r.fetch(ctx, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.readers)+len(r.failed) >= readersMax {
		clear(r.readers)
		clear(r.failed)
	}
	if err != nil {
		if ctx.Err() == nil {
			r.failed[id] = failedFetch{err, time.Now().Add(failureKept)}
		}
		return nil, err
	}
	r.readers[id] = reader
	return reader, nil
}

func (r *Registry) fetch(ctx context.Context, id int) (*Reader, error) {
	what := fmt.Sprintf("schema %d", id)
	schema, err := r.schemaAt(ctx, "/schemas/ids/"+strconv.Itoa(id))
	if err != nil {
		return nil, r.failure("fetch", what, err)
	}
	if !schema.isAvro() {
		return nil, fmt.Errorf("read %s of %s: it is %s, not Avro; is this an output topic?", what, r.urls, schema.Type)
	}
	reader, err := NewReader(schema.Schema)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", what, r.urls, err)
	}
	return reader, nil
}

func (s Subject) asSchema() registered { return registered{Schema: s.Schema()} }

// ErrNotRegistered is the failure to find a schema in a registry that answers.
var ErrNotRegistered = errors.New("not registered")

// failure says what was being done, where, and what to do next.
func (r *Registry) failure(doing, name string, err error) error {
	next := advice(err)
	if isNotFound(err) {
		err, next = ErrNotRegistered, "run 'callstitch schemas register', or set schema_registry.auto_register"
	}
	return fmt.Errorf("%s %s at %s: %w; %s", doing, name, r.urls, err, next)
}

// isNotFound tells a registry that does not know the subject or schema from an
// address at which there is no registry.
func isNotFound(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return ok && refused.status == http.StatusNotFound && refused.code != 0
}

func isConflict(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return ok && refused.status == http.StatusConflict
}
