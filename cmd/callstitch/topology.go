package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"callstitch/cmd/callstitch/internal/asyncapi"
	"callstitch/cmd/callstitch/internal/config"
	"callstitch/topology"
)

func newTopology() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "topology",
		Short: "Describe the topology: sources, processors, stores and sinks",
		Long: `topology prints the topology of a configuration, or of the defaults: as text in
the form of Kafka Streams, as a Mermaid flow chart, as a Graphviz graph, or as an
AsyncAPI document: for other programs, what is in the topics that they read and write,
with the schemas. It connects to nothing.`,
		Example: `  callstitch topology -o dot | dot -Tsvg > topology.svg
  callstitch topology -c callstitch.yaml -o asyncapi > asyncapi.json`,
		Args: takes(),
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`FORMAT`: text, mermaid, dot or asyncapi")
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "format" { // as it was called
			name = "output"
		}
		return pflag.NormalizedName(name)
	})
	flags := addConfigFlags(cmd, exchangeFlag)
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load()
		if err != nil {
			return err
		}
		if len(cfg.Sources) == 0 {
			cfg.Sources = []config.Source{{Topic: rawTopic}}
		}
		text, err := describe(cfg, format)
		if err != nil {
			return err
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	})
	return cmd
}

func describe(cfg *config.Config, format string) (string, error) {
	t := cfg.Topology()
	d := topology.Describe(&t)
	switch format {
	case "text":
		return d.String(), nil
	case "mermaid":
		return d.Mermaid(), nil
	case "dot":
		return d.DOT(), nil
	case "asyncapi":
		document, err := asyncapi.Document(cfg, version())
		return string(document), err
	}
	return "", usageError{fmt.Errorf("--output must be text, mermaid, dot or asyncapi, not %q", format)}
}
