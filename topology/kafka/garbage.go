package kafka

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	// garbageRoom is how much garbage may come together between two cycles of the
	// collector. At full speed a second makes as much, and a cycle costs a tenth of one.
	garbageRoom = 384 << 20
	// Bounds of what is garbage, of what lives, in percent: a process that holds little
	// stays small; one that holds millions of legs has little to mark, for they lie in
	// memory without pointers, so it need not let as much garbage come together as it holds.
	garbageMost  = 160
	garbageLeast = 25

	garbageLook = time.Second // what lives changes no faster
)

// PaceGarbage has Go's collector run by what lives until ctx ends: Go's own rule lets as
// much garbage come together as lives, whether that is 10 MiB or 10 GiB. Where the
// environment has GOGC, that is followed. It is of the whole process: a program calls it
// once. A memory limit (GOMEMLIMIT, or the container's) comes first, as with any percentage.
func PaceGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	look := time.NewTicker(garbageLook)
	defer look.Stop()
	for last := 0; ; {
		runtimemetrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); percent != last { // to set it stops the world
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// garbagePercent is how much garbage may come together, in percent of the bytes that live.
func garbagePercent(live uint64) int {
	return int(min(max(garbageRoom*100/max(live, 1), garbageLeast), garbageMost))
}
