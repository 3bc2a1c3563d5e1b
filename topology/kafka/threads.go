package kafka

import (
	"sync"
	"sync/atomic"

	"callstitch/topology"
)

// threads is a loop that uses so many threads.
func threads(n int) topology.Loop {
	return func(count int, do func(i int)) {
		var next atomic.Int64
		take := func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}
		var others sync.WaitGroup
		for range min(n, count) - 1 {
			others.Go(take)
		}
		take()
		others.Wait()
	}
}
