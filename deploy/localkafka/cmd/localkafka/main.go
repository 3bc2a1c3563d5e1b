// Command localkafka runs Apache Kafka and a schema registry until it is
// interrupted: `make kafka`. With -fetch it only downloads them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"callstitch/deploy/localkafka"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := localkafka.Options{Registry: true, LongLived: true}
	flags := flag.NewFlagSet("localkafka", flag.ExitOnError)
	fetch := flags.Bool("fetch", false, "download what is needed and stop")
	flags.IntVar(&o.Brokers, "brokers", 1, "number of brokers")
	flags.IntVar(&o.Port, "port", 9092, "port of the first broker; 0: free ports")
	flags.IntVar(&o.RegistryPort, "registry-port", 8081, "port of the schema registry; 0: a free one")
	flags.StringVar(&o.Dir, "dir", "", "keep the data here (default: a temporary directory, deleted at the end)")
	topic := flags.String("topic", "call.raw", "topic to create; empty: none")
	partitions := flags.Int("partitions", 8, "partitions of that topic")
	_ = flags.Parse(args) // ExitOnError
	if *fetch {
		return localkafka.Fetch(ctx)
	}
	cluster, err := localkafka.Start(ctx, o)
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if *topic != "" {
		if err := cluster.CreateTopic(ctx, *topic, int32(*partitions)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "brokers   %s\nregistry  %s\ntopic     %s\ndata      %s\nCtrl-C stops them.\n",
		strings.Join(cluster.Brokers(), ","), cluster.RegistryURL(), *topic, cluster.Dir())
	<-ctx.Done()
	return cluster.Stop()
}
