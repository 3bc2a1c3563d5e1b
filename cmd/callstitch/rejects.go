package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

func newRejects() *cobra.Command {
	return group(
		&cobra.Command{
			Use:     "rejects",
			Short:   "See what could not be taken, what would come of it now, and send it in again",
			Example: "  callstitch rejects list -c callstitch.yaml",
		},
		newRejectsList(),
		newRejectsShow(),
		newRejectsReplay(),
	)
}

// selectionFlags say which rejects are meant, for every command about them.
type selectionFlags struct {
	reasons, providers, tenants, sources []string
	since, until, grep                   string
	max                                  int

	flags *pflag.FlagSet // but for --max
}

// addSelectionFlags are the flags of a command that goes through all that are meant.
func addSelectionFlags(cmd *cobra.Command) *selectionFlags {
	s := addSelection(cmd)
	cmd.Flags().IntVar(&s.max, "max", 0, "end after `N` that are meant; 0 does not count")
	return s
}

func addSelection(cmd *cobra.Command) *selectionFlags {
	f := pflag.NewFlagSet("selection", pflag.ContinueOnError)
	s := &selectionFlags{flags: f}
	f.StringSliceVar(&s.reasons, "reason", nil, "only of `REASON,…`, such as UNKNOWN_PROVIDER")
	f.StringSliceVar(&s.providers, "provider", nil, "only of `PROVIDER,…`: "+providerChoices()+", or none where nothing names one")
	f.StringSliceVar(&s.tenants, "tenant", nil, "only of `TENANT,…`")
	f.StringSliceVar(&s.sources, "source", nil, "only out of `TOPIC[/PARTITION[/OFFSET]],…`")
	f.StringVar(&s.since, "since", "", "only of records since `WHEN`: an instant, a day, or how long ago, such as -2h or -7d")
	f.StringVar(&s.until, "until", "", "only of records before `WHEN`")
	f.StringVar(&s.grep, "grep", "", "only where the value matches `RE`")
	cmd.Flags().AddFlagSet(f)
	return s
}

// given are the names of the flags that a command line has, in their order.
func (s *selectionFlags) given() (names []string) {
	s.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			names = append(names, f.Name)
		}
	})
	return names
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
	if !sel.Until.IsZero() && !sel.Since.Before(sel.Until) {
		problems = append(problems, errors.New("--since must be before --until"))
	}
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

// rejectsTopic is a rejects topic and who reads it.
type rejectsTopic struct {
	topology topology.Config
	tail     kafka.TailConfig
	progress io.Writer
}

// openRejects is where a configuration has the rejects. Brokers are not asked yet.
func openRejects(flags *configFlags, progress io.Writer) (*rejectsTopic, error) {
	cfg, err := flags.load()
	if err != nil {
		return nil, err
	}
	if len(cfg.Kafka.Brokers) == 0 {
		return nil, usageError{errors.New("--brokers or kafka.brokers is required")}
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return nil, err
	}
	topics := cfg.Topology()
	return &rejectsTopic{
		topology: topics, progress: progress,
		tail: kafka.TailConfig{Brokers: runtime.Brokers, Client: runtime.Client, Topic: topics.Topics.Rejects, From: "earliest"},
	}, nil
}

// sinceMargin is how much earlier than its record's time a reject may have been written,
// at most: where rejects have the time of their writing, and their sources' dates were
// ahead by what check allows, on brokers whose clocks differ.
const sinceMargin = 2 * time.Hour

// tally is what a reading of rejects came to.
type tally struct {
	read, meant atomic.Int64
	strange     int64 // records that are no rejects
	first       error // why the first of them is none
}

func (t *tally) String() string {
	return fmt.Sprintf("%d records read, %d rejects that are meant", t.read.Load(), t.meant.Load())
}

// each hands on the rejects that are meant, as far as the topic reaches now. Of what is
// no reject it only says how much there is.
func (r *rejectsTopic) each(ctx context.Context, sel rejects.Selection, most int, yield func(*rejects.Entry) error) (t *tally, err error) {
	t = new(tally)
	progress := terminal.StartProgress(r.progress, t.String)
	left := ""
	defer func() {
		if progress.Stop(); left != "" {
			terminal.New(r.progress).Remark(left)
		}
	}()
	tail := r.tail
	if !sel.Since.IsZero() {
		tail.From = sel.Since.Add(-sinceMargin).UTC().Format(time.RFC3339)
	}
	tail.Left = func(partitions []int32) { left = leftOut(tail.Topic, partitions) }
	err = kafka.Tail(ctx, tail, func(rec topology.Record) error {
		t.read.Add(1)
		e, err := rejects.Read(&r.topology, rec)
		if err != nil {
			t.strange++
			t.first = cmp.Or(t.first, err)
			return nil
		}
		if !sel.Matches(&e) {
			return nil
		}
		n := t.meant.Add(1)
		if err := yield(&e); err != nil {
			return err
		}
		if n == int64(most) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %v", t)
	}
	return t, err
}

// remark tells of what was no reject.
func (t *tally) remark(w terminal.Writer) {
	if t.strange > 0 {
		w.Remark(fmt.Sprintf("%d records of the topic are no rejects of callstitch; the first: %v", t.strange, t.first))
	}
}
