// Package topology is the application as data and as tasks, without a broker:
// what reads and writes which topics (Describe), the decode task of each source
// partition, the stitch task of each exchange partition, the clocks that tell
// both what time it is, and the books that account for every record.
//
// A task turns records into Effects and holds its state in a Store with an
// overlay. A Worker owns the tasks of one member and the transaction that is open
// over them, and keeps its order; a runtime moves the records and makes the effects
// durable. Nothing here reads a clock, starts a goroutine, or knows a Kafka client.
// The runtimes are topology/kafka, for brokers, topology/memory, for files, and
// topology/topologytest, for faults.
package topology
