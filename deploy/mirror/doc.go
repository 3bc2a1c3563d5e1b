// Package mirror is a configuration of nginx that sends a copy of every post of a
// call-control application to the front door, and its test.
package mirror
