package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/processor/call"
)

// keyFlag is a flag that stands for a key of the configuration. The names in
// backquotes are what the help shows for the value.
type keyFlag struct{ name, key, help string }

var (
	brokersFlag    = keyFlag{"brokers", "kafka.brokers", "`HOST:PORT,…` of Kafka brokers"}
	registryFlag   = keyFlag{"registry", "schema_registry.url", "`URL` of the schema registry"}
	startFlag      = keyFlag{"start", "start", "`WHERE` to begin without offsets: earliest, latest, or an RFC 3339 instant"}
	workersFlag    = keyFlag{"workers", "workers", "work on tasks with `N` threads; 0 is one a core"}
	generationFlag = keyFlag{"generation", "generation", "`N` of a reprocess; its records replace those of a lower one"}
	graceFlag      = keyFlag{"grace", "grace", "`TIME` that a session waits after its last leg has ended"}
	exchangeFlag   = keyFlag{"exchange-partitions", "exchange_partitions", "`N` stitch tasks"}
	listenFlag     = keyFlag{"listen", "http.listen", "`HOST:PORT` of the console, health and metrics; empty for none"}
	doorFlag       = keyFlag{"listen", "receive.listen", "`HOST:PORT` that the providers' webhooks come to"}
	numbersFlag    = keyFlag{"numbers", "emit.numbers", "show numbers `AS` full, masked or hmac"}
	numbersKeyFlag = keyFlag{"numbers-key-file", "emit.numbers_key_file", "`FILE` with the key of hmac"}
	logLevelFlag   = keyFlag{"log-level", "log.level", "`LEVEL` of messages: debug, info, warn, error"}
	logFormatFlag  = keyFlag{"log-format", "log.format", "`FORMAT` of messages: text or json"}
)

// configFlags are a command's -c and the flags that stand for keys.
type configFlags struct {
	cmd  *cobra.Command
	file string
	keys []keyFlag
}

func addConfigFlags(cmd *cobra.Command, keys ...keyFlag) *configFlags {
	f := &configFlags{cmd: cmd, keys: keys}
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "configuration `FILE` (YAML)")
	for _, k := range keys {
		cmd.Flags().String(k.name, "", k.help)
	}
	return f
}

// load is the configuration of a command that may do without a broker.
func (f *configFlags) load() (*config.Config, error) {
	cfg, _, err := config.Read(f.inputs())
	return cfg, err
}

// loadWith is the configuration of a command that cannot do without something, and
// the variables that set no key of it.
func (f *configFlags) loadWith(needs config.Needs) (cfg *config.Config, unknown []string, err error) {
	in := f.inputs()
	in.Needs = needs
	return config.Read(in)
}

func (f *configFlags) inputs() config.Inputs {
	in := config.Inputs{File: f.file, Environ: os.Environ()}
	for _, k := range f.keys {
		if flag := f.cmd.Flags().Lookup(k.name); flag.Changed {
			in.Flags = append(in.Flags, config.Flag{Name: k.name, Key: k.key, Value: flag.Value.String()})
		}
	}
	return in
}

// addExecuteFlag is for a command that changes what it did not make itself: it says what
// it would do, and does it only with this flag.
func addExecuteFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("execute", false, "do it, instead of saying what it would do")
}

// outputFormat is how a command writes what it found: for people, or for programs. As a
// flag it takes nothing else.
type outputFormat string

const (
	outputText outputFormat = "text"
	outputJSON outputFormat = "json"
)

func addOutputFlag(cmd *cobra.Command) *outputFormat {
	format := outputText
	cmd.Flags().VarP(&format, "output", "o", "`FORMAT` of what is written: text or json")
	return &format
}

func (f *outputFormat) String() string { return string(*f) }

// Type is what pflag calls the value in its messages.
func (f *outputFormat) Type() string { return "FORMAT" }

// Set takes text or json.
func (f *outputFormat) Set(value string) error {
	switch format := outputFormat(value); format {
	case outputText, outputJSON:
		*f = format
		return nil
	}
	return errors.New("it must be text or json")
}

// providerChoices are the names of the providers as help and messages list them.
func providerChoices() string { return config.Alternatives(call.ProviderNames()) }
