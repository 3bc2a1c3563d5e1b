// Package analytics holds what docs/analytics.md is made of: two Python programs
// that know Kafka, Avro and SQL but nothing of callstitch, and the questions that
// an operations team asks. Its test is the analyst: it reads the topics through
// the registry and fails when an answer is not what the page says, or not what
// really happened.
package analytics
