// Package receive is the front door: it takes what providers deliver, by webhook and
// over their WebSockets, to a source topic. It answers an event with success once
// Kafka has it, or a spool on disk, and never before.
package receive

import (
	"context"
	"time"
)

// An Event is what a provider delivered: one webhook's body, or one frame of a feed.
type Event struct {
	Provider, Tenant, Scope string    // a record's headers; empty ones are not sent
	Traceparent             string    // W3C trace context as it came, or empty
	Received                time.Time // when it was whole here; the record's timestamp
	Body                    []byte    // as received, byte for byte; never nil
}

// Take takes an event over. It returns nil once Kafka has the event (acks=all,
// idempotent) or the spool has fsynced it, and never before. ErrNoRoom and
// ErrNotInTime say that it was not taken for now; any other error is a fault, with its
// reason. It keeps the body until Kafka's client has let go of it.
type Take func(ctx context.Context, e Event) error
