package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"callstitch/internal/credential"
	"callstitch/processor/call"
	"callstitch/processor/number"
	"callstitch/topology/kafka"
)

// problem is one thing that is wrong with a configuration.
type problem struct {
	Key  string // path of the key, such as kafka.brokers
	Text string // what is wrong and what to write instead
}

// Limits of a configuration, each a guard against a slip of the hand.
const (
	maxWorkers            = 256             // threads: more than machines have cores
	maxPartitions         = 10_000          // of one topic; a broker carries about 4,000 in all
	maxReplicas           = 100             // more than any cluster keeps of one partition
	maxExchangePartitions = 1_024           // every tick is written to each of them
	maxApplicationID      = 150             // Kafka allows 249 in a topic's name; ours add a suffix
	maxCommitInterval     = 5 * time.Second // half of the transaction time-out of 10 s
	maxSessionTime        = 10 * 365 * 24 * time.Hour
)

var (
	kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

	saslMechanisms = []string{"plain", "scram-sha-256", "scram-sha-512", oauthBearer}
	logLevels      = []string{"debug", "info", "warn", "error"}
	logFormats     = []string{"text", "json"}
)

// validate lists everything that is wrong with the values, not only the first.
func (c *Config) validate(needs Needs) []problem {
	v := &validation{}
	v.check(kafkaName.MatchString(c.ApplicationID) && len(c.ApplicationID) <= maxApplicationID, "application_id",
		"must be 1 to %d of the characters a-z A-Z 0-9 . _ -", maxApplicationID)
	c.Kafka.validate(v)
	c.Registry.validate(v)
	c.validateSources(v)
	c.validateTopics(v)
	v.check(validStart(c.Start), "start", "must be earliest, latest or an RFC 3339 instant such as 2026-01-31T00:00:00Z")
	v.within(int64(c.Workers), 0, maxWorkers, "workers")
	v.within(int64(c.ExchangePartitions), 1, maxExchangePartitions, "exchange_partitions")
	v.check(c.Generation >= 0, "generation", "must not be negative")
	v.between(c.CommitInterval, time.Millisecond, maxCommitInterval, "commit_interval")
	v.between(c.Grace, 0, maxSessionTime, "grace")
	v.between(c.UnansweredTimeout, time.Millisecond, maxSessionTime, "unanswered_timeout")
	v.between(c.AnsweredTimeout, time.Millisecond, maxSessionTime, "answered_timeout")
	v.between(c.Retention, 0, maxSessionTime, "retention")
	v.between(c.StubRetention, 0, maxSessionTime, "stub_retention")
	c.validateSettled(v)
	v.check(c.Store != "disk", "store", "disk is not available in this version: memory is the only store today")
	v.check(c.Store == "memory" || c.Store == "disk", "store", "must be memory")
	v.check(c.InstanceID == "" || kafkaName.MatchString(c.InstanceID), "instance_id",
		"must be of the characters a-z A-Z 0-9 . _ -")
	v.between(c.StartupTimeout, time.Second, 24*time.Hour, "startup_timeout")
	c.Emit.validate(v)
	v.check(c.HTTP.Listen == "" || hostPort(c.HTTP.Listen), "http.listen", "must be host:port, such as 127.0.0.1:8080")
	c.validateReceive(v, needs&ToReceive != 0)
	v.oneOf(c.Log.Level, logLevels, "log.level")
	v.oneOf(c.Log.Format, logFormats, "log.format")
	return v.problems
}

// validateSettled holds the delay within what makes sense: a session that closed is not
// known before the grace, and nothing is known of it once it is forgotten.
func (c *Config) validateSettled(v *validation) {
	const key = "emit.settled_after"
	after, most := c.Emit.SettledAfter, c.AnsweredTimeout+c.Retention
	v.check(c.Emit.Settled || after == 0, key, "needs emit.settled: true")
	v.check(after == 0 || c.Grace <= after && after <= most, key,
		"must be from %s, the grace, to %s, which is answered_timeout and retention; or 0s, when the session is forgotten",
		FormatDuration(c.Grace), FormatDuration(most))
}

// configured is what the configuration is for: the processor, the front door, or both.
func (c *Config) configured() (needs Needs) {
	if c.Receive.Configured() {
		needs = ToReceive
	}
	if len(c.Sources) > 0 || needs == 0 {
		needs |= ToRun
	}
	return needs
}

// missing lists the keys without a default that a command which meets a broker
// needs.
func (c *Config) missing() []problem {
	v := &validation{}
	v.brokers(c.Kafka.Brokers)
	v.check(len(c.Sources) > 0, "sources", "is required, such as [{topic: call.raw}]")
	return v.problems
}

