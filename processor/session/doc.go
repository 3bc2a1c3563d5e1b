// Package session makes the record of a call from its legs: who was in it, who
// passed whom on, how it went, when and for how long. It is a function of the
// legs, in any order, and knows nothing of how they came together.
//
// The steps are values, each made from the one before: parties, course, outcome,
// times, lengths, and the record. What differs from provider to provider is a row
// in the table dialects.
package session
