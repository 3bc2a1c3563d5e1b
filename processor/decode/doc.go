// Package decode turns what telephony providers send, JSON, into normalised
// call events. Each record becomes exactly one of three things: events, a
// counted ignore, or a rejection with its reason.
//
// A decoder copies only the fields that it names. Account data that rides along
// (names, addresses, e-mail, balances) is never read, and dialled digits are
// never carried: they can be PINs.
package decode
