package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callstitch/cmd/callstitch/internal/rejects"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/internal/docpage"
	"callstitch/processor/call"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

// theReject is the one that docs/operations.md shows.
func theReject(t *testing.T, cfg *topology.Config) *rejects.Entry {
	t.Helper()
	reject := call.Reject{
		Reason: call.RejectUnknownProvider, Detail: "the provider header names none of opentact, stringee, sonetel, xelion, bandwidth",
		Source: call.Source{Topic: "call.raw", Partition: 2, Offset: 118020}, Timestamp: 1772366380123, Key: []byte("c-1"),
		Value:   []byte(`{"eventType":"answer","callId":"c-1","from":"+15550100123","eventTime":"2026-03-01T11:59:39.900Z"}`),
		Headers: []call.Header{{Key: "provider", Value: []byte("bandwidht")}, {Key: "tenant", Value: []byte("acme")}},
	}
	e, err := rejects.Read(cfg, topology.Record{
		Topic: "call.rejects", Partition: 3, Offset: 1042, Key: reject.Key, Value: reject.Value,
		Headers: slices.Concat(reject.Headers, topology.RejectHeaders(&reject)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// TestDocumentedRejects holds what docs/operations.md shows of a reject, for people and
// for programs, against the program.
func TestDocumentedRejects(t *testing.T) {
	page := docpage.Read(t, operationsPage).Section(t, "## Rejects")
	topic := &rejectsTopic{topology: topology.Config{Sources: []topology.Source{{Topic: "call.raw"}}}}
	e := theReject(t, &topic.topology)
	o := topic.opinion(t.Context(), e)

	var text, objects bytes.Buffer
	w := shower{topic: topic, out: terminal.New(&text)}
	w.text(e, &o)
	if !strings.Contains(string(page), text.String()) {
		t.Errorf("%s does not show\n%s", operationsPage, text.String())
	}

	l := lister{out: &objects, json: true}
	row := rejects.Row{
		Kind: rejects.Kind{Reason: e.Reject.Reason, Topic: "call.raw", Tenant: "acme"}, Count: 1204, First: 1772359201000, Last: 1772366380123, Example: e.Place,
	}
	w.out.Writer = &objects
	for _, err := range []error{writeJSON(&objects, rowOf(&row)), l.line(e), w.object(e, &o)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(objects.String(), page.Blocks("json")[0]); diff != "" {
		t.Errorf("-program +documented:\n%s", diff)
	}
	for line := range strings.Lines(objects.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// Tenants and topics are somebody else's text: no row has more of them than fits, nor what
// a terminal would obey.
func TestRowsOfHostileTenants(t *testing.T) {
	var out bytes.Buffer
	l := lister{out: &out}
	for i, tenant := range []string{"\x1b[2J", strings.Repeat("é", 500), "a\tb\nc"} {
		l.histogram.Add(&rejects.Entry{Tenant: tenant, Reject: call.Reject{Reason: call.RejectBadHeader, Source: call.Source{Topic: fmt.Sprint("call.raw", i)}}})
	}
	if err := l.rows(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 4 || strings.ContainsAny(out.String(), "\x1b\t") || out.Len() > 1000 {
		t.Errorf("%d lines of %d bytes: %q", n, out.Len(), out.String())
	}
}

// TestAHostileRejectIsShown: whoever may write rejects may write any headers, and moves no
// terminal with them.
func TestAHostileRejectIsShown(t *testing.T) {
	const hostile = "\x1b[2J"
	reject := call.Reject{
		Reason: call.RejectUnreadable, Detail: hostile, Source: call.Source{Topic: hostile}, Batch: hostile,
		Cut: &call.Cut{Dropped: []string{hostile}}, Value: []byte(hostile), Key: []byte(hostile),
		Headers: []call.Header{{Key: hostile, Value: []byte(hostile)}, {Key: "tenant", Value: []byte(hostile)}},
	}
	for _, reject.Reason = range []call.RejectReason{call.RejectUnreadable, call.RejectBadField} {
		topic := &rejectsTopic{tail: kafka.TailConfig{Brokers: []string{"127.0.0.1:1"}}}
		e, err := rejects.Read(&topic.topology, topology.Record{
			Topic: "call.rejects", Key: reject.Key, Value: reject.Value, Headers: slices.Concat(reject.Headers, topology.RejectHeaders(&reject)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // no source is asked
		o := topic.opinion(ctx, &e)
		var text bytes.Buffer
		(&shower{topic: topic, out: terminal.New(&text)}).text(&e, &o)
		if strings.Contains(text.String(), "\x1b") {
			t.Errorf("a terminal would obey %q", text.String())
		}
	}
}
