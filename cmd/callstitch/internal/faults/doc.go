// Package faults is a test of the whole program where it is to work: on Apache
// Kafka and a schema registry, with instances that are killed, frozen, started and
// stopped, and a reader that watches. What comes out is held against the calls
// that the simulator drew, and against what `callstitch process` makes of the
// same raw records in one process.
//
// `go test` runs it small; `make faults` with 5,000 calls and 20 kills.
package faults
