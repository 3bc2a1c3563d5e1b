package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
)

func newRejectsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Count the rejects by reason, source and tenant, or list them one by one",
		Long: `list reads call.rejects up to its end and says how many rejects there are of each
reason, source topic and tenant, when the records of the first and the last of them
were, and the place of one. With --each it has a line for each reject instead: its
place, when its record was, the reason, where the record was read, and what is wrong.

The flags choose which are meant; several words in one flag mean any of them. Whose a
reject is comes from its headers, else from the source's configuration. It reads from no
consumer group and changes nothing.`,
		Example: `  callstitch rejects list -c callstitch.yaml
  callstitch rejects list -c callstitch.yaml --reason UNKNOWN_PROVIDER --since -2h --each
  callstitch rejects list -c callstitch.yaml --since -5m --fail-if-any`,
		Args: takes(),
	}
	flags := addConfigFlags(cmd, brokersFlag)
	selection := addSelectionFlags(cmd)
	format := addOutputFlag(cmd)
	each := cmd.Flags().Bool("each", false, "a line for each reject instead of one for each kind")
	failIfAny := cmd.Flags().Bool("fail-if-any", false, "exit with 1 where any reject is meant")
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		sel, err := selection.selection()
		if err != nil {
			return err
		}
		topic, err := openRejects(flags, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		out := bufio.NewWriter(cmd.OutOrStdout())
		l := lister{out: out, json: *format == outputJSON}
		add := func(e *rejects.Entry) error { l.histogram.Add(e); return nil }
		if *each {
			add = l.line
		}
		t, err := topic.each(ctx, sel, selection.max, add)
		if err == nil && !*each {
			err = l.rows()
		}
		if err == nil && !l.json {
			_, err = fmt.Fprintf(out, "%d of %d rejects\n", t.meant.Load(), t.read.Load()-t.strange)
		}
		if err := errors.Join(err, out.Flush()); err != nil {
			return err
		}
		t.remark(terminal.New(cmd.ErrOrStderr()))
		if n := t.meant.Load(); *failIfAny && n > 0 {
			return fmt.Errorf("there are %d rejects: 'callstitch rejects show' tells of one", n)
		}
		return nil
	})
	return cmd
}

// lister writes what list found.
type lister struct {
	out       io.Writer
	json      bool
	histogram rejects.Histogram
}

// instantText is an instant as --since takes it.
func instantText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func (l *lister) rows() error {
	if l.json {
		for _, r := range l.histogram.Rows() {
			if err := writeJSON(l.out, rowOf(&r)); err != nil {
				return err
			}
		}
		return nil
	}
	rows := l.histogram.Rows()
	if len(rows) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "reason\tsource\ttenant\trejects\treplayed\tfirst\tlast\tfor example")
	for _, r := range rows {
		tenant := shortened(r.Tenant)
		if r.Others {
			tenant = "(all others)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", r.Reason, shortened(r.Topic), tenant, r.Count, r.Replayed, instantText(r.First), instantText(r.Last), r.Example)
	}
	return table.Flush()
}

// tenantShown is how much of a tenant a row has: a header may hold anything.
const tenantShown = 40

func shortened(text string) string {
	runes := []rune(terminal.Printable(text))
	if len(runes) > tenantShown {
		return string(runes[:tenantShown-1]) + "…"
	}
	return string(runes)
}

// line is one reject.
func (l *lister) line(e *rejects.Entry) error {
	if l.json {
		return writeJSON(l.out, entryOf(e))
	}
	_, err := fmt.Fprintf(l.out, "%s  %s  %s  of %s  %s\n", e.Place, instantText(e.Reject.Timestamp), e.Reject.Reason, terminal.Printable(e.Origin().String()), terminal.Printable(e.Reject.Detail))
	if err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// writeJSON writes a value as a line.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // it is for programs that read JSON, not for pages
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

type jsonPlace struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

func placeOf(p rejects.Place) jsonPlace { return jsonPlace{p.Topic, p.Partition, p.Offset} }

type jsonRow struct {
	Reason   string    `json:"reason"`
	Source   string    `json:"source"`
	Tenant   *string   `json:"tenant"` // null: all others
	Rejects  int64     `json:"rejects"`
	Replayed int64     `json:"replayed"`
	First    int64     `json:"first"`
	Last     int64     `json:"last"`
	Example  jsonPlace `json:"example"`
}

func rowOf(r *rejects.Row) jsonRow {
	row := jsonRow{r.Reason.String(), r.Topic, &r.Tenant, r.Count, r.Replayed, r.First, r.Last, placeOf(r.Example)}
	if r.Others {
		row.Tenant = nil
	}
	return row
}

type jsonEntry struct {
	jsonPlace
	Timestamp int64     `json:"timestamp"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Source    jsonPlace `json:"source"`
	Provider  *string   `json:"provider"` // null: nothing names one
	Tenant    string    `json:"tenant"`
	Replays   int       `json:"replays"`
	Bytes     int       `json:"bytes"`
	Missing   *string   `json:"missing"` // null: all of the record is here
}

func entryOf(e *rejects.Entry) jsonEntry {
	return jsonEntry{
		jsonPlace: placeOf(e.Place), Timestamp: e.Reject.Timestamp, Reason: e.Reject.Reason.String(), Message: e.Reject.Detail,
		Source: placeOf(e.Origin()), Provider: orNull(e.Provider.String()), Tenant: e.Tenant, Replays: e.Replays,
		Bytes: len(e.Reject.Value), Missing: orNull(e.Missing()),
	}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
