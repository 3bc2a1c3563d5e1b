// Package call holds the nouns of callstitch: events, legs, sessions, and their
// closed vocabularies. It imports only the standard library, reads no clock and
// starts nothing; every value is plain data.
package call
