package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/number"
	"callstitch/schemas"
	"callstitch/topology/kafka"
)

// checkTimeout bounds the look at the brokers: a check is run by people and by
// pipelines. The registry's client bounds each of its requests, and the first that gets
// no answer ends the check.
const checkTimeout = 30 * time.Second

func newCheck() *cobra.Command {
	var probe string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check configuration, brokers, topics, group, rights and schemas before a start",
		Long: `check says of each condition of a start whether it holds, and changes nothing: of the
processor's where there are sources, of the front door's where receive is configured.
Lines with ! are advice, of what would be better. It exits 0 where all conditions hold, 1 where one does not, 2 for a wrong configuration.

With --probe it also posts [] through each endpoint of a front door that runs, with the
endpoint's authentication: here, or at the address that the providers use. Nothing is
decoded from it, and it is counted as such.`,
		Example: `  callstitch check -c callstitch.yaml
  callstitch check -c callstitch.yaml --probe=https://calls.example`,
		Args: func(cmd *cobra.Command, args []string) error {
			if probe == probeHere && len(args) == 1 {
				return fmt.Errorf("--probe takes its URL after an equals sign: --probe=%s", args[0])
			}
			return takes()(cmd, args)
		},
	}
	flags := addConfigFlags(cmd, brokersFlag, registryFlag)
	cmd.Flags().StringVar(&probe, "probe", "", "post an event through each endpoint of the front door at `URL`")
	cmd.Flags().Lookup("probe").NoOptDefVal = probeHere
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		cfg, unknown, err := flags.loadWith(config.ToDoAll)
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		out := terminal.New(cmd.OutOrStdout())
		out.Mark("configuration is valid", nil)
		for _, name := range unknown {
			out.Remark(name + " sets no key; ignored")
		}
		return check(ctx, out, cfg, probe)
	})
	return cmd
}

func check(ctx context.Context, out terminal.Writer, cfg *config.Config, probe string) (err error) {
	if probe != "" && len(cfg.Receive.Endpoints) == 0 {
		return usageError{errors.New("--probe posts to receive.endpoints, and there are none")}
	}
	failed := tell(out, examineCredentials(ctx, cfg))
	if len(cfg.Sources) > 0 {
		wrong, err := checkRun(ctx, out, cfg)
		if err != nil {
			return err
		}
		failed += wrong
	}
	if cfg.Receive.Configured() {
		wrong, err := checkReceive(ctx, out, cfg, probe)
		if err != nil {
			return err
		}
		failed += wrong
	}
	if failed > 0 {
		return fmt.Errorf("conditions of a start that do not hold: %d", failed)
	}
	return nil
}

// checkRun looks at what the processor needs, and counts what does not hold.
func checkRun(ctx context.Context, out terminal.Writer, cfg *config.Config) (failed int, err error) {
	runtime, err := cfg.Runtime()
	if err != nil {
		return 0, err
	}
	if runtime.Numbers, err = cfg.Emit.Form(); err != nil { // said before, of the file
		runtime.Numbers = number.Form{Mode: number.HMAC}
	}
	failed = tell(out, examine(ctx, runtime))
	wrong, err := checkSchemas(ctx, out, cfg)
	if err != nil {
		out.Mark("schema registry "+cfg.Registry.Shown()+" answers", err)
		wrong = 1
	}
	return failed + wrong, nil
}

// tell writes what was found, and counts what does not hold.
func tell(out terminal.Writer, found []kafka.Finding) (failed int) {
	for _, f := range found {
		if f.What != "" {
			out.Mark(f.What, f.Err)
		}
		if f.Advice != "" {
			out.Remark(f.Advice)
		}
		if f.Err != nil {
			failed++
		}
	}
	return failed
}

func examine(ctx context.Context, runtime kafka.Config) []kafka.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return kafka.Examine(ctx, runtime)
}

// checkSchemas compares every subject with the registry, and counts those that
// a start would stumble over. An error means that the registry did not answer.
func checkSchemas(ctx context.Context, out terminal.Writer, cfg *config.Config) (wrong int, err error) {
	registry, err := cfg.Registry.Open()
	if err != nil {
		return 0, err
	}
	for _, s := range subjects(cfg) {
		found, err := registry.Check(ctx, s.subject, s.topic)
		if err != nil {
			return wrong, err
		}
		problem := schemaProblem(found, cfg.Registry.AutoRegister)
		out.Mark(schemaState(found), problem)
		if problem != nil {
			wrong++
		}
	}
	return wrong, nil
}

func schemaState(c schemas.Comparison) string {
	switch {
	case c.ID != 0:
		return fmt.Sprintf("schema %s is registered with id %d", c.Subject, c.ID)
	case c.Version == 0:
		return fmt.Sprintf("schema %s is not registered yet", c.Subject)
	}
	return fmt.Sprintf("schema %s differs from the registered version %d", c.Subject, c.Version)
}

// schemaProblem is why a start would fail on this subject; nil where it would not.
func schemaProblem(c schemas.Comparison, autoRegister bool) error {
	if len(c.Problems) > 0 {
		problems := make([]error, len(c.Problems))
		for i, p := range c.Problems {
			problems[i] = errors.New(p.String())
		}
		return errors.Join(problems...)
	}
	if c.ID == 0 && !autoRegister {
		return errors.New("schema_registry.auto_register is false: run 'callstitch schemas register'")
	}
	return nil
}

type subjectTopic struct {
	subject schemas.Subject
	topic   string
}

// subjects are the schemas that a start needs, with their topics.
func subjects(cfg *config.Config) (all []subjectTopic) {
	t := cfg.Topology()
	for _, sink := range t.Sinks() {
		if subject, avro := sink.Subject(); avro {
			all = append(all, subjectTopic{subject, t.Topics.Topic(sink)})
		}
	}
	return all
}
