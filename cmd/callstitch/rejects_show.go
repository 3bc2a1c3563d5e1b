package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

const (
	// showMax bounds how many rejects are told at once, for people read them.
	showMax = 100
	// fetchLimit bounds reading one record.
	fetchLimit = 30 * time.Second
)

type showOptions struct {
	config      *configFlags
	selection   *selectionFlags
	output      *outputFormat
	last        int // 0: the place that the arguments name
	showNumbers bool
}

func newRejectsShow() *cobra.Command {
	o := new(showOptions)
	cmd := &cobra.Command{
		Use:   "show {TOPIC PARTITION OFFSET | TOPIC/PARTITION/OFFSET | -n N}",
		Short: "Tell of a reject what it is, and what the decoder would make of it now",
		Long: `show tells of one reject, or with -n of the last N that the other flags mean: why it
was rejected, where it was read, its headers, its value, and what this version's decoder,
with what the configuration says of the source, makes of it now: whether it would be
taken, as which event of which leg. Where call.rejects does not have all of the record, it
is read again from its source, if that has it still.

Numbers, callers' names and what signs an address are masked, but with --show-numbers.
State has no say: a record that would be taken may be a duplicate, or late.`,
		Example: `  callstitch rejects show call.rejects 3 1042 -c callstitch.yaml
  callstitch rejects show -n 1 --source call.raw/3/118204 -c callstitch.yaml
  callstitch rejects show -n 5 --reason BAD_FIELD --since -1h -c callstitch.yaml`,
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }),
	}
	place := []argument{{name: "TOPIC", is: "that of the rejects, such as call.rejects"}, partitionArgument, offsetArgument}
	joined := []argument{{"PLACE", "TOPIC/PARTITION/OFFSET", func(s string) bool { _, ok := rejects.ParsePlace(s); return ok }}}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("last") {
			return takes()(cmd, args)
		}
		return takes(place, joined)(cmd, args)
	}
	o.config = addConfigFlags(cmd, brokersFlag)
	o.selection = addSelection(cmd)
	o.output = addOutputFlag(cmd)
	cmd.Flags().IntVarP(&o.last, "last", "n", 0, fmt.Sprintf("the last `N` that are meant, at most %d", showMax))
	cmd.Flags().BoolVar(&o.showNumbers, "show-numbers", false, "show values and headers as they are")
	return cmd
}

func (o *showOptions) run(cmd *cobra.Command, args []string) error {
	switch chosen := o.selection.given(); {
	case len(args) == 0 && (o.last < 1 || o.last > showMax):
		return usageError{fmt.Errorf("-n must be from 1 to %d", showMax)}
	case len(args) > 0 && len(chosen) > 0:
		return usageError{fmt.Errorf("--%s chooses among rejects: it goes with -n, not with a place", chosen[0])}
	}
	sel, err := o.selection.selection()
	if err != nil {
		return err
	}
	topic, err := openRejects(o.config, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	places := []rejects.Place{placeIn(args)}
	if o.last > 0 {
		if places, err = topic.last(ctx, sel, o.last); err != nil {
			return err
		}
	}
	w := shower{topic: topic, out: terminal.New(cmd.OutOrStdout()), plain: o.showNumbers, json: *o.output == outputJSON}
	for i, p := range places {
		if i > 0 && !w.json {
			fmt.Fprintln(w.out)
		}
		if err := w.show(ctx, p); err != nil {
			return err
		}
	}
	if len(places) == 0 && !w.json {
		fmt.Fprintln(w.out, "no rejects")
	}
	return nil
}

// placeIn is the place that arguments name; they were checked.
func placeIn(args []string) (p rejects.Place) {
	p, _ = rejects.ParsePlace(strings.Join(args, "/"))
	return p
}

// last are the places of the last n rejects that are meant, the last of them at the end.
// Only places are kept: values may be large.
func (r *rejectsTopic) last(ctx context.Context, sel rejects.Selection, n int) ([]rejects.Place, error) {
	type dated struct {
		rejects.Place
		at int64
	}
	var kept []dated
	_, err := r.each(ctx, sel, 0, func(e *rejects.Entry) error {
		d := dated{e.Place, e.Reject.Timestamp}
		i, _ := slices.BinarySearchFunc(kept, d, func(a, b dated) int { return cmp.Or(cmp.Compare(a.at, b.at), a.Compare(b.Place)) })
		kept = slices.Insert(kept, i, d)
		if len(kept) > n {
			kept = slices.Delete(kept, 0, 1)
		}
		return nil
	})
	places := make([]rejects.Place, len(kept))
	for i, d := range kept {
		places[i] = d.Place
	}
	return places, err
}

// at is the reject at a place.
func (r *rejectsTopic) at(ctx context.Context, p rejects.Place) (*rejects.Entry, error) {
	rec, found, err := r.record(ctx, p)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("there is no record at %s that readers may have: 'callstitch rejects list --each' has the places", p)
	}
	e, err := rejects.Read(&r.topology, rec)
	if err != nil && p.Topic != r.tail.Topic {
		err = fmt.Errorf("%w; the rejects of this configuration are in %s: 'callstitch rejects show -n 1 --source %s/%d/%d' finds that of a source's record", err, r.tail.Topic, p.Topic, p.Partition, p.Offset)
	}
	return &e, err
}

