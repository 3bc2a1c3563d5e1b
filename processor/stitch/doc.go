// Package stitch is the node machine: it drops duplicates, folds events into
// legs, joins legs into sessions over links, and decides when a session is
// published and when it is final. It is a deterministic state machine: records in,
// effects out; time is an argument.
//
// # The protocol
//
// Legs, and values that legs share, are nodes; a session is a connected component.
// No key brings the events of a session to one place, so each node lives where its
// id hashes to, and nodes send messages. Of two that belong together the larger
// hears of the smaller (UNION) and becomes its child, so that the smallest of a
// component is its root. A child sends its fold to the root with every change
// (SUMMARY), and a root that becomes a child hands over what it held and published
// (ABSORB). What an event says of another leg goes to that leg (WITNESS), and a
// link that takes no more legs tells both sides (FULL).
//
// A session that names links is published when the session clock has passed its
// gate, the time of the last change: no message that was caused before is in
// flight, so no other root can claim the legs. docs/protocol.md has the whole.
package stitch
