package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"callstitch/schemas"
	"callstitch/topology"
)

// storedSession is what is needed of a record of call.sessions.
type storedSession struct {
	ID          string   `json:"session_id"`
	State       string   `json:"record_state"`
	Revision    int      `json:"revision"`
	Disposition string   `json:"disposition"`
	Merged      []string `json:"merged_session_ids"`
	Legs        []struct {
		ID     string `json:"leg_id"`
		CallID string `json:"provider_call_id"`
	} `json:"legs"`
}

// storedEvent is what is needed of a record of call.events.
type storedEvent struct {
	Tenant    string `json:"tenant_id"`
	Scope     string `json:"scope"`
	Leg       string `json:"leg_id"`
	CallID    string `json:"provider_call_id"`
	ParentID  string `json:"provider_parent_call_id"`
	At        int64  `json:"ingested_at"`
	Topic     string `json:"src_topic"`
	Partition int32  `json:"src_partition"`
	Offset    int64  `json:"src_offset"`
}

// decode reads an output record with the schema that it was written with, or,
// where the registry does not give it, with this program's own.
func (a *archive) decode(ctx context.Context, subject schemas.Subject, r topology.Record, into any) error {
	reader, avro, err := a.reader(ctx, subject, r.Value)
	if err != nil {
		return fmt.Errorf("decode %s %d %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	text, err := reader.AppendJSON(nil, avro)
	if err != nil {
		return fmt.Errorf("decode %s %d %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return json.Unmarshal(text, into)
}

func (a *archive) reader(ctx context.Context, subject schemas.Subject, value []byte) (*schemas.Reader, []byte, error) {
	id, avro, err := schemas.ParseFrame(value)
	if err != nil || a.own[subject] != nil {
		return a.own[subject], avro, err
	}
	reader, err := a.registry.Reader(ctx, id)
	if err != nil {
		a.noSchema = cmp.Or(a.noSchema, err)
		reader, err = schemas.NewReader(subject.Schema())
		a.own[subject] = reader
	}
	return reader, avro, err
}
