package topologytest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"callstitch/internal/simulator"
	"callstitch/processor/call"
)

// Calls draws calls that begin within a span after Start: trees of legs, and
// chains of them.
func Calls(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, func(rng *rand.Rand, n int) simulator.Graph {
		at := Start + rng.Int64N(span.Milliseconds())
		if rng.IntN(7) < 4 {
			return simulator.Tree(rng, at, 1+rng.IntN(5))
		}
		return simulator.Chain(rng, at, fmt.Sprintf("%d-%d", seed, n))
	})
}

// Trees draws calls of up to a dozen legs, each placed by one before it.
func Trees(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, func(rng *rand.Rand, _ int) simulator.Graph {
		return simulator.Tree(rng, Start+rng.Int64N(span.Milliseconds()), 1+rng.IntN(12))
	})
}

// Lone draws calls of one leg.
func Lone(seed uint64, calls int, span time.Duration) *Corpus {
	return draw(seed, calls, func(rng *rand.Rand, _ int) simulator.Graph {
		return simulator.Tree(rng, Start+rng.Int64N(span.Milliseconds()), 1)
	})
}

func draw(seed uint64, calls int, next func(rng *rand.Rand, n int) simulator.Graph) *Corpus {
	rng, c := rand.New(rand.NewPCG(seed, 2)), &Corpus{}
	for n := range calls {
		g := next(rng, n)
		for _, told := range g.Told {
			m := Message{Headers: sentBy(g.Provider), Timestamp: told.At, Value: told.Value, Call: n}
			if told.Variant {
				m.Kind = Variant
			}
			c.Records = append(c.Records, m)
		}
		provider, _ := call.ParseProvider(g.Provider)
		c.expect("default", provider, g.CallIDs)
	}
	return c
}
