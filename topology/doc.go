// Package topology is the application as data and as tasks, without a broker:
// what reads and writes which topics (Describe), the decode task of each source
// partition, the stitch task of each exchange partition, the clocks that tell
// both what time it is, and the books that account for every record.
//
// A task turns records into Effects and holds its state in a Store with an
// overlay; its runtime decides when the effects become durable. Nothing here
// reads a clock, starts a goroutine, or knows a Kafka client. The runtimes are
// topology/kafka, for brokers, and topology/memory, for files.
package topology
