package asyncapi

import (
	"cmp"

	"callstitch/processor/call"
	"callstitch/topology"
)

// described is what is said of each sink besides its topic and its schema.
var described = map[topology.Sink]struct {
	title, is string
	key       keySchema
}{
	topology.Events: {
		"Events", "Each accepted event once, in one form for all providers.",
		keySchema{Type: "string", Description: "leg_id"},
	},
	topology.Sessions: {
		"Sessions", "Calls with their legs. Of a session_id the record with the largest record_version holds, in whatever order they come.",
		keySchema{Type: "string", Description: "session_id"},
	},
	topology.Legs: {
		"Legs", "A row for each leg. Of a leg_id the record with the largest record_version holds.",
		keySchema{Type: "string", Description: "leg_id"},
	},
	topology.Settled: {
		"Settled", "Each call once, when it changes no more, as its last record of call.sessions was.",
		keySchema{Type: "string", Description: "session_id"},
	},
	topology.Audit: {
		"Audit", "The books of each source partition: the last record of a key holds.",
		keySchema{Type: "string", Description: "topic-partition: the source partition"},
	},
	topology.Rejects: {
		"Rejects", "Raw records that were not taken, as they came, with why and where from. They hold what the source holds: give both the same rights.",
		keySchema{Type: "string", Description: "The raw record's key; none where it had none."},
	},
}

// headers are the headers of ours that records may have.
var headers = map[string]string{
	"provider": "Whose event it is.",
	"tenant":   "Whose call it is.",
	"scope":    "Tells apart servers whose call ids may collide.",

	"__streams.errors.topic":     "Topic of the raw record.",
	"__streams.errors.partition": "Partition of the raw record.",
	"__streams.errors.offset":    "Offset of the raw record.",
	"__streams.errors.exception": "callstitch.Rejected",
	"__streams.errors.message":   "What is wrong, and where; it quotes nothing of the record.",
	"callstitch.reason":          "Why it was not taken.",
	"callstitch.timestamp":       "When the raw record was, in epoch milliseconds.",
	"callstitch.batch":           "First and last offset of the batch that could not be read.",
	"callstitch.length":          "Length of a value that was cut, in bytes.",
	"callstitch.sha256":          "SHA-256 of a value that was cut, in hexadecimal digits.",
	"callstitch.dropped":         "What did not fit: headers, or key; once for each.",
}

// rawMessage is an event on its way in. What the source's settings say holds where no
// header says otherwise.
func rawMessage(s topology.Source) message {
	provider := word("provider")
	for _, p := range call.Providers() {
		provider.Enum = append(append(provider.Enum, p.String()), p.Aliases()...)
	}
	if s.Provider != call.NoProvider {
		provider.Default = s.Provider.String()
	}
	of := func(name, otherwise string) keySchema {
		w := word(name)
		w.Default = otherwise
		return w
	}
	return message{
		Name: "RawEvent", ContentType: "application/json",
		Summary: "One event, or an array of events, as the provider sent it.",
		Headers: &object{Type: "object", Properties: map[string]keySchema{
			"provider": provider, "tenant": of("tenant", cmp.Or(s.Tenant, call.DefaultTenant)), "scope": of("scope", s.Scope),
		}},
		Payload:  anything{},
		Bindings: kafkaBinding{messageBinding{Version: bindings, Key: keySchema{Type: "string", Description: "Any, or none: it is not read."}}},
	}
}

// anything is the schema of a value of which nothing is known.
type anything struct{}

// rejectMessage is a raw record that was not taken, with the headers that such a record
// has behind its own.
func rejectMessage() message {
	o := object{Type: "object", Properties: map[string]keySchema{}}
	for _, h := range topology.RejectHeaders(&call.Reject{}) {
		o.Required = append(o.Required, h.Key)
	}
	full := &call.Reject{Timestamp: 1, Batch: "0-0", Cut: &call.Cut{Dropped: []string{"key"}}}
	for _, h := range topology.RejectHeaders(full) {
		o.Properties[h.Key] = word(h.Key)
	}
	reason := word("callstitch.reason")
	reason.Enum = call.RejectReasonNames()
	o.Properties["callstitch.reason"] = reason
	return message{
		Name: "Reject", ContentType: "application/octet-stream", Headers: &o,
		Summary:  "The raw record's headers come first, then these.",
		Payload:  anything{},
		Bindings: kafkaBinding{messageBinding{Version: bindings, Key: described[topology.Rejects].key}},
	}
}

func word(header string) keySchema {
	return keySchema{Type: "string", Description: headers[header]}
}
