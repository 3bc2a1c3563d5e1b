package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

func newClock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Show what holds the clock that closes sessions, and drop what cannot be read",
		Long: `clock asks the brokers which source partition holds the clock of all, since when and
why, and for transactions that nobody ends, behind which callstitch waits. It works
whether instances run or not, and changes nothing.`,
		Example: `  callstitch clock -c callstitch.yaml
  callstitch clock drop call.raw 3 -c callstitch.yaml`,
		Args: takes(),
	}
	flags, format := addConfigFlags(cmd, brokersFlag), addOutputFlag(cmd)
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		runtime, err := flags.runtime()
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		clocks, err := kafka.ReadClocks(ctx, runtime)
		if err != nil {
			return err
		}
		if *format == outputJSON {
			return writeObject(cmd.OutOrStdout(), viewClocks(clocks, time.Now()))
		}
		return writeClocks(cmd.OutOrStdout(), clocks, time.Now())
	})
	cmd.AddCommand(newClockDrop())
	return cmd
}

// runtime is the configuration of a run, for a command that looks at one from outside.
func (f *configFlags) runtime() (kafka.Config, error) {
	cfg, _, err := f.loadWith(config.ToRun)
	if err != nil {
		return kafka.Config{}, err
	}
	return cfg.Runtime()
}

func newClockDrop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop TOPIC PARTITION",
		Short: "Have the clock go on without a source partition that cannot be read",
		Long: `drop takes a source partition out of the clock, once nothing runs. It must be one that
cannot be read: without a leader, with one that does not answer, or behind an open
transaction that nobody ends. With the first record that is read of it, it is in the clock again. It says
what it would do, and does it only with --execute. Afterwards start callstitch.`,
		Example: `  callstitch clock drop call.raw 3 -c callstitch.yaml
  callstitch clock drop call.raw 3 -c callstitch.yaml --execute`,
		Args: takes([]argument{{name: "TOPIC", is: "a source"}, partitionArgument}),
	}
	flags, execute, format := addConfigFlags(cmd, brokersFlag), addExecuteFlag(cmd), addOutputFlag(cmd)
	cmd.RunE = runs(func(cmd *cobra.Command, args []string) error {
		partition, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return usageError{err}
		}
		runtime, err := flags.runtime()
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		drop, err := kafka.PlanDrop(ctx, runtime, topology.TopicPartition{Topic: args[0], Partition: int32(partition)})
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *format == outputText {
			writeDrop(out, drop, runtime.Stitch.AnsweredTimeout+runtime.Stitch.Retention, time.Now())
		}
		if *execute {
			if err := kafka.ExecuteDrop(ctx, runtime, drop); err != nil {
				return err
			}
		}
		if *format == outputJSON {
			v := dropView{viewSource(drop.SourceClock), *execute}
			if *execute {
				v.Dropped = known(drop.At.UnixMilli())
			}
			return writeObject(out, v)
		}
		fmt.Fprintln(out, outcome(*execute))
		return nil
	})
	return cmd
}

// outcome is the last line of a command that changes something.
func outcome(done bool) string {
	if done {
		return "done"
	}
	return "nothing was changed: --execute does it"
}

func writeDrop(w io.Writer, d *kafka.Drop, kept time.Duration, now time.Time) {
	fmt.Fprintf(w, "%s was vouched for up to %s: %s\n", d.TopicPartition, ago(d.Vouched, now), d.Why())
	if d.Next != nil {
		fmt.Fprintf(w, "without it the clock goes on: %s is next, %s\n", d.Next.TopicPartition, d.Next.Why())
	}
	fmt.Fprintln(w, "sessions that it has held open since then become FINAL, without what their calls have in it")
	fmt.Fprintf(w, "what waits in it, from offset %d on, is read when it can be: for %s it amends its sessions; after that its events are late, and change none\n", d.Position, strings.TrimSuffix(kept.String(), "0m0s"))
}

