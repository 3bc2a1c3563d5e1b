package main

import (
	"os"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/internal/receive"
	"callstitch/topology/kafka"
)

func newReceive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Take the providers' webhooks and feeds to Kafka: the front door",
		Long: `receive takes what the providers post, and what their WebSockets push, to a source
topic, until SIGINT or SIGTERM, which answer what is in flight; a second signal ends at
once. It answers with success when Kafka has the event, or its spool on disk, and never
before. It is a process of its own: it runs on while the processor does not.

What it listens to, and how each provider proves itself, is below receive in the
configuration; 'callstitch check' looks at it first.`,
		Example: `  callstitch receive -c callstitch.yaml`,
		Args:    takes(),
	}
	flags := addConfigFlags(cmd, brokersFlag, doorFlag, logLevelFlag, logFormatFlag)
	cmd.RunE = runs(func(_ *cobra.Command, _ []string) error {
		cfg, unknown, err := flags.loadWith(config.ToReceive)
		if err != nil {
			return err
		}
		log := newLog(cfg.Log, os.Stderr)
		for _, name := range unknown {
			log.Warn("an environment variable sets no key", "name", name)
		}
		receiver, err := cfg.Receiver()
		if err != nil {
			return err
		}
		limitMemory(log)
		metrics := newMetrics()
		receiver.Log, receiver.Metrics = log, metrics
		receiver.Client = append(receiver.Client, kafka.Quiet(log))
		log.Info("starting", "version", version(), "brokers", cfg.Kafka.Brokers, "topic", receiver.Topic,
			"endpoints", len(receiver.Endpoints), "feeds", len(receiver.Feeds))
		ctx, stop := untilSignal()
		defer stop()
		go watchCredentials(ctx, cfg, log, metrics)
		return receive.Run(ctx, receiver)
	})
	return cmd
}
