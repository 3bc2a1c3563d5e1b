// Package topologytest plays the topology against an adversary: the same tasks
// as in production, over a model of a broker whose transactions stay open,
// abort, and hide what lies behind them, with workers that stall, crash before
// and after their commit, and lose their tasks to others. Everything is drawn
// from one seed, so that a failure can be repeated.
//
// The calls are those of the simulator (Traffic), or graphs of legs that are larger
// and quicker than any call (Calls, Trees).
package topologytest
