package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

type tailOptions struct {
	config *configFlags
	from   string
	follow bool
	count  int
}

func newTail() *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail TOPIC",
		Short: "Print the records of an output topic, decoded, one JSON object a line",
		Long: `tail reads the committed records of a topic and prints their values as JSON, with
the schema that each was written with. Records without a schema, such as rejects,
are printed with their key and headers; so is one that cannot be decoded, with the
reason. It ends at the end of the topic, or with --follow goes on.`,
		Example: `  callstitch tail call.sessions --brokers 127.0.0.1:9092 --follow
  callstitch tail call.sessions | jq 'select(.disposition == "BUSY")'`,
		Args: takes([]argument{{name: "TOPIC", is: "an output topic, such as call.sessions"}}),
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "earliest", "`WHERE` to begin: earliest, latest, an offset or -N of each partition, or an RFC 3339 instant")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what is written later")
	f.IntVarP(&o.count, "count", "n", 0, "end after `N` records; 0 does not count")
	o.config = addConfigFlags(cmd, brokersFlag, registryFlag)
	return cmd
}

// errEnough ends a tail after the records that were asked for.
var errEnough = errors.New("enough")

func (o *tailOptions) run(cmd *cobra.Command, topic string) error {
	cfg, err := o.config.load()
	if err != nil {
		return err
	}
	if len(cfg.Kafka.Brokers) == 0 {
		return usageError{errors.New("--brokers or kafka.brokers is required")}
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return err
	}
	registry, err := cfg.Registry.Open()
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	out, printed := bufio.NewWriter(cmd.OutOrStdout()), 0
	var line []byte
	err = kafka.Tail(ctx, kafka.TailConfig{
		Brokers: runtime.Brokers, Client: runtime.Client, Topic: topic, From: o.from, Follow: o.follow,
		Left: func(partitions []int32) {
			terminal.New(cmd.ErrOrStderr()).Remark(leftOut(topic, partitions))
		},
	}, func(r topology.Record) error {
		line = appendDecoded(ctx, line[:0], registry, r)
		if _, err := out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		if printed++; printed == o.count {
			return errEnough
		}
		if o.follow {
			return out.Flush()
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, out.Flush())
}

// leftOut says which partitions of a topic are not read.
func leftOut(topic string, partitions []int32) string {
	return fmt.Sprintf("of %s partitions %v are left out: %v", topic, partitions, kafka.ErrNoLeader)
}

// appendDecoded appends a record's value as JSON where it has a schema, else the
// record with key and headers. What cannot be decoded is shown as it is, with
// the reason: one bad record hides no other.
func appendDecoded(ctx context.Context, b []byte, registry *schemas.Registry, r topology.Record) []byte {
	if r.Value == nil || hasHeader(r, "callstitch.reason") {
		return rawfile.AppendObject(b, &r, nil)
	}
	id, avro, err := schemas.ParseFrame(r.Value)
	if err != nil {
		return rawfile.AppendObject(b, &r, nil)
	}
	reader, err := registry.Reader(ctx, id)
	if err != nil {
		return rawfile.AppendObject(b, &r, err)
	}
	line, err := reader.AppendJSON(b, avro)
	if err != nil {
		return rawfile.AppendObject(b, &r, err)
	}
	return line
}

func hasHeader(r topology.Record, key string) bool {
	for _, h := range r.Headers {
		if h.Key == key {
			return true
		}
	}
	return false
}
