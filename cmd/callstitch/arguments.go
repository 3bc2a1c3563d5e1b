package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/topology/kafka"
)

// argument is one of the arguments of a command: what its help calls it, what it
// is, and whether a text may be one. No text may be empty.
type argument struct {
	name, is string
	may      func(string) bool // nil: every text
}

func (a argument) check(text string) error {
	if text == "" || a.may != nil && !a.may(text) {
		return fmt.Errorf("%s is %s, not %q", a.name, a.is, text)
	}
	return nil
}

var (
	partitionArgument = argument{"PARTITION", "a number from 0", isNumber(31)}
	offsetArgument    = argument{"OFFSET", "a number from 0", isNumber(63)}
)

func isNumber(bits int) func(string) bool {
	return func(text string) bool {
		_, err := strconv.ParseUint(text, 10, bits)
		return err == nil
	}
}

// takes is the check of a command that takes one of several lists of arguments; none
// where there is no list. What is missing or wrong is said with what it is.
func takes(forms ...[]argument) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(forms) == 0 {
			switch {
			case len(args) == 0:
				return nil
			case cmd.HasSubCommands():
				return noCommand(cmd, args[0])
			}
			return fmt.Errorf("%s takes no arguments, and got %q", spoken(cmd), args)
		}
		for _, form := range forms {
			if len(form) == len(args) {
				return checkAll(form, args)
			}
		}
		got := ""
		if len(args) > 0 {
			got = fmt.Sprintf(", and got %q", args)
		}
		return fmt.Errorf("%s needs %s%s: %s", spoken(cmd), named(forms), got, described(forms))
	}
}

// takesAny is the check of a command that takes any number of one kind.
func takesAny(kind argument) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		return checkAll(slices.Repeat([]argument{kind}, len(args)), args)
	}
}

func checkAll(form []argument, args []string) error {
	var problems []error
	for i, a := range form {
		problems = append(problems, a.check(args[i]))
	}
	return errors.Join(problems...)
}

// named are the names of lists of arguments, as the help shows them.
func named(forms [][]argument) string {
	lists := make([]string, len(forms))
	for i, form := range forms {
		names := make([]string, len(form))
		for k, a := range form {
			names[k] = a.name
		}
		lists[i] = strings.Join(names, " ")
	}
	return strings.Join(lists, ", or ")
}

// described says what each argument is.
func described(forms [][]argument) string {
	var all []string
	for _, a := range slices.Concat(forms...) {
		all = append(all, a.name+" is "+a.is)
	}
	return strings.Join(all, ", ")
}

// group is a command that only has commands of its own.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	cmd.Args = takes()
	cmd.RunE = runs(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })
	return cmd
}

func noCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("%s has no command %q: it has %s", spoken(cmd), word, strings.Join(names, ", "))
}

// spoken is a command's name, without the program's.
func spoken(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// flagProblem says of a wrong flag what it takes.
func flagProblem(cmd *cobra.Command, err error) error {
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		kind, help := pflag.UnquoteUsage(wrong.GetFlag())
		if wrong.GetFlag().Value.Type() == "duration" {
			kind += ", such as 90s, 10m or 2h,"
		}
		return fmt.Errorf("--%s takes %s (%s), not %q", wrong.GetFlag().Name, kind, help, wrong.GetValue())
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		kind, help := pflag.UnquoteUsage(bare.GetFlag())
		return fmt.Errorf("--%s needs %s (%s)", bare.GetFlag().Name, kind, help)
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := unknown.GetSpecifiedShortnames(); name != "" && name[0] <= '9' {
			return fmt.Errorf("-%s is no flag, and no argument of %s is below 0", name, spoken(cmd))
		}
	}
	return fmt.Errorf("%w; see 'callstitch %s --help'", err, spoken(cmd))
}

// report says what went wrong and, where the command line was, what a right one
// looks like. A configuration that is in a file has its lines for that.
func report(w io.Writer, cmd *cobra.Command, err error) {
	fmt.Fprintf(w, "callstitch: %v\n", err)
	if advice := kafka.ConnectionAdvice(err); !strings.Contains(err.Error(), advice) {
		fmt.Fprintf(w, "  %s\n", advice)
	}
	_, configured := errors.AsType[*config.Error](err)
	if exitCode(err) != exitUsage || configured && cmd.Flags().Changed("config") || errors.Is(err, kafka.ErrGeneration) {
		return // it is not the command line
	}
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	fmt.Fprintf(w, "for example: %s\n", example)
}