// record is the record at a place of any topic.
func (r *rejectsTopic) record(ctx context.Context, p rejects.Place) (topology.Record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	tail := r.tail
	tail.Topic = p.Topic
	rec, found, err := kafka.RecordAt(ctx, tail, p.Partition, p.Offset)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // else it is that of a step, which says what it was
		err = fmt.Errorf("%s was not read within %v: has its partition a leader?", p, fetchLimit)
	}
	return rec, found, err
}

// shower tells of rejects.
type shower struct {
	topic *rejectsTopic
	out   terminal.Writer
	plain bool
	json  bool
}

func (w *shower) show(ctx context.Context, p rejects.Place) error {
	e, err := w.topic.at(ctx, p)
	if err != nil {
		return err
	}
	o := w.topic.opinion(ctx, e)
	if w.json {
		return w.object(e, &o)
	}
	w.text(e, &o)
	return nil
}

// opinion is what the decoder makes of a reject now.
type opinion struct {
	rejects.Verdict
	known    bool     // false: nothing can be said
	conflict bool     // state would reject what the decoder takes
	remarks  []string // what the verdict rests on, or why there is none
	cures    []string // what would have it taken
}

// opinion judges the whole record, from its source where the reject has not all of it.
func (r *rejectsTopic) opinion(ctx context.Context, e *rejects.Entry) (o opinion) {
	raw := e.Raw()
	if missing := e.Missing(); missing != "" {
		if !e.Fetchable() {
			o.remarks = append(o.remarks, "nothing can be said: "+missing)
			return o
		}
		rec, found, err := r.record(ctx, e.Origin())
		if err == nil && found {
			err = e.Same(&rec)
		}
		switch {
		case err != nil:
			o.remarks = append(o.remarks, fmt.Sprintf("nothing can be said: %s, and from %s it could not be read again: %v", missing, e.Origin(), err))
			return o
		case !found:
			o.remarks = append(o.remarks, fmt.Sprintf("nothing can be said: %s, and %s is gone", missing, e.Origin()))
			return o
		}
		raw = rec
		o.remarks = append(o.remarks, fmt.Sprintf("judged by %s itself, for %s", e.Origin(), missing))
	}
	if !e.Known {
		o.remarks = append(o.remarks, fmt.Sprintf("judged by headers and shape alone: the configuration has no source %s", terminal.Printable(e.Reject.Source.Topic)))
	}
	o.known, o.Verdict = true, rejects.Judge(e.Source, raw)
	if o.Rejected() {
		o.cures = rejects.Cures(e.Source, raw)
	}
	if o.conflict = e.InConflict(&o.Verdict); o.conflict {
		o.remarks = slices.Insert(o.remarks, 0, "and then be in conflict again: its id is that of another event of the same leg, with other content; a scope of its own would tell them apart")
	}
	return o
}

