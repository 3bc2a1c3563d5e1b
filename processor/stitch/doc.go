// Package stitch is the node machine: it drops duplicates, folds events into
// legs, joins legs into sessions over links, and decides when a session is
// final. It is a deterministic state machine: records in, effects out; time is
// an argument.
package stitch
