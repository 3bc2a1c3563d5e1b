package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/internal/simulator"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

type simulateOptions struct {
	config       *configFlags
	traffic      simulator.Config
	start        string
	topic, truth string
	to           string
}

func newSimulate() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Make synthetic provider traffic from a seed",
		Long: `simulate draws calls and writes the events that the providers would send about
them: to standard output as kcat -J prints them, or where brokers are configured
to a Kafka topic, or with --to to the front door: posted, as webhooks are. On standard
output equal flags give equal bytes. To Kafka or the door each record is sent when its
time has come, from now on; with --start as fast as it goes.

With -c an event goes to the endpoint of its provider and tenant, with the authentication
that is configured there; where no endpoint is that tenant's, to the first of the provider.
Without, it goes to URL/PROVIDER/TENANT, or where URL has {provider} and {tenant}; a name
and a password in the URL are given when they are asked for.`,
		Example: `  callstitch simulate --calls 100 | callstitch process --format kcat
  callstitch simulate --brokers 127.0.0.1:9092 --calls 0 --rate 20
  callstitch simulate --to http://127.0.0.1:8085 -c callstitch.yaml --calls 0`,
		Args: takes(),
		RunE: runs(func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }),
	}
	f := cmd.Flags()
	f.Uint64Var(&o.traffic.Seed, "seed", 1, "`N` that everything is drawn from")
	f.IntVar(&o.traffic.Calls, "calls", 100, "`N` calls to make; 0 never ends")
	f.Float64Var(&o.traffic.Rate, "rate", 10, "`N` calls that start in a second")
	f.Float64Var(&o.traffic.Duplicates, "duplicates", 0.05, "`SHARE` of records that come twice")
	f.Float64Var(&o.traffic.Disorder, "disorder", 0.05, "`SHARE` of records that come late, by up to 5s")
	f.Float64Var(&o.traffic.Loss, "loss", 0, "`SHARE` of records that never come")
	f.Float64Var(&o.traffic.Transfers, "transfers", 0.1, "`SHARE` of answered calls that are passed on")
	f.Float64Var(&o.traffic.Garbage, "garbage", 0, "`SHARE` of further records that cannot be taken")
	f.IntVar(&o.traffic.Tenants, "tenants", 3, "`N` tenants that the calls belong to")
	f.StringSliceVar(&o.traffic.Providers, "providers", nil, "`PROVIDER,…` that the calls come from; all, or those that have an endpoint")
	f.StringVar(&o.start, "start", "", "`INSTANT` of the first call (RFC 3339)")
	f.StringVar(&o.topic, "topic", rawTopic, "`TOPIC` of the records; that of the first source where one is configured")
	f.StringVar(&o.to, "to", "", "`URL` of the front door, instead of Kafka")
	f.StringVar(&o.truth, "truth", "", "`FILE` for the sessions that must come out, one JSON object a line")
	o.config = addConfigFlags(cmd, brokersFlag, registryFlag)
	return cmd
}

func (o *simulateOptions) run(cmd *cobra.Command) error {
	if err := o.traffic.Validate(); err != nil {
		return usageError{err}
	}
	if o.start != "" {
		start, err := time.Parse(time.RFC3339, o.start)
		if err != nil {
			return usageError{fmt.Errorf("--start must be an instant such as 2026-01-31T08:00:00Z, not %q", o.start)}
		}
		o.traffic.Start = start
	}
	o.traffic.DiscardTruth = o.truth == ""
	cfg, err := o.config.load()
	if err != nil {
		return err
	}
	if len(cfg.Sources) > 0 && !cmd.Flags().Changed("topic") {
		o.topic = cfg.Sources[0].Topic
	}
	ctx, stop := untilSignal()
	defer stop()
	truth, err := newTruthFile(o.truth)
	if err != nil {
		return err
	}
	switch {
	case o.to != "":
		err = o.toDoor(ctx, cmd.ErrOrStderr(), cfg, truth)
	case len(cfg.Kafka.Brokers) == 0:
		err = o.toStdout(ctx, cmd.OutOrStdout(), truth)
	default:
		err = o.toKafka(ctx, cfg, truth)
	}
	return errors.Join(err, truth.Close())
}

func (o *simulateOptions) toStdout(ctx context.Context, w io.Writer, truth *truthFile) error {
	out := bufio.NewWriterSize(w, 256<<10)
	sim := simulator.New(o.traffic)
	var line []byte
	for n := int64(0); ctx.Err() == nil; n++ {
		r, ok := sim.Next()
		if !ok {
			break
		}
		record := rawRecord(o.topic, r)
		record.Offset = n
		line = append(rawfile.AppendKcat(line[:0], &record), '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		if err := truth.write(sim); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

func (o *simulateOptions) toKafka(ctx context.Context, cfg *config.Config, truth *truthFile) error {
	runtime, err := cfg.Runtime()
	if err != nil {
		return err
	}
	producer, err := kafka.NewProducer(ctx, runtime.Brokers, runtime.Client)
	if err != nil {
		return err
	}
	live := o.traffic.Start.IsZero()
	if live {
		o.traffic.Start = time.Now()
	}
	sim := simulator.New(o.traffic)
	err = send(ctx, sim, live, func(r simulator.Record) error {
		if err := producer.Produce(context.WithoutCancel(ctx), rawRecord(o.topic, r)); err != nil {
			return err
		}
		return truth.write(sim)
	})
	return errors.Join(err, producer.Close())
}

// send passes on the records of a simulator until it ends or ctx does: live, each
// one when its time has come.
func send(ctx context.Context, sim *simulator.Simulator, live bool, produce func(simulator.Record) error) error {
	for ctx.Err() == nil {
		r, ok := sim.Next()
		if !ok {
			return nil
		}
		if live && !sleepUntil(ctx, time.UnixMilli(r.Timestamp)) {
			return nil
		}
		if err := produce(r); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// sleepUntil waits for t; false means that ctx ended first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func rawRecord(topic string, r simulator.Record) topology.Record {
	record := topology.Record{Topic: topic, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		record.Headers = append(record.Headers, call.Header{Key: h.Key, Value: h.Value})
	}
	return record
}

// truthFile takes the sessions that must come out; nil takes none.
type truthFile struct {
	file *os.File
	out  *bufio.Writer
	line []byte
}

func newTruthFile(path string) (*truthFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write truth: %w", err)
	}
	return &truthFile{file: f, out: bufio.NewWriter(f)}, nil
}

// write takes the truths that have become certain.
func (t *truthFile) write(sim *simulator.Simulator) error {
	if t == nil {
		return nil
	}
	for _, truth := range sim.Truth() {
		t.line = append(truth.AppendJSON(t.line[:0]), '\n')
		if _, err := t.out.Write(t.line); err != nil {
			return fmt.Errorf("write truth: %w", err)
		}
	}
	return nil
}

// Close ends the file.
func (t *truthFile) Close() error {
	if t == nil {
		return nil
	}
	if err := errors.Join(t.out.Flush(), t.file.Close()); err != nil {
		return fmt.Errorf("write truth: %w", err)
	}
	return nil
}
