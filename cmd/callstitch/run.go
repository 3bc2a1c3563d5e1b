package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/console"
	"callstitch/topology/kafka"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the processor",
		Long: `run processes the sources of a configuration until SIGINT or SIGTERM, which commit
the batch at hand and leave the group; a second signal ends at once.

It exits 3 where another process has this instance's identity, 4 where a topic is
not as the state needs it, 5 where records were deleted before they were read, and
6 where the state was written by a newer program.`,
		Example: `  callstitch run -c callstitch.yaml`,
		Args:    takes(),
	}
	flags := addConfigFlags(cmd, brokersFlag, registryFlag, startFlag, workersFlag, generationFlag, graceFlag,
		exchangeFlag, listenFlag, logLevelFlag, logFormatFlag)
	cmd.RunE = runs(func(_ *cobra.Command, _ []string) error {
		cfg, unknown, err := flags.loadWith(config.ToRun)
		if err != nil {
			return err
		}
		log := newLog(cfg.Log, os.Stderr)
		for _, name := range unknown {
			log.Warn("an environment variable sets no key", "name", name)
		}
		ctx, stop := untilSignal()
		defer stop()
		return run(ctx, cfg, log)
	})
	return cmd
}

// run is one instance: its workers and its console.
func run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	limitMemory(log)
	metrics := newMetrics()
	status := new(kafka.Status)
	page := console.New(console.Config{
		Topology: cfg.Topology(), Version: version(), Gatherer: metrics,
		Status: func() console.Status { return consoleStatus(cfg, status.Snapshot()) },
	})
	runtime, err := cfg.Runtime()
	if err != nil {
		return err
	}
	if runtime.Numbers, err = cfg.Emit.Form(); err != nil {
		return err
	}
	runtime.Log, runtime.Registerer, runtime.OnCommit = log, metrics, page.Observe
	log.Info("starting", "version", version(), "application_id", cfg.ApplicationID, "brokers", cfg.Kafka.Brokers,
		"schema_registry", cfg.Registry.Shown(), "sources", len(cfg.Sources), "numbers", runtime.Numbers.String())
	go kafka.PaceGarbage(ctx)
	go watchCredentials(ctx, cfg, log, metrics)
	return serveWhile(ctx, cfg.HTTP.Listen, page, log, func(ctx context.Context) error {
		return kafka.Run(ctx, runtime, status)
	})
}

// limitMemory tells Go's collector of the container's limit, so that it works
// harder before the kernel kills the process.
func limitMemory(log *slog.Logger) {
	const share = 0.9
	limit, err := memlimit.Set(memlimit.WithRatio(share))
	if err == nil && limit < math.MaxInt64 {
		log.Debug("memory is limited", "bytes", limit)
	}
}

// newMetrics has the metrics of the process; the runtime adds its own.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "callstitch_build_info", Help: "Always 1; its labels say what is running.",
	}, []string{"version", "go_version"})
	build.WithLabelValues(version(), runtime.Version()).Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// serveWhile serves the console while work runs; an empty address serves
// nothing. The console goes on while work ends, to tell how it does.
func serveWhile(ctx context.Context, address string, page *console.Console, log *slog.Logger, work func(context.Context) error) error {
	if address == "" {
		return work(ctx)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for the console: %w: set http.listen to another address, or to nothing", err)
	}
	log.Info("console is served", "url", "http://"+listener.Addr().String()+"/")
	return serve(ctx, listener, page, work)
}

func serve(ctx context.Context, listener net.Listener, page *console.Console, work func(context.Context) error) error {
	server := &http.Server{
		Handler:           page.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	done, finish := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error {
		page.Sample(done)
		return nil
	})
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the console: %w", err)
		}
		return nil
	})
	err := work(ctx)
	finish()
	closed := server.Close()
	return errors.Join(err, closed, group.Wait())
}
