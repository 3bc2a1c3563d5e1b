// Command callstitch reads raw call events of telephony providers from Kafka,
// drops duplicates, stitches call legs into sessions, and writes Avro records.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/topology/kafka"
)

// Exit statuses. Each says what whoever runs the program should do next.
const (
	exitDone          = 0
	exitFailed        = 1 // try again, or read the message
	exitUsage         = 2 // correct the command line or the configuration
	exitFenced        = 3 // another process has this instance's identity: stop one of them
	exitTopicMismatch = 4 // a topic is not as the state needs it
	exitLostOffsets   = 5 // records were deleted before they were read
	exitNewerState    = 6 // the state was written by a newer program: upgrade
)

func main() { os.Exit(execute()) }

func execute() int {
	cmd, err := newRoot().ExecuteC()
	if err != nil {
		report(os.Stderr, cmd, err)
	}
	return exitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "callstitch",
		Short: "Stitches telephony providers' call events into call sessions",
		Long: `callstitch reads raw call events as telephony providers send them, drops
duplicates, stitches call legs into call sessions, and writes Avro records.

Begin with:  callstitch demo`,
		Example: `  callstitch demo
  callstitch run -c callstitch.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagProblem)
	root.AddCommand(
		newDemo(), newRun(), newReceive(), newProcess(), newSimulate(), newTail(),
		newExplain(), newTopology(), newCheck(), newClock(), newAbort(), newSeek(), newReset(),
		newRejects(), newAwait(), newCompare(), newSchemas(), newVersion(),
	)
	return root
}

// ran marks the error of a command that began its work. Every other error of a
// command line is a mistake in it.
type ran struct{ error }

func (e ran) Unwrap() error { return e.error }

// usageError is a mistake in the command line that only the command could see.
type usageError struct{ error }

// runs is a command's work.
func runs(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd, args); err != nil {
			return ran{err}
		}
		return nil
	}
}

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if _, ok := errors.AsType[ran](err); !ok {
		return exitUsage
	}
	_, usage := errors.AsType[usageError](err)
	_, config := errors.AsType[*config.Error](err)
	switch {
	case usage || config:
		return exitUsage
	case errors.Is(err, kafka.ErrInUse):
		return exitFailed
	case errors.Is(err, kafka.ErrGeneration):
		return exitUsage
	case errors.Is(err, kafka.ErrFenced):
		return exitFenced
	case errors.Is(err, kafka.ErrTopicMismatch):
		return exitTopicMismatch
	case errors.Is(err, kafka.ErrLostOffsets):
		return exitLostOffsets
	case errors.Is(err, kafka.ErrNewerState):
		return exitNewerState
	}
	return exitFailed
}

// untilSignal is a context that ends at the first SIGINT or SIGTERM. The second
// one ends the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(oneSignal, stop) })
	return ctx, stop
}

// oneSignal is how long what comes is the first signal still: timeout(1), and whoever
// signals a process and then its group, sends it twice.
const oneSignal = 500 * time.Millisecond

// newLog writes to w: for people on a terminal, else for machines.
func newLog(c config.Log, w *os.File) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.SlogLevel()}
	switch {
	case c.Format == "json":
		return slog.New(slog.NewJSONHandler(w, options))
	case terminal.Is(w):
		return slog.New(tint.NewTextHandler(w, &tint.Options{
			Level: c.SlogLevel(), TimeFormat: time.TimeOnly, NoColor: !terminal.ShowsColours(w),
		}))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
