package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"callstitch/topology"
	"callstitch/topology/kafka"
)

func newAbort() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "abort TOPIC PARTITION",
		Short: "End a transaction that nobody ends, behind which readers of a partition wait",
		Long: `abort finds the first transaction that is open in a partition. Where no coordinator
knows of it any more, as after its markers were lost, readers of committed records wait
behind it for ever, and abort ends it: its records in this partition are never read. What
it wrote to others stays as it is. It says what it would do, and does it only with
--execute, for which the user needs ALTER on the cluster.`,
		Example: `  callstitch abort call.raw 3 -c callstitch.yaml
  callstitch abort callstitch-exchange-repartition 0 --brokers 127.0.0.1:9092 --execute`,
		Args: takes([]argument{{name: "TOPIC", is: "any topic"}, partitionArgument}),
	}
	flags, execute, format := addConfigFlags(cmd, brokersFlag), addExecuteFlag(cmd), addOutputFlag(cmd)
	cmd.RunE = runs(func(cmd *cobra.Command, args []string) error {
		partition, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return usageError{err}
		}
		cfg, err := flags.load()
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
		ctx, stop := untilSignal()
		defer stop()
		open, err := kafka.PlanAbort(ctx, runtime, topology.TopicPartition{Topic: args[0], Partition: int32(partition)})
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *format == outputText {
			fmt.Fprintf(out, "%s is read no further than %s\n", open.TopicPartition, open)
			if open.State == "CompleteCommit" {
				fmt.Fprintln(out, "its coordinator last committed a transaction of this producer: if it was this one, what it wrote here is lost with the abort, while the rest of it is there")
			}
			if open.ID == "" {
				fmt.Fprintln(out, "where its producer has a transactional id that this user may not see (DESCRIBE), a coordinator may still commit the rest of it: look as somebody who may first")
			}
			fmt.Fprintln(out, "its records in this partition will never be read, and readers go on behind them")
		}
		if *execute {
			if err := kafka.ExecuteAbort(ctx, runtime, open); err != nil {
				return err
			}
		}
		if *format == outputJSON {
			v := viewOpen(open)
			v.Executed = execute
			return writeObject(out, v)
		}
		fmt.Fprintln(out, outcome(*execute))
		return nil
	})
	return cmd
}
