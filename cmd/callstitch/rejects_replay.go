package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/processor/decode"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// settable are the headers that say whose a record is. A reject has no use for others, and
// one that is misspelt would send a call in under the wrong tenant.
var settable = []string{"provider", "tenant", "scope"}

const (
	// defaultRate leaves room for live traffic: a replay has no hurry.
	defaultRate = 500
	// defaultMaxReplays ends what would go round for ever.
	defaultMaxReplays = 3
)

type replayOptions struct {
	config     *configFlags
	selection  *selectionFlags
	execute    *bool
	format     *outputFormat
	set        []string
	to, edit   string
	now        bool
	again      bool
	anyway     bool
	rate       int
	maxReplays int
}

func newRejectsReplay() *cobra.Command {
	o := new(replayOptions)
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send rejects in again, once their cause is mended",
		Long: `replay sends rejects to the source that they came from, with their key and headers, and
with the time at which they came first. It sends what the present decoder, with the
present configuration and what --set and --edit change, would take; the rest it leaves, and
says why. What call.rejects does not hold whole it fetches from the source.

It says what it would do, and does it only with --execute. A reject is sent once: run it
again, after a crash too, and it goes on with what was not sent. One that comes back is
another reject; after --max-replays times it stays. Only one replay of an application
runs at a time: a later one ends an earlier one.

With --execute it exits 0 where all that was meant was sent, 1 where some of it was left.`,
		Example: `  callstitch rejects replay -c callstitch.yaml --reason BAD_HEADER --set tenant=acme
  callstitch rejects replay -c callstitch.yaml --reason MALFORMED_JSON --edit "jq -c .body" --execute`,
		Args: takes(),
		RunE: runs(func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }),
	}
	o.config = addConfigFlags(cmd, brokersFlag)
	o.selection = addSelectionFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.set, "set", nil, "send with the header `NAME=VALUE` in place of its own: provider, tenant or scope")
	f.StringVar(&o.edit, "edit", "", "send what the shell's `COMMAND` makes of the value, such as 'jq -c .body'")
	f.StringVar(&o.to, "to", "", "send to the source `TOPIC`, instead of where each came from")
	f.BoolVar(&o.now, "now", false, "date them now, and so the events that have no time of their own, instead of when they came first")
	f.BoolVar(&o.again, "again", false, "send those too that were sent before")
	f.BoolVar(&o.anyway, "even-if-rejected", false, "send those too that would not be taken")
	f.IntVar(&o.rate, "rate", defaultRate, "send `N` a second at most; 0 does not wait")
	f.IntVar(&o.maxReplays, "max-replays", defaultMaxReplays, "leave what was sent in `N` times")
	o.execute = addExecuteFlag(cmd)
	o.format = addOutputFlag(cmd)
	return cmd
}

func (o *replayOptions) run(cmd *cobra.Command) error {
	cfg, runtime, err := o.settings()
	if err != nil {
		return err
	}
	p, err := o.plan(&runtime.Config)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	r, err := kafka.OpenReplay(ctx, kafka.ReplayConfig{Config: runtime, Execute: *o.execute, Again: o.again, Rate: o.rate})
	if err != nil {
		return err
	}
	defer r.Close()
	told := o.remark(cmd, r.Notes()) // while there is time to think again
	p.LateBefore = time.Now().Add(-time.Duration(cfg.Retention))
	p.Fetch = func(at call.Source) (topology.Record, error) { return r.Fetch(ctx, at) }
	p.Takes = r.Takes
	if o.edit != "" {
		p.Edit = func(value []byte) ([]byte, error) { return edited(ctx, o.edit, value) }
	}
	progress := terminal.StartProgress(cmd.ErrOrStderr(), func() string {
		return fmt.Sprintf("%d rejects read, within %d offsets; %d are meant, %d were sent", p.Tally.Read.Load(), r.Offsets(), p.Tally.Matched.Load(), r.Sent())
	})
	err = r.Run(ctx, p.Choose)
	progress.Stop()
	o.remark(cmd, r.Notes()[told:])
	if err != nil {
		return o.interrupted(err, r.Sent())
	}
	return o.tell(cmd, p, r)
}

// remark tells people of notes, and is how many there are; programs are told at the end.
func (o *replayOptions) remark(cmd *cobra.Command, notes []string) int {
	if *o.format == outputText {
		for _, note := range notes {
			terminal.New(cmd.ErrOrStderr()).Remark(note)
		}
	}
	return len(notes)
}