func (w *shower) text(e *rejects.Entry, o *opinion) {
	say := func(what, text string) {
		indented := strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", 14))
		fmt.Fprintf(w.out, "  %-10s  %s\n", what, indented)
	}
	fmt.Fprintf(w.out, "%s  %s\n", w.out.Paint(terminal.Bold, e.Place.String()), w.out.Paint(terminal.Red, e.Reject.Reason.String()))
	say("message", terminal.Printable(e.Reject.Detail))
	say("source", terminal.Printable(e.Origin().String()))
	say("dated", time.UnixMilli(e.Reject.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	say("tenant", shortened(e.Tenant))
	say("provider", cmp.Or(e.Provider.String(), "not named"))
	if e.Replays > 0 {
		say("replayed", strconv.Itoa(e.Replays)+" times")
	}
	if e.Reject.Batch != "" {
		say("batch", terminal.Printable(e.Reject.Batch))
	}
	if e.Reject.Key != nil {
		say("key", rejects.Pretty(e.Reject.Key, w.plain))
	}
	for _, h := range e.Reject.Headers {
		say("header", terminal.Printable(h.Key)+": "+rejects.Pretty(h.Value, w.plain))
	}
	if missing := e.Missing(); missing != "" {
		say("here", terminal.Printable(missing))
	}
	say("value", cmp.Or(rejects.Pretty(e.Reject.Value, w.plain), "(empty)"))
	if o.known {
		colour := terminal.Green
		if o.Rejected() || o.conflict {
			colour = terminal.Red
		}
		say("now", w.out.Paint(colour, o.String()))
	}
	for _, cure := range o.cures {
		say("", "with --set "+cure+" it would be taken")
	}
	for _, remark := range o.remarks {
		say("", terminal.Printable(remark))
	}
}

type jsonEvent struct {
	Provider string `json:"provider"`
	Type     string `json:"event_type"`
	CallID   string `json:"provider_call_id"`
	Leg      string `json:"leg_id"`
}

type jsonVerdict struct {
	Outcome string      `json:"outcome"` // taken, ignored, rejected, conflict, unknown
	Events  []jsonEvent `json:"events"`
	Ignored *string     `json:"ignored"`
	Reason  *string     `json:"reason"`
	Message *string     `json:"message"`
	Cures   []string    `json:"cures"`
	Remarks []string    `json:"remarks"`
}

type jsonHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// jsonShown is a reject with its value as people are told it: who needs the bytes takes
// them from tail.
type jsonShown struct {
	jsonEntry
	Key     string       `json:"key"`
	Headers []jsonHeader `json:"headers"`
	Value   string       `json:"value"`
	Now     jsonVerdict  `json:"now"`
}

func (w *shower) object(e *rejects.Entry, o *opinion) error {
	shown := jsonShown{
		jsonEntry: entryOf(e), Key: rejects.Pretty(e.Reject.Key, w.plain), Value: rejects.Pretty(e.Reject.Value, w.plain),
		Headers: []jsonHeader{}, Now: verdictOf(o),
	}
	for _, h := range e.Reject.Headers {
		shown.Headers = append(shown.Headers, jsonHeader{h.Key, rejects.Pretty(h.Value, w.plain)})
	}
	return writeJSON(w.out, &shown)
}

func verdictOf(o *opinion) jsonVerdict {
	v := jsonVerdict{Outcome: "taken", Events: []jsonEvent{}, Ignored: orNull(o.Ignored), Cures: append([]string{}, o.cures...), Remarks: append([]string{}, o.remarks...)}
	for _, t := range o.Taken {
		v.Events = append(v.Events, jsonEvent{t.Provider.String(), t.Type.String(), t.CallID, t.Leg.String()})
	}
	switch {
	case !o.known:
		v.Outcome = "unknown"
	case o.Rejected():
		reason := o.Reason.String()
		v.Outcome, v.Reason, v.Message = "rejected", &reason, &o.Detail
	case o.conflict:
		v.Outcome = "conflict"
	case o.Ignored != "":
		v.Outcome = "ignored"
	}
	return v
}
