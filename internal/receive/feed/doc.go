// Package feed receives what providers push over WebSockets.
//
// [Run] opens a feed, hands each frame to a [Take] function, and opens it anew
// whenever it ends, until its context does. It knows nothing of where frames go.
//
// A feed pushes each event once, numbers nothing, and repeats nothing: what is
// sent while nobody is connected is lost, and nothing here can change that. So all
// care is for the time between two connections. A socket that is open on this side
// only is found by a heartbeat; a login that a crash left behind is ended by the
// next one; what lapses is renewed before it does. And a frame that was read is
// never thrown away while there is hope: while frames are not taken, those in hand
// stay there, and reading stops, so that the provider's side sees it.
//
// What is particular to a provider is in its dialect, one file each.
package feed
