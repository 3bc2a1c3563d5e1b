package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/topology/kafka"
)

const (
	// credentialInterval is how often a program that runs looks at its credentials, to say
	// what is wrong with them. What clients use they read themselves.
	credentialInterval = time.Minute
	// credentialReminder is how often it says the same again.
	credentialReminder = time.Hour
)

// examineCredentials looks at what clients of brokers and registry prove themselves with.
func examineCredentials(ctx context.Context, cfg *config.Config) (found []kafka.Finding) {
	for _, c := range cfg.Credentials() {
		f := kafka.Finding{What: c.String() + " can be used", Err: c.Err}
		if wrong, soon := ending(c, time.Now()); wrong != "" {
			f.Err = errors.New(wrong)
		} else if soon != "" {
			f.Advice = c.String() + ": " + soon
		}
		found = append(found, f)
	}
	if cfg.Emit.Exposed() {
		found = append(found, kafka.Finding{Advice: "everybody on this machine may read " + cfg.Emit.NumbersKeyFile + ", and with it find whose each token is: chmod o-r " + cfg.Emit.NumbersKeyFile})
	}
	for _, c := range cfg.Fetch(ctx) {
		found = append(found, kafka.Finding{What: c.String() + " gives a token", Err: c.Err})
	}
	return found
}

// ending says that a credential has ended, or that it soon will: within expirySoon, or the
// last fifth of its life where that is less, for programs replace theirs before that. A
// token is replaced just before it ends, and does not say when it began.
func ending(c config.Credential, now time.Time) (ended, soon string) {
	at := c.Until.UTC().Format(time.RFC3339)
	switch {
	case c.Err != nil || c.Until.IsZero():
		return "", ""
	case now.After(c.Until):
		return "it ended at " + at + ": put a new one into the file; no restart is needed", ""
	case !c.From.IsZero() && c.Until.Sub(now) < min(expirySoon, c.Until.Sub(c.From)/5):
		return "", "it ends at " + at + "; no restart is needed for a new one"
	}
	return "", ""
}

// watchCredentials says what is wrong with credentials while a program runs: once it is, and
// then once in a while. A metric tells when they end.
func watchCredentials(ctx context.Context, cfg *config.Config, log *slog.Logger, metrics prometheus.Registerer) {
	ends := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "callstitch_credential_end_seconds", Help: "When a certificate or token in a file ends, Unix time.",
	}, []string{"key"})
	metrics.MustRegister(ends)
	said := map[string]time.Time{}
	for {
		now := time.Now()
		for _, c := range cfg.Credentials() {
			switch {
			case c.Err != nil: // what was read before goes on
			case c.Until.IsZero():
				ends.DeleteLabelValues(c.Key)
			default:
				ends.WithLabelValues(c.Key).Set(float64(c.Until.Unix()))
			}
			ended, soon := ending(c, now)
			why := cmp.Or(ended, soon)
			if c.Err != nil {
				why = c.Err.Error() + "; what was read before goes on"
			}
			if line := c.Key + why; why != "" && now.Sub(said[line]) >= credentialReminder {
				said[line] = now
				log.Warn("a password, token or certificate wants a look", "key", c.Key, "file", c.File, "why", why)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(credentialInterval):
		}
	}
}
