package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/explain"
	"callstitch/cmd/callstitch/internal/terminal"
)

// explainWindow is how long before a call's first record and after its last one
// raw records are read. It is a choice, and no bound: a leg may join as long as
// the others are kept, which is retention beyond their end, but so many raw records
// may not fit into memory. Who misses a leg widens it.
const explainWindow = time.Hour

type explainOptions struct {
	process     processOptions
	file        string
	from        string
	window      time.Duration
	showNumbers bool
}

func newExplain() *cobra.Command {
	o := explainOptions{process: processOptions{emit: emits[0]}}
	cmd := &cobra.Command{
		Use:   "explain {ID | TOPIC PARTITION OFFSET}",
		Short: "Tell how a session came to be: which raw records made it, and what each changed",
		Long: `explain tells the story of a session, a leg, a provider's call id, or one raw
record: which raw records it was made of, what each changed, which were duplicates
and why, which link joined which legs, and why it closed.

It looks up the call in the output topics, reads the raw records of that time, and
runs the processor's core over them again; nothing is written. With --file it
needs no broker: the records are those of the file, as process reads them, and
the OFFSET of a raw event is the number of its line, from 0.`,
		Example: `  callstitch explain 7122565b55c69f2737c58368964af2c8 -c callstitch.yaml
  callstitch explain call.raw 3 118204 -c callstitch.yaml
  callstitch explain c-7c4e7185 --file events.ndjson`,
		Args: takes(
			[]argument{{name: "ID", is: "that of a session, a leg, or a provider's call"}},
			[]argument{{name: "TOPIC", is: "a source"}, partitionArgument, offsetArgument},
		),
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "`FILE` of raw events instead of a broker; - is standard input")
	f.StringVar(&o.process.format, "format", "raw", "`FORMAT` of the file: raw or kcat")
	f.StringVar(&o.process.provider, "provider", "", "`PROVIDER` of records without a header: "+providerChoices())
	f.StringVar(&o.process.tenant, "tenant", "", "`TENANT` of records without a header")
	f.StringVar(&o.from, "from", "earliest", "`WHERE` the search of the output topics begins, as for tail")
	f.DurationVar(&o.window, "window", explainWindow, "`TIME` before and after the call's own records in which raw records are read")
	f.BoolVar(&o.showNumbers, "show-numbers", false, "show parties whole, not only the last two digits")
	o.process.config = addConfigFlags(cmd, brokersFlag, registryFlag, graceFlag)
	return cmd
}

func (o *explainOptions) run(cmd *cobra.Command, args []string) error {
	q, err := explain.ParseQuestion(args)
	if err != nil {
		return usageError{err}
	}
	if o.window <= 0 {
		return usageError{errors.New("--window must be more than 0")}
	}
	ctx, stop := untilSignal()
	e, err := o.gather(ctx, cmd, q)
	stop() // from here on a signal ends the process
	if err != nil {
		return err
	}
	return explain.Explain(terminal.New(cmd.OutOrStdout()), q, e, o.showNumbers)
}

// gather reads the evidence from the file or the broker.
func (o *explainOptions) gather(ctx context.Context, cmd *cobra.Command, q explain.Question) (explain.Evidence, error) {
	_, runtime, err := o.process.settings()
	if err != nil {
		return explain.Evidence{}, err
	}
	cfg, err := o.process.config.load()
	if err != nil {
		return explain.Evidence{}, err
	}
	if err := q.CheckTopic(cfg.Topology()); err != nil {
		return explain.Evidence{}, usageError{err}
	}
	if o.file != "" {
		return explain.ReadFile(cmd.InOrStdin(), o.file, o.process.format == "kcat", runtime)
	}
	if len(cfg.Kafka.Brokers) == 0 {
		return explain.Evidence{}, usageError{errors.New("--file, --brokers or kafka.brokers is required")}
	}
	return explain.ReadTopics(ctx, q, explain.Topics{Config: cfg, Runtime: runtime, From: o.from, Window: o.window})
}
