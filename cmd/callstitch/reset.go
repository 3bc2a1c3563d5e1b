package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology/kafka"
)

const (
	// assumedRate is how many records a second a run gets through, where nothing better is
	// known: some four fifths of what two cores do (docs/performance.md).
	assumedRate = 40_000
	// partitionsShown bounds the table of partitions; a topic with more has one line.
	partitionsShown = 32
)

type resetOptions struct {
	config  *configFlags
	same    bool
	rate    int
	execute *bool
	output  *outputFormat
}

func newReset() *cobra.Command {
	var o resetOptions
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Forget offsets and state, so that the sources are processed anew",
		Long: `reset is the way out where offsets, state and topics do not belong together any more
(exit codes 4 to 6), and the way to reprocess: it deletes the consumer group and the two
internal topics, makes those anew, and touches nothing else. Stop all instances, raise
generation in the configuration, and see what it would do; with --execute it does that.
Killed or failed in the middle it is run again, and does the rest. Then start callstitch.

It exits 1 while anybody is in the group, 2 where generation does not grow: it reads all
of call.sessions to know, since of two records of a session the larger record_version is
the truth.`,
		Example: `  callstitch reset -c callstitch.yaml
  callstitch reset -c callstitch.yaml --to 2026-11-27T00:00:00Z --execute`,
		Args: takes(),
	}
	o.config = addConfigFlags(cmd, brokersFlag,
		keyFlag{"to", "start", "`WHERE` to begin: earliest, latest, or an RFC 3339 instant; without it, where start says"})
	o.execute, o.output = addExecuteFlag(cmd), addOutputFlag(cmd)
	cmd.Flags().IntVar(&o.rate, "assume", assumedRate, "reckon with `N` records a second for how long it will take")
	cmd.Flags().BoolVar(&o.same, "same-generation", false, "keep the generation, where all output topics, and their readers' copies, were emptied")
	cmd.RunE = runs(o.run)
	return cmd
}

func (o *resetOptions) run(cmd *cobra.Command, _ []string) error {
	if o.rate < 1 {
		return usageError{errors.New("--assume must be more than 0")}
	}
	cfg, _, err := o.config.loadWith(config.ToRun)
	if err != nil {
		return err
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return err
	}
	options := kafka.ResetOptions{SameGeneration: o.same, Execute: *o.execute}
	if cmd.Flags().Changed("to") {
		options.To = cfg.Start
	}
	if options.To != "" && !cfg.Topics.Create {
		return usageError{fmt.Errorf("--to needs internal topics that are made at once, and topics.create is false: set start: %s in the configuration instead", options.To)}
	}
	ctx, stop := untilSignal()
	defer stop()
	if *o.execute {
		signal.Ignore(syscall.SIGPIPE) // who reads along and goes away does not end it in the middle
	}
	var read, all atomic.Int64
	options.Progress = func(done, of int64) { read.Store(done); all.Store(of) }
	progress := terminal.StartProgress(cmd.ErrOrStderr(), func() string {
		return fmt.Sprintf("reads %s: %d of %d offsets", runtime.Topics.Sessions, read.Load(), all.Load())
	})
	plan, err := kafka.PlanReset(ctx, runtime, options)
	progress.Stop()
	if ctx.Err() != nil {
		return errors.New("stopped; nothing was changed")
	}
	if err != nil {
		return err
	}
	return o.carryOut(ctx, cmd, plan)
}

// carryOut says what the plan is, and executes it if that was asked for.
func (o *resetOptions) carryOut(ctx context.Context, cmd *cobra.Command, plan *kafka.ResetPlan) error {
	out := terminal.New(cmd.OutOrStdout())
	if *o.output == outputText {
		tellReset(out, plan, o.rate)
	}
	var steps []string
	err := plan.Refused()
	if err == nil && *o.execute {
		err = plan.Execute(ctx, func(step string) {
			steps = append(steps, step)
			if *o.output == outputText {
				fmt.Fprintln(out, step)
			}
		})
	}
	done := *o.execute && err == nil
	switch {
	case *o.output == outputJSON:
		err = errors.Join(writeReset(out, plan, steps, done, err), err)
	case err != nil:
	case plan.Nothing:
	case !done:
		fmt.Fprintln(out, "nothing was changed: --execute does it")
	default:
		tellAfterReset(out, plan)
	}
	return err
}

