// Package simulator makes synthetic provider traffic together with the truth
// about it. It draws calls first (who called whom, what happened, when), keeps
// that as the truth, and only then writes the events that each provider would
// send for them, with that provider's own quirks.
//
// The package shares no code with decoding or stitching: what it says must come
// out is worked out from the drawn call, never from the events. Everything comes
// from one seed, so equal configurations give equal bytes.
//
// All numbers are fictional (555-01xx) and no person or account is named.
package simulator
