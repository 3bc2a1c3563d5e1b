package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

func newSeek() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seek TOPIC PARTITION OFFSET",
		Short: "Go on at another offset of a source partition, once nothing runs",
		Long: `seek moves the committed offset of a source partition, after all instances were
stopped. Unlike the tools that come with Kafka it keeps what callstitch has committed
beside the offset, so the partition's book in call.audit shows what was passed over:
from then on read is larger than decoded + ignored + rejected, by as many offsets.
Records that come again are duplicates. It says what it would do, and does it only
with --execute. Afterwards start callstitch.`,
		Example: `  callstitch seek call.raw 3 120500 -c callstitch.yaml
  callstitch seek call.raw 3 120500 -c callstitch.yaml --execute`,
		Args: takes([]argument{{name: "TOPIC", is: "a source"}, partitionArgument, offsetArgument}),
	}
	flags := addConfigFlags(cmd, brokersFlag)
	execute := addExecuteFlag(cmd)
	cmd.RunE = runs(func(cmd *cobra.Command, args []string) error {
		partition, err1 := strconv.ParseInt(args[1], 10, 32)
		offset, err2 := strconv.ParseInt(args[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return usageError{err}
		}
		cfg, _, err := flags.loadWith(config.ToRun)
		if err != nil {
			return err
		}
		runtime, err := cfg.Runtime()
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		move, err := kafka.Seek(ctx, runtime, topology.TopicPartition{Topic: args[0], Partition: int32(partition)}, offset, *execute)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), told(move, *execute))
		return nil
	})
	return cmd
}

// told says what a move does, or did.
func told(m kafka.Move, done bool) string {
	about := ""
	if m.About {
		about = " or a little further"
	}
	s := fmt.Sprintf("%s was read to %d%s, and ", m.TopicPartition, m.From, about)
	if m.Anew {
		s += "its topic is another one now, made anew. It "
	}
	s += fmt.Sprintf("goes on at %d: ", m.To)
	switch {
	case m.Passed > 0:
		s += fmt.Sprintf("%d offsets are passed over, and missing in its book", m.Passed)
	case m.To < m.From && !m.Anew:
		s += fmt.Sprintf("%d offsets are read again, and their events are duplicates", m.From-m.To)
	default:
		s += "nothing is passed over"
	}
	if done {
		return s + "\ndone"
	}
	return s + "\nnothing was changed: --execute does it"
}
