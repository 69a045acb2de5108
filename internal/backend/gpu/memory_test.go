package gpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestChunk gives ranges back in random order: they join up again.
func TestChunk(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	c := &chunk{free: []span{{0, 1 << 16}}}
	var taken []span
	for range 10_000 {
		if len(taken) > 0 && rng.IntN(2) == 0 {
			i := rng.IntN(len(taken))
			c.give(taken[i])
			taken[i] = taken[len(taken)-1]
			taken = taken[:len(taken)-1]
			continue
		}
		s, ok := c.take(uint64(1+rng.IntN(16)) * alignment)
		if !ok {
			continue
		}
		for _, other := range taken {
			if s.from < other.to && other.from < s.to {
				t.Fatalf("%v and %v overlap", s, other)
			}
		}
		taken = append(taken, s)
	}
	for _, s := range taken {
		c.give(s)
	}
	if fmt.Sprint(c.free) != fmt.Sprint([]span{{0, 1 << 16}}) {
		t.Errorf("%v is free", c.free)
	}
}
