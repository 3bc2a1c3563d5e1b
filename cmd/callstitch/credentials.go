package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

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
	for _, c := range cfg.Fetch(ctx) {
		found = append(found, kafka.Finding{What: c.String() + " gives a token", Err: c.Err})
	}
	return found
}

// ending says that a credential has ended, or that it soon will: certificates are replaced
// by people, and tokens by programs, just before they end.
func ending(c config.Credential, now time.Time) (ended, soon string) {
	switch {
	case c.Ends.IsZero() || c.Err != nil:
		return "", ""
	case now.After(c.Ends):
		return "it ended at " + c.Ends.UTC().Format(time.RFC3339) + ": put a new one into the file; no restart is needed", ""
	case now.Add(expirySoon).After(c.Ends) && !strings.HasSuffix(c.Key, ".token_file"):
		return "", "it ends at " + c.Ends.UTC().Format(time.RFC3339) + "; no restart is needed for a new one"
	}
	return "", ""
}

// watchCredentials says what is wrong with credentials while a program runs: once it is, and
// then once in a while.
func watchCredentials(ctx context.Context, cfg *config.Config, log *slog.Logger) {
	said := map[string]time.Time{}
	for {
		now := time.Now()
		for _, c := range cfg.Credentials() {
			ended, soon := ending(c, now)
			message, why := "a credential cannot be read again; what was read before goes on", ""
			switch {
			case c.Err != nil:
				why = c.Err.Error()
			case ended != "":
				message, why = "a credential has ended", ended
			case soon != "":
				message, why = "a credential ends soon", soon
			default:
				continue
			}
			if line := c.Key + why; now.Sub(said[line]) >= credentialReminder {
				said[line] = now
				log.Warn(message, "credential", c.Key, "file", c.File, "why", why)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(credentialInterval):
		}
	}
}
