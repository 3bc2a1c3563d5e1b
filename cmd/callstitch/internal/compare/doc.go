// Package compare holds the sessions of two runs against each other: the last record of
// each, in canonical form. It keeps a digest of each session, reads the records of those
// that differ a second time, and holds no more in memory however many sessions there are.
package compare
