package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/topology"
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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 3 {
				return errors.New("explain takes an ID, or TOPIC PARTITION OFFSET")
			}
			return nil
		},
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "`FILE` of raw events instead of a broker; - is standard input")
	f.StringVar(&o.process.format, "format", "raw", "`FORMAT` of the file: raw or kcat")
	f.StringVar(&o.process.provider, "provider", "", "`PROVIDER` of records without a header: opentact, stringee, sonetel or bandwidth")
	f.StringVar(&o.process.tenant, "tenant", "", "`TENANT` of records without a header")
	f.StringVar(&o.from, "from", "earliest", "`WHERE` the search of the output topics begins, as for tail")
	f.DurationVar(&o.window, "window", explainWindow, "`TIME` before and after the call's own records in which raw records are read")
	f.BoolVar(&o.showNumbers, "show-numbers", false, "show parties whole, not only the last two digits")
	o.process.config = addConfigFlags(cmd, brokersFlag, registryFlag, graceFlag)
	return cmd
}

func (o *explainOptions) run(cmd *cobra.Command, args []string) error {
	q, err := parseQuestion(args)
	if err != nil {
		return err
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
	r := relate(e, q)
	if !r.found() {
		return fmt.Errorf("%s is in none of %s", q, e.where)
	}
	return newExplanation(terminal.New(cmd.OutOrStdout()), q, r, o.showNumbers).tell(e)
}

// gather reads the evidence from the file or the broker.
func (o *explainOptions) gather(ctx context.Context, cmd *cobra.Command, q question) (evidence, error) {
	cfg, err := o.process.settings()
	if err != nil {
		return evidence{}, err
	}
	c, err := o.process.config.load()
	if err != nil {
		return evidence{}, err
	}
	if err := q.checkTopic(c.Topology()); err != nil {
		return evidence{}, err
	}
	if o.file != "" {
		return readEvidence(cmd.InOrStdin(), o.file, o.process.format == "kcat", cfg)
	}
	a, err := openArchive(o, c, cfg)
	if err != nil {
		return evidence{}, err
	}
	if err := a.find(ctx, q); err != nil {
		return evidence{}, err
	}
	return a.read(ctx, o.window)
}

// question is what is to be explained: a raw record, or an id.
type question struct {
	at  *call.Source
	id  string     // a session, a leg, or a provider's call
	leg call.LegID // zero unless the id has the form of a leg's
}

func parseQuestion(args []string) (question, error) {
	if args[0] == "" { // every text contains it
		return question{}, usageError{errors.New("the ID or TOPIC must not be empty")}
	}
	if len(args) == 1 {
		q := question{id: args[0]}
		q.leg, _ = call.ParseLegID(q.id)
		return q, nil
	}
	partition, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil || partition < 0 {
		return question{}, usageError{fmt.Errorf("PARTITION must be a number from 0, not %q", args[1])}
	}
	offset, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || offset < 0 {
		return question{}, usageError{fmt.Errorf("OFFSET must be a number from 0, not %q", args[2])}
	}
	return question{at: &call.Source{Topic: args[0], Partition: int32(partition), Offset: offset}}, nil
}

// checkTopic refuses a topic that holds no raw records: taken for one, a session
// would be told to be rejected, and to be in the rejects topic.
func (q question) checkTopic(t topology.Config) error {
	if q.at == nil {
		return nil
	}
	var sources []string
	for _, s := range t.Sources {
		sources = append(sources, s.Topic)
	}
	ours := []string{t.Topics.Events, t.Topics.Sessions, t.Topics.Legs, t.Topics.Rejects, t.Topics.Audit, t.ExchangeTopic(), t.ChangelogTopic()}
	switch {
	case len(sources) > 0 && !slices.Contains(sources, q.at.Topic):
		return usageError{fmt.Errorf("%s is not a topic of raw records: the sources are %s", q.at.Topic, strings.Join(sources, ", "))}
	case len(sources) == 0 && slices.Contains(ours, q.at.Topic):
		return usageError{fmt.Errorf("%s is not a topic of raw records: callstitch itself writes it", q.at.Topic)}
	}
	return nil
}

// isAbout says whether the question names the record.
func (q question) isAbout(s call.Source) bool { return q.at != nil && *q.at == s }

func (q question) String() string {
	if q.at != nil {
		return "raw record " + position(*q.at)
	}
	return fmt.Sprintf("session, leg or provider call id %q", q.id)
}

// position is a raw record as explain takes it on its command line.
func position(s call.Source) string {
	return fmt.Sprintf("%s %d %d", s.Topic, s.Partition, s.Offset)
}
