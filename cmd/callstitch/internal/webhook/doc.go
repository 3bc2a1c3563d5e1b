// Package webhook is the providers' side of the front door: it posts events as they
// do, each with its authentication, and sends again what was not taken. It shares
// nothing with what is behind the door: a mistake made twice would not show.
package webhook
