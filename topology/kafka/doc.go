// Package kafka runs a topology against Apache Kafka.
//
// # Delivery guarantee
//
// For every raw record, the decision whether it is a duplicate, the state it
// changed, the changelog of that state, the messages it caused, the output
// records, rejects, audit books and the offset behind it become visible in one
// Kafka transaction, or not at all. This holds for readers with
// isolation.level=read_committed, on Apache Kafka 4.0 or later with
// transaction.version 2, through crashes, rebalances, zombies and broker
// failures that leave min.insync.replicas alive.
//
// # How
//
// A worker is one goroutine, one member of the consumer group and one
// transactional producer. It polls, lets the tasks of its partitions process
// into overlays, produces, commits offsets and records in one transaction, and
// only then applies the overlays. What a broker did with a commit that was not
// answered is never guessed: the worker throws away its client and its state,
// and restores from the changelog.
//
// Three rules carry the proof. A transaction commits the offset of every
// partition whose state it touched, so the group coordinator refuses it from a
// member that lost its assignment. A task is restored only after the stable
// committed offset of its partition was fetched, so no transaction of an earlier
// owner can still commit. A task is restored to the changelog's high watermark
// as read after that fetch, so nothing committed is missed.
//
// # From outside
//
// Who operates looks at the same brokers while nothing runs, and changes what is there
// only by a plan: Examine, ReadClocks, Await, PlanReset, PlanDrop, PlanAbort, Seek,
// OpenReplay, Tail. None of it asks an instance, or uses what a run is made of.
//
// Pitfalls of Kafka and its clients are named Kn where they are met; each is told
// in docs/pitfalls.md.
package kafka
