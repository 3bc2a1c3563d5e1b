package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"callstitch/topology"
)

func newTopology() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "topology",
		Short: "Describe the topology: sources, processors, stores and sinks",
		Long: `topology prints the topology of a configuration, or of the defaults: as text in
the form of Kafka Streams, as a Mermaid flow chart, or as a Graphviz graph.`,
		Example: `  callstitch topology --format dot | dot -Tsvg > topology.svg`,
		Args:    takes(),
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT`: text, mermaid or dot")
	flags := addConfigFlags(cmd, exchangeFlag)
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load()
		if err != nil {
			return err
		}
		t := cfg.Topology()
		if len(t.Sources) == 0 {
			t.Sources = []topology.Source{{Topic: rawTopic}}
		}
		text, err := describe(topology.Describe(&t), format)
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	})
	return cmd
}

func describe(d topology.Description, format string) (string, error) {
	switch format {
	case "text":
		return d.String(), nil
	case "mermaid":
		return d.Mermaid(), nil
	case "dot":
		return d.DOT(), nil
	}
	return "", usageError{fmt.Errorf("--format must be text, mermaid or dot, not %q", format)}
}