func (k *Kafka) validate(v *validation) {
	for _, b := range k.Brokers {
		v.check(hostPort(b), "kafka.brokers", "%q must be host:port, such as 127.0.0.1:9092", b)
	}
	k.SASL.validate(v, k.TLS.On())
	v.certificates(k.TLS.files(), "kafka.tls")
}

// oauthBearer is the mechanism that logs in with a token.
const oauthBearer = "oauthbearer"

func (s *SASL) validate(v *validation, encrypted bool) {
	const mechanism = "kafka.sasl.mechanism"
	if s.Mechanism != "" {
		v.oneOf(s.Mechanism, saslMechanisms, mechanism)
	}
	on, tokens := s.Mechanism != "", s.Mechanism == oauthBearer
	v.check(on || s.Username == "" && s.PasswordFile == "" && s.OAuth == (OAuth{}), mechanism,
		"is required with a username, a password_file or oauth: %s", strings.Join(saslMechanisms, ", "))
	v.check(!on || tokens || s.Username != "", "kafka.sasl.username", "is required with a mechanism")
	v.check(!on || tokens || s.PasswordFile != "", "kafka.sasl.password_file", "is required with a mechanism")
	v.check(!tokens || s.Username == "" && s.PasswordFile == "", mechanism, "oauthbearer takes kafka.sasl.oauth, and no username or password_file")
	v.check(!on || tokens || s.OAuth == (OAuth{}), mechanism, "must be oauthbearer with kafka.sasl.oauth")
	v.check(s.Mechanism != "plain" || encrypted, mechanism, "plain sends the password as it is: it needs kafka.tls")
	v.check(!tokens || encrypted, mechanism, "oauthbearer sends the token as it is: it needs kafka.tls")
	v.secret(s.PasswordFile, "kafka.sasl.password_file")
	v.check(!tokens || s.OAuth.given(), "kafka.sasl.oauth", "needs token_file, or token_url: oauthbearer logs in with a token")
	s.OAuth.validate(v, "kafka.sasl.oauth")
}

// given reports whether tokens come from anywhere.
func (o *OAuth) given() bool { return o.TokenFile != "" || o.TokenURL != "" }

func (o *OAuth) validate(v *validation, key string) {
	fetched := OAuth{TokenFile: o.TokenFile}
	v.check(o.TokenURL != "" || *o == fetched, key+".token_url", "is required with client_id, client_secret_file, scope or ca_file")
	if o.TokenFile != "" {
		v.check(o.TokenURL == "", key+".token_file", "and token_url are two ways to a token: name one")
		_, err := credential.TokenFromFile(o.TokenFile)
		v.usable(err, key+".token_file")
	}
	if o.TokenURL == "" {
		return
	}
	v.check(encryptedURL(o.TokenURL), key+".token_url", "must be an address such as https://login.example/oauth2/token, for it gets the secret; without TLS on this machine only")
	v.check(o.ClientID != "", key+".client_id", "is required with token_url")
	v.check(o.ClientSecretFile != "", key+".client_secret_file", "is required with token_url")
	v.secret(o.ClientSecretFile, key+".client_secret_file")
	v.certificates(credential.Files{CA: o.CAFile}, key)
}

// encryptedURL reports whether nobody can read what is sent there: with TLS, or because it
// is on this machine.
func encryptedURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (r *Registry) validate(v *validation) {
	tokens := r.OAuth.given()
	for address := range strings.SplitSeq(r.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "",
			"schema_registry.url", "must be an address such as http://127.0.0.1:8081")
		v.check(!tokens || encryptedURL(strings.TrimSpace(address)), "schema_registry.url", "must begin with https:// with schema_registry.oauth, for it gets the token; without TLS on this machine only")
	}
	v.check(r.PasswordFile == "" || r.Username != "", "schema_registry.username", "is required with a password_file")
	v.check(!tokens || r.Username == "" && r.PasswordFile == "", "schema_registry.oauth", "and a username are two logins: name one")
	v.secret(r.PasswordFile, "schema_registry.password_file")
	r.OAuth.validate(v, "schema_registry.oauth")
	v.certificates(r.files(), "schema_registry")
}

// validate does not look into the file: a command that shows records needs no key.
func (e *Emit) validate(v *validation) {
	v.oneOf(e.Numbers, number.Modes(), "emit.numbers")
	hmac := e.Numbers == number.HMAC.String()
	v.check(!hmac || e.NumbersKeyFile != "", "emit.numbers_key_file", "is required with emit.numbers: hmac")
	v.check(hmac || e.NumbersKeyFile == "", "emit.numbers_key_file", "is of use with emit.numbers: hmac only")
}

