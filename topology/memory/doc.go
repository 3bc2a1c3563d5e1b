// Package memory runs the topology in one process, without a broker: the same
// decode and stitch tasks, with the exchange as queues in memory. It reads raw
// records and hands out what the output topics would carry.
//
// It is deterministic: the same records in the same order, with the same
// configuration, give the same outputs in the same order. It neither starts a
// goroutine nor reads a clock; time is what the records bring.
package memory
