package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/compare"
	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology/kafka"
)

// justNow is how long before the comparison a session was published that may differ since
// one of two live runs has not come there: what an await grants, and more. Of runs that
// have come to their end it is 0.
const justNow = time.Minute

type compareOptions struct {
	config      *configFlags
	output      *outputFormat
	from, until string
	ignore      []string
	tolerate    int
	fresh       time.Duration
	showNumbers bool
}

func newCompare() *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Hold the sessions of two runs against each other: an upgrade, another decoder, a replay",
		Long: `compare reads two sets of sessions and holds the last record of each session of one
against that of the other, in canonical form: without what tells how a record came
to be, such as its revision. It tells how many are equal, how many are on one side
only, in which fields others differ, and gives examples with the commands that
explain them. It exits 0 where no more differ than --tolerate, else 1.

A and B are each a configuration (*.yaml), whose sessions topic is read; or a topic
of the brokers of -c; or a file that process or tail has written.

Not compared are sessions that are open on both sides, or superseded. Sessions that
differ and were published just now are counted apart (--fresh): one of two live runs
may not have come there. So are those flagged ID_CONFLICT or LINK_OVERFLOW, in which
two runs may differ and both be right.`,
		Example: `  callstitch compare blue.yaml green.yaml
  callstitch compare call.sessions g5.call.sessions -c callstitch.yaml --from -24h
  callstitch compare before.ndjson after.ndjson`,
		Args: takes([]argument{
			{name: "A", is: "a configuration, a topic, or a file of sessions"},
			{name: "B", is: "another one"},
		}),
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0], args[1]) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "only sessions that began at this `INSTANT` or later: RFC 3339, a day, or such as -2h")
	f.StringVar(&o.until, "until", "", "only sessions that began before this `INSTANT`")
	f.StringSliceVar(&o.ignore, "ignore", nil, "`FIELD,…` that are not compared")
	f.IntVar(&o.tolerate, "tolerate", 0, "exit 0 where no more than `N` sessions differ")
	f.DurationVar(&o.fresh, "fresh", justNow, "count apart what differs and was published within `TIME`; 0 for two runs that have ended")
	f.BoolVar(&o.showNumbers, "show-numbers", false, "show parties whole, not only the last two digits")
	o.output = addOutputFlag(cmd)
	o.config = addConfigFlags(cmd, brokersFlag, registryFlag)
	return cmd
}

func (o *compareOptions) run(cmd *cobra.Command, a, b string) error {
	options, err := o.options(time.Now())
	if err != nil {
		return usageError{err}
	}
	var sides [2]side
	for i, arg := range []string{a, b} {
		if sides[i], err = o.open(arg); err != nil {
			return err
		}
	}
	if o.config.file != "" && !sides[0].byName && !sides[1].byName {
		return usageError{errors.New("-c is the configuration of a topic, and neither A nor B is one")}
	}
	if sides[0].String() == sides[1].String() {
		return usageError{fmt.Errorf("both A and B are %s", sides[0])}
	}
	ctx, stop := untilSignal()
	defer stop()
	progress := terminal.StartProgress(cmd.ErrOrStderr(), func() string {
		return fmt.Sprintf("%d records of A and %d of B were read", sides[0].seen.Load(), sides[1].seen.Load())
	})
	report, err := compare.Compare(ctx, sides[0], sides[1], options)
	progress.Stop()
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before everything was compared")
	}
	if err != nil && !errors.Is(err, compare.ErrNothing) {
		return err
	}
	for i := range report.Examples {
		for _, s := range sides {
			report.Examples[i].Explain = append(report.Examples[i].Explain, s.explain(report.Examples[i].ID))
		}
	}
	if failed := o.write(cmd.OutOrStdout(), report); failed != nil {
		return failed
	}
	if n := report.Differences(); err == nil && n > o.tolerate {
		return fmt.Errorf("%d sessions differ, and %d may", n, o.tolerate)
	}
	return err
}

func (o *compareOptions) options(now time.Time) (compare.Options, error) {
	c := compare.Options{Ignore: o.ignore, ShowNumbers: o.showNumbers}
	if o.fresh > 0 {
		c.Fresh = now.Add(-o.fresh).UnixMilli()
	}
	for _, bound := range []struct {
		flag, text string
		into       *int64
	}{{"from", o.from, &c.From}, {"until", o.until, &c.Until}} {
		if bound.text == "" {
			continue
		}
		at, err := rejects.ParseInstant(bound.text, now)
		if err != nil {
			return c, fmt.Errorf("--%s: %w", bound.flag, err)
		}
		*bound.into = at.UnixMilli()
	}
	switch {
	case o.fresh < 0:
		return c, errors.New("--fresh must not be less than 0")
	case o.tolerate < 0:
		return c, fmt.Errorf("--tolerate is a number from 0, not %d", o.tolerate)
	case c.Until > 0 && c.From >= c.Until:
		return c, errors.New("--from must be before --until")
	}
	return c, c.Validate()
}

