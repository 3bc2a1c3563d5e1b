package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/schemas"
)

func newSchemas() *cobra.Command {
	return group(&cobra.Command{
		Use:     "schemas",
		Short:   "Print, check or register the Avro schemas of the output topics",
		Example: `  callstitch schemas check -c callstitch.yaml`,
	}, newSchemasPrint(), newSchemasCheck(), newSchemasRegister())
}

func newSchemasPrint() *cobra.Command {
	var names []string
	for _, s := range schemas.Subjects() {
		names = append(names, s.String())
	}
	return &cobra.Command{
		Use:       "print [" + strings.Join(names, "|") + "]…",
		Short:     "Print schemas as JSON; all of them without an argument",
		Example:   `  callstitch schemas print CallSession`,
		ValidArgs: names,
		Args: takesAny(argument{
			name: "SCHEMA", is: config.Alternatives(names), may: func(name string) bool { return slices.Contains(names, name) },
		}),
		RunE: runs(func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = names
			}
			return printSchemas(cmd.OutOrStdout(), args)
		}),
	}
}

func printSchemas(w io.Writer, names []string) error {
	for _, name := range names {
		for _, s := range schemas.Subjects() {
			if s.String() != name {
				continue
			}
			if _, err := fmt.Fprintln(w, strings.TrimRight(s.Schema(), "\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

func newSchemasCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Compare the schemas with those that are registered; exits 1 where readers would break",
		Example: `  callstitch schemas check -c callstitch.yaml`,
		Args:    takes(),
	}
	flags := addConfigFlags(cmd, registryFlag)
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load()
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		return compareSchemas(ctx, terminal.New(cmd.OutOrStdout()), cfg)
	})
	return cmd
}

// compareSchemas tells of each subject how it stands, with the difference.
func compareSchemas(ctx context.Context, out terminal.Writer, cfg *config.Config) error {
	registry, err := cfg.Registry.Open()
	if err != nil {
		return err
	}
	breaking := 0
	for _, s := range subjects(cfg) {
		found, err := registry.Check(ctx, s.subject, s.topic)
		if err != nil {
			return err
		}
		problem := schemaProblem(found, true)
		out.Mark(schemaState(found), problem)
		if found.Diff != "" {
			fmt.Fprintln(out, found.Diff)
		}
		if problem != nil {
			breaking++
		}
	}
	if breaking > 0 {
		return fmt.Errorf("%d schemas would break readers", breaking)
	}
	return nil
}

func newSchemasRegister() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "register",
		Short:   "Register the schemas that are not there yet; refuses one that would break readers",
		Example: `  callstitch schemas register -c callstitch.yaml`,
		Args:    takes(),
	}
	flags := addConfigFlags(cmd, registryFlag)
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load()
		if err != nil {
			return err
		}
		registry, err := cfg.Registry.Open()
		if err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		out, failed := terminal.New(cmd.OutOrStdout()), 0
		for _, s := range subjects(cfg) {
			id, err := registry.Register(ctx, s.subject, s.topic)
			what := fmt.Sprintf("schema %s is registered with id %d", schemas.SubjectName(s.topic), id)
			if err != nil {
				what, failed = "schema "+schemas.SubjectName(s.topic), failed+1
			}
			out.Mark(what, err)
		}
		if failed > 0 {
			return errors.New("not all schemas are registered")
		}
		return nil
	})
	return cmd
}