// settings is the configuration, with all that the command line asks beside it.
func (o *replayOptions) settings() (*config.Config, kafka.Config, error) {
	cfg, _, err := o.config.loadWith(config.ToRun)
	if err != nil {
		return nil, kafka.Config{}, err
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return nil, kafka.Config{}, err
	}
	switch isSource := slices.ContainsFunc(runtime.Sources, func(s topology.Source) bool { return s.Topic == o.to }); {
	case o.to != "" && !isSource:
		return nil, kafka.Config{}, usageError{fmt.Errorf("--to %s is none of the sources: nobody would read it", o.to)}
	case o.rate < 0:
		return nil, kafka.Config{}, usageError{errors.New("--rate must be a number from 0")}
	case o.maxReplays < 1:
		return nil, kafka.Config{}, usageError{errors.New("--max-replays must be a number from 1")}
	}
	return cfg, runtime, nil
}

// plan is what the command line asks for.
func (o *replayOptions) plan(cfg *topology.Config) (*rejects.Replay, error) {
	selection, err := o.selection.selection()
	if err != nil {
		return nil, err
	}
	p := &rejects.Replay{
		Config: cfg, Selection: selection, Max: o.selection.max,
		To: o.to, Now: o.now, EvenIfRejected: o.anyway, MaxReplays: o.maxReplays,
	}
	for _, text := range o.set {
		name, value, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(settable, name) {
			return nil, usageError{fmt.Errorf("--set %q: it must be NAME=VALUE, and NAME one of %s", text, config.Alternatives(settable))}
		}
		p.Set = append(p.Set, call.Header{Key: name, Value: []byte(value)})
	}
	return p, nil
}

// interrupted says of a replay that ended before its end what is next.
func (o *replayOptions) interrupted(err error, sent int64) error {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if !*o.execute || errors.Is(err, kafka.ErrFenced) {
		return err
	}
	return fmt.Errorf("%w; %d records were sent, and the same command goes on with the others", err, sent)
}

// tell writes what became of the rejects. What was left is a failure of a replay, and
// none of a dry run.
func (o *replayOptions) tell(cmd *cobra.Command, p *rejects.Replay, r *kafka.Replay) error {
	if *o.format == outputJSON {
		b, err := p.Tally.JSON(*o.execute, r.Sent(), r.Notes())
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
	} else {
		o.tellText(terminal.New(cmd.OutOrStdout()), p, r)
	}
	if left := p.Tally.LeftOver(); *o.execute && left > 0 {
		return fmt.Errorf("%d of %d rejects were left", left, p.Tally.Matched.Load())
	}
	return nil
}

func (o *replayOptions) tellText(out terminal.Writer, p *rejects.Replay, r *kafka.Replay) {
	t := &p.Tally
	t.Write(out)
	if t.Foreign > 0 {
		out.Remark(fmt.Sprintf("%d records of the topic are no rejects of callstitch's", t.Foreign))
	}
	if t.Late > 0 {
		out.Remark(fmt.Sprintf("%d of those to be sent came first before %s: after retention an event is late, and changes no session", t.Late, instantText(p.LateBefore.UnixMilli())))
	}
	before := " that were not sent before"
	if o.again {
		before = ""
	}
	switch matched := t.Matched.Load(); {
	case *o.execute:
		fmt.Fprintf(out, "%d rejects are meant%s: %d were sent, %d left\n", matched, before, r.Sent(), t.LeftOver())
	default:
		fmt.Fprintf(out, "%d rejects are meant%s: %d would be sent, %d left\n", matched, before, t.Chosen(), t.LeftOver())
	}
	switch {
	case *o.execute:
	case t.Chosen() > 0:
		fmt.Fprintln(out, outcome(false))
	case t.LeftOver() > 0:
		fmt.Fprintln(out, "nothing would be sent: mend the cause first, or change the records with --set or --edit")
	}
}

const (
	// editLimit is how long a command may take over one value.
	editLimit = 10 * time.Second
	// editedMax is what is kept of its answer: more is too large to be taken.
	editedMax = decode.MaxBytes + 1
)

// edited is what the shell's command makes of a value. Its error quotes nothing of what
// the command says, which may be the value.
func edited(ctx context.Context, command string, value []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, editLimit)
	defer cancel()
	var out bounded
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(value), &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the command failed: %w", err)
	}
	return bytes.TrimRight(out.kept, "\r\n"), nil
}

// bounded keeps the beginning of what is written.
type bounded struct{ kept []byte }

func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), editedMax-len(b.kept))]...)
	return len(p), nil
}
