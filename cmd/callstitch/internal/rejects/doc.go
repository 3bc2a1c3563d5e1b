// Package rejects is what the rejects topic says, without the topic: which of its
// records are meant, whose they are, what there is of each kind, and what the present
// decoder makes of them. It asks no broker and writes nothing.
package rejects