func writeClocks(w io.Writer, c *kafka.Clocks, now time.Time) error {
	first, held := c.Held(now)
	_, known := c.HeldBy()
	switch {
	case held:
		fmt.Fprintf(w, "%s holds the clock at %s: %s\n", first.TopicPartition, ago(first.Vouched, now), first.Why())
		if do := first.Remedy(); do != "" {
			fmt.Fprintf(w, "    %s\n", do)
		}
	case !known:
		fmt.Fprintln(w, "nothing was read yet")
	case c.Members == 0:
		fmt.Fprintf(w, "the clock is at %s, and stands: no instance runs\n    start callstitch\n", ago(first.Vouched, now))
	default:
		fmt.Fprintf(w, "the clock is at %s, and nothing holds it\n", ago(first.Vouched, now))
	}
	for _, o := range c.Open {
		fmt.Fprintf(w, "%s is read no further than %s\n    %s\n", o.TopicPartition, &o, o.Remedy())
	}
	if c.Unknown != nil {
		fmt.Fprintf(w, "open transactions are not known: %v\n", c.Unknown)
	}
	fmt.Fprintf(w, "instances that run: %d\n\n", c.Members)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tVOUCHED FOR UP TO\tSTATE\tWHY")
	for _, s := range c.Sources {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.TopicPartition, ago(s.Vouched, now), s.State, s.Why())
	}
	return table.Flush()
}

// ago is an instant of a clock, and how long ago it was.
func ago(at call.Arrival, now time.Time) string {
	if at <= 0 {
		return "no time yet"
	}
	t := time.UnixMilli(int64(at)).UTC()
	return fmt.Sprintf("%s, %v ago", t.Format("2006-01-02 15:04:05Z"), max(now.Sub(t), 0).Round(time.Second))
}

// clocksView is what clock says to programs. Instants are epoch milliseconds, null where
// they are not known.
type clocksView struct {
	LegClock   *int64       `json:"leg_clock"`
	Held       bool         `json:"held"`
	HeldBy     string       `json:"held_by"`
	Why        string       `json:"why"`
	Do         string       `json:"do"`
	Instances  int          `json:"instances"`
	Partitions []sourceView `json:"partitions"`
	Open       []openView   `json:"open_transactions"`
	Unknown    string       `json:"unknown"` // why transactions are not known
}

type sourceView struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	State     string  `json:"state"`
	Vouched   *int64  `json:"vouched"`
	Position  *int64  `json:"position"`
	End       *int64  `json:"end"`
	Leader    *int32  `json:"leader"`
	Replicas  []int32 `json:"replicas"`
	Owner     string  `json:"owner"`
	Dropped   *int64  `json:"dropped"`
}

type openView struct {
	Topic           string `json:"topic"`
	Partition       int32  `json:"partition"`
	FirstOffset     int64  `json:"first_offset"`
	ProducerID      int64  `json:"producer_id"`
	ProducerEpoch   int16  `json:"producer_epoch"`
	TransactionalID string `json:"transactional_id"`
	State           string `json:"coordinator_state"`
	Since           int64  `json:"since"`
	Ends            *int64 `json:"ends"`
	Executed        *bool  `json:"executed,omitempty"`
}

type dropView struct {
	sourceView
	Executed bool `json:"executed"`
}

func viewClocks(c *kafka.Clocks, now time.Time) clocksView {
	v := clocksView{Instances: c.Members, Partitions: []sourceView{}, Open: []openView{}}
	if first, ok := c.HeldBy(); ok {
		_, v.Held = c.Held(now)
		v.LegClock, v.HeldBy, v.Why, v.Do = known(int64(first.Vouched)), first.TopicPartition.String(), first.Why(), first.Remedy()
	}
	if c.Unknown != nil {
		v.Unknown = c.Unknown.Error()
	}
	for _, s := range c.Sources {
		v.Partitions = append(v.Partitions, viewSource(s))
	}
	for _, o := range c.Open {
		v.Open = append(v.Open, viewOpen(&o))
	}
	return v
}

func viewSource(s kafka.SourceClock) sourceView {
	v := sourceView{
		Topic: s.Topic, Partition: s.Partition, State: string(s.State), Vouched: known(int64(s.Vouched)),
		Position: known(s.Position), End: known(s.End), Leader: known(s.Leader), Replicas: append([]int32{}, s.Replicas...), Owner: s.Owner,
	}
	if !s.Dropped.IsZero() {
		v.Dropped = known(s.Dropped.UnixMilli())
	}
	return v
}

func viewOpen(o *kafka.OpenTransaction) openView {
	v := openView{
		Topic: o.Topic, Partition: o.Partition, FirstOffset: o.First, ProducerID: o.Producer, ProducerEpoch: o.Epoch,
		TransactionalID: o.ID, State: o.State, Since: o.Since.UnixMilli(),
	}
	if !o.Hangs() {
		v.Ends = known(o.Ends.UnixMilli())
	}
	return v
}

// known is a number that is there where it is not negative.
func known[N int32 | int64](n N) *N {
	if n < 0 {
		return nil
	}
	return &n
}

// writeObject writes one JSON object on a line.
func writeObject(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
