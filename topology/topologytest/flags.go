package topologytest

import (
	"flag"
	"iter"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "play this seed only")
	seedsFlag = flag.Float64("seeds", 1, "play this many times the usual number of seeds")
)

// Seeds are the seeds that a test plays: usually the first n, as the flags
// -seed and -seeds say.
func Seeds(n int) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		if *seedFlag != 0 {
			yield(*seedFlag)
			return
		}
		for seed := range uint64(float64(n) * *seedsFlag) {
			if !yield(seed + 1) {
				return
			}
		}
	}
}