func (c *Config) validateSources(v *validation) {
	seen := map[string]bool{}
	for i, s := range c.Sources {
		key := fmt.Sprintf("sources[%d]", i)
		v.check(kafkaName.MatchString(s.Topic), key+".topic", "is required, and of the characters a-z A-Z 0-9 . _ -")
		v.check(!seen[s.Topic], key+".topic", "%q is a source already", s.Topic)
		seen[s.Topic] = true
		_, known := call.ParseProvider(s.Provider)
		v.check(known || s.Provider == "", key+".provider", "must be %s, or absent", providersAndAliases())
	}
}

// providersAndAliases are the words that a source's provider may be.
func providersAndAliases() string {
	words := call.ProviderNames()
	for i, p := range call.Providers() {
		if also := p.Aliases(); len(also) > 0 {
			words[i] += " (or " + Alternatives(also) + ")"
		}
	}
	return Alternatives(words)
}

// Alternatives lists words, at least one, as prose does: "a, b or c".
func Alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *Config) validateTopics(v *validation) {
	t := &c.Topics
	v.within(int64(t.Partitions), 1, maxPartitions, "topics.partitions")
	v.check(t.ReplicationFactor == kafka.BrokersReplicas || 1 <= t.ReplicationFactor && t.ReplicationFactor <= maxReplicas, "topics.replication_factor",
		"must be %d, the brokers' own, or from 1 to %d", kafka.BrokersReplicas, maxReplicas)
	v.within(int64(t.MinISR), 0, maxReplicas, "topics.min_isr")
	v.check(t.Prefix == "" || kafkaName.MatchString(t.Prefix), "topics.prefix", "must be of the characters a-z A-Z 0-9 . _ -")
	used := map[string]string{}
	if c.Receive.Configured() {
		used[c.Receive.Topic] = "what receive writes to"
	}
	for _, s := range c.Sources {
		used[s.Topic] = "a source"
	}
	for _, o := range t.each() {
		key := "topics." + o.key
		v.check(kafkaName.MatchString(o.Name), key+".name", "must be of the characters a-z A-Z 0-9 . _ -")
		full := t.Prefix + o.Name
		v.check(used[full] == "", key+".name", "%q is %s already", full, used[full])
		used[full] = "topics." + o.key
		v.within(int64(o.Partitions), 0, maxPartitions, key+".partitions")
		v.check(kafka.BrokersReplicas <= o.ReplicationFactor && o.ReplicationFactor <= maxReplicas, key+".replication_factor",
			"must be %d, the brokers' own, 0, the common setting, or from 1 to %d", kafka.BrokersReplicas, maxReplicas)
		v.within(int64(o.MinISR), 0, maxReplicas, key+".min_isr")
		v.between(o.Retention, 0, maxSessionTime, key+".retention")
	}
}

func validStart(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return s == "earliest" || s == "latest" || err == nil
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// validation collects problems.
type validation struct{ problems []problem }

func (v *validation) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, problem{key, fmt.Sprintf(format, args...)})
	}
}

func (v *validation) brokers(brokers []string) {
	v.check(len(brokers) > 0, "kafka.brokers", `is required, such as ["127.0.0.1:9092"]`)
}

func (v *validation) network(text, key string) {
	_, err := parsePrefix(text)
	v.check(err == nil, key, "%q must be an address or a network, such as 192.0.2.7 or 192.0.2.0/24", text)
}

func (v *validation) within(n, low, high int64, key string) {
	v.check(low <= n && n <= high, key, "must be from %d to %d", low, high)
}

func (v *validation) between(d, low, high time.Duration, key string) {
	v.check(low <= d && d <= high, key, "must be from %s to %s", FormatDuration(low), FormatDuration(high))
}

func (v *validation) oneOf(s string, words []string, key string) {
	for _, w := range words {
		if s == w {
			return
		}
	}
	v.check(false, key, "must be one of %s", strings.Join(words, ", "))
}

// secret is a file that must hold one.
func (v *validation) secret(path, key string) {
	if path != "" {
		_, err := credential.FromFile(path)
		v.usable(err, key)
	}
}

// certificates are those of one group of keys, which end in ca_file, cert_file and key_file.
func (v *validation) certificates(files credential.Files, key string) {
	v.check(files.Cert != "" || files.Key == "", key+".cert_file", "is required with a key_file")
	v.check(files.Key != "" || files.Cert == "", key+".key_file", "is required with a cert_file")
	v.usable(credential.Files{CA: files.CA}.Check(), key+".ca_file")
	if files.Cert != "" && files.Key != "" {
		v.usable(credential.Files{Cert: files.Cert, Key: files.Key}.Check(), key+".cert_file")
	}
}

func (v *validation) usable(err error, key string) {
	if err != nil {
		v.check(false, key, "cannot be used: %v", err)
	}
}

func (v *validation) readable(path, key string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		v.check(false, key, "cannot be read: %v", err)
		return
	}
	_ = f.Close()
}