// writeReset writes plan and outcome for programs.
func writeReset(out io.Writer, plan *kafka.ResetPlan, steps []string, done bool, refused error) error {
	outcome := struct {
		*kafka.ResetPlan
		Steps    []string `json:"steps"` // that were done
		Executed bool     `json:"executed"`
		Error    string   `json:"error"`
	}{ResetPlan: plan, Steps: append([]string{}, steps...), Executed: done}
	if refused != nil {
		outcome.Error = refused.Error()
	}
	return json.NewEncoder(out).Encode(outcome)
}

// tellReset says what a reset would do, for people.
func tellReset(out terminal.Writer, p *kafka.ResetPlan, rate int) {
	tellSources(out, p)
	var again int64
	for _, s := range p.Sources {
		again += s.Again()
	}
	fmt.Fprintf(out, "to read: %d offsets, some %s at %d a second (--assume)\n", again, spell(time.Duration(float64(again)/float64(rate)*float64(time.Second))), rate)
	tellGeneration(out, p)
	for _, w := range p.Warns {
		out.Remark(w)
	}
	if p.Nothing {
		fmt.Fprintf(out, "there is nothing to reset: group %s has no offsets, and its internal topics are empty, as for a first start\n", p.Group)
		return
	}
	for _, t := range p.Transactions {
		fmt.Fprintf(out, "ends: the transaction that %s has left open since %s\n", t.ID, t.Since.Format(time.DateTime))
	}
	fmt.Fprintf(out, "deletes: group %s\n", p.Group)
	for _, t := range p.Topics {
		if t.ID != "" {
			fmt.Fprintf(out, "deletes: topic %s, %d partitions, %d replicas\n", t.Name, t.Partitions, t.Replicas)
		}
	}
	for _, t := range p.Topics {
		if t.Makes {
			fmt.Fprintf(out, "makes: topic %s\n", t.Name)
		}
	}
	if p.Seeds {
		fmt.Fprintf(out, "commits: where the sources begin\n")
	}
	if p.Topics[0].Makes {
		fmt.Fprintf(out, "commits: that generation %d begins, so that none below it is started\n", p.Generation)
	}
}

// tellSources writes a line for each partition of a source, or for each source.
func tellSources(out io.Writer, p *kafka.ResetPlan) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	whose := "a start begins at " + p.Start
	if p.Seeds {
		whose = "begins at " + p.Start
	}
	fmt.Fprintf(w, "source\tfirst\tread to\tend\t%s\n", whose)
	if len(p.Sources) <= partitionsShown {
		for _, s := range p.Sources {
			read := "-"
			if s.Read >= 0 {
				read = fmt.Sprint(s.Read)
			}
			fmt.Fprintf(w, "%s-%d\t%d\t%s\t%d\t%d\n", s.Topic, s.Partition, s.First, read, s.End, s.Begin)
		}
		return
	}
	for i, s := range p.Sources {
		if i > 0 && p.Sources[i-1].Topic == s.Topic {
			continue
		}
		n, again := 0, int64(0)
		for _, other := range p.Sources {
			if other.Topic == s.Topic {
				n++
				again += other.Again()
			}
		}
		fmt.Fprintf(w, "%s\t%d partitions\t\t\t%d offsets before their ends\n", s.Topic, n, again)
	}
}

func tellGeneration(out io.Writer, p *kafka.ResetPlan) {
	if p.Published == nil {
		return
	}
	read := fmt.Sprintf("%d records of %s, %.0f MB, were read", p.Published.Records, p.Published.Topic, float64(p.Published.Bytes)/1e6)
	highest := "none of them a session"
	if p.Published.Generation != kafka.NoGeneration {
		highest = fmt.Sprintf("the highest generation is %d", p.Published.Generation)
	}
	if p.Published.Foreign > 0 && p.Published.Generation != kafka.NoGeneration {
		highest += fmt.Sprintf(", and %d of them are no sessions", p.Published.Foreign)
	}
	if p.Published.Records == 0 {
		read, highest = "there are no records in "+p.Published.Topic, ""
	}
	fmt.Fprintf(out, "generation: %d here; %s\n", p.Generation, strings.TrimSuffix(read+": "+highest, ": "))
}

// tellAfterReset says what to do after a reset.
func tellAfterReset(out io.Writer, p *kafka.ResetPlan) {
	fmt.Fprintf(out, "done: start callstitch with generation %d\n", p.Generation)
	if p.Generation > 0 && p.Published.Generation != kafka.NoGeneration {
		fmt.Fprintf(out, "When it has caught up, drop from your tables what only an earlier generation has published, for the time that was reprocessed:\n    DELETE FROM call_sessions WHERE generation < %d AND started_at >= …\n", p.Generation)
	}
}

// spell is a duration that is only an estimate.
func spell(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", max(d.Seconds(), 1))
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
