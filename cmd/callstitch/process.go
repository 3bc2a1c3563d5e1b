package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/rawfile"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/processor/call"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/memory"
)

// rawTopic is the source of lines that name none.
const rawTopic = "call.raw"

// batchRecords is how many records process takes between two commits. The last
// records of all sessions do not depend on it.
const batchRecords = 1000

type processOptions struct {
	config                         *configFlags
	provider, tenant, format, emit string
	partial                        bool
}

var (
	formats = []string{"raw", "kcat"}
	emits   = []string{"sessions", "events", "legs", "settled", "rejects", "audit", "all"}
)

func newProcess() *cobra.Command {
	var o processOptions
	cmd := &cobra.Command{
		Use:   "process [FILE…]",
		Short: "Process files without Kafka: raw events in, sessions out, one JSON object a line",
		Long: `process runs the whole topology in this process. It reads raw provider events,
one a line, or what kcat -J prints, from the files in turn or from standard
input, and prints the records that would go to the output topics. The end of
the input closes every session. Counts go to standard error.`,
		Example: `  callstitch process --provider bandwidth events.ndjson
  kcat -C -e -J -b 127.0.0.1:9092 -t call.raw | callstitch process --format kcat`,
		Args: takesAny(argument{name: "FILE", is: "one of raw events"}),
		RunE: runs(func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "`PROVIDER` of records without a header: "+providerChoices())
	f.StringVar(&o.tenant, "tenant", "", "`TENANT` of records without a header")
	f.StringVar(&o.format, "format", "raw", "`FORMAT` of the input: raw or kcat")
	f.StringVar(&o.emit, "emit", "sessions", "`WHAT` to print: "+strings.Join(emits, ", "))
	f.BoolVar(&o.partial, "partial", false, "print PARTIAL sessions too, with a commit after each line")
	o.config = addConfigFlags(cmd, exchangeFlag, graceFlag, numbersFlag, numbersKeyFlag)
	return cmd
}

func (o *processOptions) run(cmd *cobra.Command, files []string) error {
	given, cfg, err := o.settings()
	if err != nil {
		return err
	}
	if cfg.Numbers, err = given.Emit.Form(); err != nil {
		return err
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 256<<10)
	p := &printer{out: out, topics: cfg.Topics, emit: o.emit}
	run := memory.New(cfg, p.print)
	in := rawfile.Reader{Kcat: o.format == "kcat", Topic: cfg.Sources[0].Topic, Idle: p.flush}
	in.Process = func(r topology.Record) error { return errors.Join(run.Process(r), p.err) }
	if len(files) == 0 && terminal.Is(os.Stdin) {
		fmt.Fprintln(cmd.ErrOrStderr(), "events are read from the terminal, one a line; Ctrl-D ends them. To read a file: callstitch process FILE")
	}
	if err := in.ReadAll(cmd.InOrStdin(), files); err != nil {
		p.flush()
		return err
	}
	if err := run.Close(); err != nil {
		return err
	}
	p.flush()
	if p.err != nil {
		return p.err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), counts(run.Totals(), p.sessions))
	return nil
}

// settings are the configuration, and the runtime's from that and the flags: all but how
// numbers are shown, which takes a key.
func (o *processOptions) settings() (*config.Config, memory.Config, error) {
	if !slices.Contains(formats, o.format) {
		return nil, memory.Config{}, usageError{fmt.Errorf("--format must be raw or kcat, not %q", o.format)}
	}
	if !slices.Contains(emits, o.emit) {
		return nil, memory.Config{}, usageError{fmt.Errorf("--emit must be one of %s, not %q", strings.Join(emits, ", "), o.emit)}
	}
	provider, known := call.ParseProvider(o.provider)
	if !known && o.provider != "" {
		return nil, memory.Config{}, usageError{fmt.Errorf("--provider must be %s, not %q", providerChoices(), o.provider)}
	}
	cfg, err := o.config.load()
	if err != nil {
		return nil, memory.Config{}, err
	}
	m := memory.Config{Config: cfg.Topology(), BatchRecords: batchRecords}
	if len(m.Sources) == 0 {
		m.Sources = []topology.Source{{Topic: rawTopic}}
	}
	for i := range m.Sources {
		if known {
			m.Sources[i].Provider = provider
		}
		if o.tenant != "" {
			m.Sources[i].Tenant = o.tenant
		}
	}
	m.Stitch.Partial = o.partial
	m.Stitch.Legs = o.emit == "legs" || o.emit == "all"
	m.Stitch.Settled = o.emit == "settled" || o.emit == "all" && m.Stitch.Settled
	if o.partial {
		m.BatchRecords = 1
	}
	return cfg, m, nil
}

// printer writes records as lines of JSON.
type printer struct {
	out      *bufio.Writer
	topics   topology.Topics
	emit     string
	sessions int // printed or not, FINAL for the first time
	line     []byte
	err      error // the first one; nothing is written after it
}

func (p *printer) print(o topology.Output) {
	if s, ok := o.Value.(*call.Session); ok && s.State == call.StateFinal && !s.Amended {
		p.sessions++
	}
	if p.err != nil || p.emit != "all" && p.emit != o.Sink().String() {
		return
	}
	p.line = p.line[:0]
	if reject, ok := o.Value.(*call.Reject); ok {
		p.line = rawfile.AppendObject(p.line, &topology.Record{
			Topic: p.topics.Rejects, Key: o.Key, Headers: slices.Concat(reject.Headers, topology.RejectHeaders(reject)), Value: reject.Value,
		}, nil)
	} else if p.emit == "all" {
		p.line = appendWrapped(p.line, p.topics.Topic(o.Sink()), o)
	} else {
		p.line = schemas.AppendJSON(p.line, o.Value)
	}
	_, err := p.out.Write(append(p.line, '\n'))
	p.note(err)
}

func (p *printer) flush() {
	if p.err == nil {
		p.note(p.out.Flush())
	}
}

func (p *printer) note(err error) {
	if err != nil {
		p.err = fmt.Errorf("write records: %w", err)
	}
}

func appendWrapped(b []byte, topic string, o topology.Output) []byte {
	b = append(b, `{"topic":`...)
	b = rawfile.AppendText(b, []byte(topic))
	b = append(b, `,"key":`...)
	b = rawfile.AppendText(b, o.Key)
	b = append(b, `,"value":`...)
	b = schemas.AppendJSON(b, o.Value)
	return append(b, '}')
}

// counts are the totals of a run, for people.
func counts(a call.Audit, sessions int) string {
	return fmt.Sprintf("read %d records: %d decoded, %d ignored, %d rejected\n"+
		"     %d events: %d accepted, %d duplicate, %d conflicting, %d late\n"+
		"     %d sessions",
		a.Read, a.Decoded, a.Ignored, a.Rejected,
		a.Events, a.Accepted, a.Duplicate, a.Conflicting, a.Late, sessions)
}