func (o *compareOptions) write(w io.Writer, r *compare.Report) error {
	out := bufio.NewWriter(w)
	if *o.output == outputJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("write the comparison: %w", err)
		}
	} else {
		r.Print(out)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// side is one of the two that are compared.
type side struct {
	compare.Sessions
	seen    *atomic.Int64               // records read so far
	byName  bool                        // it is a topic that the argument names
	explain func(session string) string // the command that explains a session of this side
}

// open finds out what an argument names: a configuration, a file of sessions, or a topic.
func (o *compareOptions) open(arg string) (side, error) {
	_, err := os.Stat(arg)
	there := err == nil
	if ext := filepath.Ext(arg); there && (ext == ".yaml" || ext == ".yml") {
		in := o.config.inputs()
		in.File = arg
		cfg, _, err := config.Read(in)
		if err != nil {
			return side{}, err
		}
		return openTopic(cfg, cfg.Topology().Topics.Sessions, func(id string) string { return o.explain(arg, id) })
	}
	if there {
		s := side{seen: new(atomic.Int64)}
		s.explain = func(id string) string { return "callstitch explain " + id + " --file RAW_EVENTS_OF_" + quoted(arg) }
		s.Sessions, err = compare.OpenFile(arg, s.seen)
		if err != nil {
			err = usageError{err}
		}
		return s, err
	}
	if filepath.Base(arg) != arg || slices.Contains([]string{".yaml", ".yml", ".json", ".ndjson"}, filepath.Ext(arg)) {
		return side{}, usageError{fmt.Errorf("there is no file %s", arg)}
	}
	cfg, err := o.config.load()
	if err != nil {
		return side{}, err
	}
	if len(cfg.Kafka.Brokers) == 0 {
		return side{}, usageError{fmt.Errorf("there is no file %s; for a topic of that name, --brokers or kafka.brokers is required", arg)}
	}
	s, err := openTopic(cfg, arg, func(id string) string { return o.explainInTopic(cfg, arg, id) })
	s.byName = true
	return s, err
}

func openTopic(cfg *config.Config, topic string, explain func(string) string) (side, error) {
	if len(cfg.Kafka.Brokers) == 0 {
		return side{}, usageError{errors.New("--brokers or kafka.brokers is required")}
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return side{}, err
	}
	registry, err := cfg.Registry.Open()
	if err != nil {
		return side{}, err
	}
	s := side{seen: new(atomic.Int64), explain: explain}
	s.Sessions = &compare.Topic{
		Tail:     kafka.TailConfig{Brokers: runtime.Brokers, Client: runtime.Client, Topic: topic},
		Registry: registry, Seen: s.seen,
	}
	return s, nil
}

// explain is the command that explains a session where the configuration is in a file.
func (o *compareOptions) explain(file, id string) string {
	command := "callstitch explain " + id
	if file != "" {
		command += " -c " + quoted(file)
	}
	for _, flag := range o.config.inputs().Flags {
		value := flag.Value
		if flag.Key == registryFlag.key { // who logs in there does not stand in a report
			value = (&config.Registry{URL: value}).Shown()
		}
		command += " --" + flag.Name + " " + quoted(value)
	}
	return command
}

// explainInTopic is the command that explains a session of a topic. It looks in the topics of
// its configuration, so where this is another one, variables name it.
func (o *compareOptions) explainInTopic(cfg *config.Config, topic, id string) string {
	command := o.explain(o.config.file, id)
	if topic == cfg.Topology().Topics.Sessions {
		return command
	}
	if prefix, ok := strings.CutSuffix(topic, cfg.Topics.Sessions.Name); ok {
		return "CALLSTITCH_TOPICS_PREFIX=" + cmp.Or(prefix, `""`) + " " + command
	}
	return "CALLSTITCH_TOPICS_PREFIX= CALLSTITCH_TOPICS_SESSIONS_NAME=" + topic + " " + command
}

// quoted is an argument as a shell takes it.
func quoted(arg string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=@+"
	if arg != "" && strings.Trim(arg, plain) == "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
