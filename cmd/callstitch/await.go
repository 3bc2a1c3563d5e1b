package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology/kafka"
)

type awaitOptions struct {
	config          *configFlags
	output          *outputFormat
	behind, timeout time.Duration
}

func newAwait() *cobra.Command {
	var o awaitOptions
	cmd := &cobra.Command{
		Use:   "await",
		Short: "Wait until the instances have caught up with their topics",
		Long: `await waits until all instances of a configuration together have caught up: what was
in the sources --behind ago is processed, and sessions close no later than that. It
exits 0 then, and 1 after --timeout, with what is behind.

It asks the brokers, and no instance: so it does not matter which of several would
answer, nor whether one has started yet.`,
		Example: `  callstitch await -c green.yaml
  callstitch await -c callstitch.yaml --behind 30s --timeout 10m && callstitch compare blue.yaml green.yaml`,
		Args: takes(),
		RunE: runs(func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }),
	}
	f := cmd.Flags()
	f.DurationVar(&o.behind, "behind", 5*time.Second, "`TIME` that instances may be behind; a healthy one is by about a second")
	f.DurationVar(&o.timeout, "timeout", 2*time.Hour, "give up after `TIME`")
	o.output = addOutputFlag(cmd)
	o.config = addConfigFlags(cmd, brokersFlag)
	return cmd
}

// behindLeast is the least that can be asked for: clocks are told twice a second, and
// trail by a second or so.
const behindLeast = time.Second

func (o *awaitOptions) run(cmd *cobra.Command) error {
	switch {
	case o.behind < behindLeast:
		return usageError{fmt.Errorf("--behind is at least %v: clocks trail by about that", behindLeast)}
	case o.timeout <= 0:
		return usageError{errors.New("--timeout must be more than 0")}
	}
	cfg, _, err := o.config.loadWith(config.ToRun)
	if err != nil {
		return err
	}
	runtime, err := cfg.Runtime()
	if err != nil {
		return err
	}
	signalled, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(signalled, o.timeout)
	defer cancel()
	var last atomic.Pointer[string]
	begun, none := time.Now(), "looking at the brokers"
	last.Store(&none)
	progress := terminal.StartProgress(cmd.ErrOrStderr(), func() string { return *last.Load() })
	s, err := kafka.Await(ctx, runtime, o.behind, func(s kafka.Standing) {
		lacking := strings.Join(s.Lacking, "; ")
		last.Store(&lacking)
	})
	progress.Stop()
	switch {
	case signalled.Err() != nil:
		return fmt.Errorf("interrupted: %s", strings.Join(s.Lacking, "; "))
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return err
	}
	waited := time.Since(begun)
	if err := o.write(cmd.OutOrStdout(), cfg.ApplicationID, s, waited); err != nil {
		return fmt.Errorf("write how far the instances are: %w", err)
	}
	if err != nil {
		return fmt.Errorf("after %v group %s is not within %v:\n  %s", o.timeout, cfg.ApplicationID, o.behind, strings.Join(s.Lacking, "\n  "))
	}
	return nil
}

// awaited is what await writes for programs.
type awaited struct {
	CaughtUp      bool     `json:"caught_up"`
	Lacking       []string `json:"lacking"`
	Instances     int      `json:"instances"`
	Records       int64    `json:"records_behind"`
	Exchange      int64    `json:"exchange_records_behind"`
	SessionClock  *int64   `json:"session_clock"` // null before it is known
	ClockBehindMS *int64   `json:"session_clock_behind_ms"`
	WaitedMS      int64    `json:"waited_ms"`
}

func (o *awaitOptions) write(w io.Writer, group string, s kafka.Standing, waited time.Duration) error {
	if *o.output == outputJSON {
		a := awaited{
			CaughtUp: len(s.Lacking) == 0, Lacking: append([]string{}, s.Lacking...),
			Instances: s.Instances, Records: s.Records, Exchange: s.Exchange, WaitedMS: waited.Milliseconds(),
		}
		if s.SessionClock >= 0 {
			clock, late := int64(s.SessionClock), s.Late.Milliseconds()
			a.SessionClock, a.ClockBehindMS = &clock, &late
		}
		return json.NewEncoder(w).Encode(a)
	}
	if len(s.Lacking) > 0 {
		return nil // the error says it
	}
	_, err := fmt.Fprintf(w, "group %s has caught up: instances %d, sessions close %v behind, %d records of the sources are not read yet\n",
		group, s.Instances, s.Late.Round(100*time.Millisecond), s.Records)
	return err
}
