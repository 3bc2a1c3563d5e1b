package main

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/rejects"
)

func newRejects() *cobra.Command {
	return group(&cobra.Command{
		Use:     "rejects",
		Short:   "See what could not be taken",
		Example: "  callstitch rejects list -c callstitch.yaml",
	})
}

// selectionFlags say which rejects are meant, for every command about them.
type selectionFlags struct {
	reasons, providers, tenants, sources []string
	since, until, grep                   string
	max                                  int
}

func addSelectionFlags(cmd *cobra.Command) *selectionFlags {
	s := new(selectionFlags)
	f := cmd.Flags()
	f.StringSliceVar(&s.reasons, "reason", nil, "only of `REASON,…`, such as UNKNOWN_PROVIDER")
	f.StringSliceVar(&s.providers, "provider", nil, "only of `PROVIDER,…`: "+providerChoices()+", or none where nothing names one")
	f.StringSliceVar(&s.tenants, "tenant", nil, "only of `TENANT,…`")
	f.StringSliceVar(&s.sources, "source", nil, "only out of `TOPIC[/PARTITION[/OFFSET]],…`")
	f.StringVar(&s.since, "since", "", "only of records since `WHEN`: an instant, a day, or how long ago, such as -2h or -7d")
	f.StringVar(&s.until, "until", "", "only of records before `WHEN`")
	f.StringVar(&s.grep, "grep", "", "only where the value matches `RE`")
	f.IntVar(&s.max, "max", 0, "end after `N` that are meant; 0 does not count")
	return s
}

// selection is what the flags say; an error is one of usage, of every flag that is wrong.
func (s *selectionFlags) selection() (rejects.Selection, error) {
	var sel rejects.Selection
	var problems []error
	wrong := func(flag, text string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s %q: %w", flag, text, err))
		}
	}
	for _, text := range s.reasons {
		r, err := rejects.ParseReason(text)
		wrong("reason", text, err)
		sel.Reasons = append(sel.Reasons, r)
	}
	for _, text := range s.providers {
		p, err := rejects.ParseProvider(text)
		wrong("provider", text, err)
		sel.Providers = append(sel.Providers, p)
	}
	sel.Tenants = s.tenants
	for _, text := range s.sources {
		p, err := rejects.ParseSource(text)
		wrong("source", text, err)
		sel.Sources = append(sel.Sources, p)
	}
	instant := func(flag, text string) (at time.Time) {
		if text != "" {
			var err error
			at, err = rejects.ParseInstant(text, time.Now())
			wrong(flag, text, err)
		}
		return at
	}
	sel.Since, sel.Until = instant("since", s.since), instant("until", s.until)
	if s.grep != "" {
		var err error
		sel.Grep, err = regexp.Compile(s.grep)
		wrong("grep", s.grep, err)
	}
	if s.max < 0 {
		problems = append(problems, errors.New("--max must be a number from 0"))
	}
	if problems != nil {
		return sel, usageError{errors.Join(problems...)}
	}
	return sel, nil
}
