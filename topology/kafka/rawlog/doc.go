// Package rawlog reads the log of a partition as it lies on a broker, batch by batch, past
// what a client makes of it: what the client cannot get past, because it unpacks to too
// much or is damaged, is read here in bounded memory (K35, K36).
//
// It knows brokers and bytes, and nothing of groups, transactions of its own, or sessions.
package rawlog
