package se

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomGraph draws a graph of n nodes in a few loose communities; about a
// tenth of the graphs have isolated nodes.
func randomGraph(rng *rand.Rand, n int) Graph {
	g := Graph{Nodes: n}
	communities := 1 + rng.IntN(4)
	inside, outside := 0.3+0.7*rng.Float64(), 0.3*rng.Float64()
	for a := range n {
		if rng.IntN(40) == 0 {
			continue
		}
		for b := range a {
			p := outside
			if a%communities == b%communities {
				p = inside
			}
			if rng.Float64() < p {
				g.Edges = append(g.Edges, Edge{a, b, 1 - rng.Float64()})
			}
		}
	}
	return g
}

func randomPartition(rng *rand.Rand, n int) ([]int, int) {
	k := 1 + rng.IntN(n)
	p := make([]int, n)
	for i := range p {
		p[i] = rng.IntN(k)
	}
	return p, k
}

func groups(p []int, k int) [][]int32 {
	out := make([][]int32, k)
	for i, c := range p {
		out[c] = append(out[c], int32(i))
	}
	return out
}

func TestGainEqualsDifferenceOfEntropies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	pairs := 0
	for range 1200 {
		g := randomGraph(rng, 2+rng.IntN(24))
		p, k := randomPartition(rng, g.Nodes)
		m := newMerging(g.Between(groups(p, k)))
		total := math.Exp2(m.all)
		before := g.Entropy(p)
		for x := range k {
			for y := range x {
				if m.Weight[x*k+y] == 0 {
					continue
				}
				merged := slices.Clone(p)
				for i, c := range merged {
					if c == x {
						merged[i] = y
					}
				}
				want := g.Entropy(merged) - before
				if got := m.gain(x, y) / total; math.Abs(got-want) > 1e-9 {
					t.Fatalf("merging %d and %d of %v: %g, the entropies differ by %g", x, y, p, got, want)
				}
				pairs++
			}
		}
	}
	if pairs < 10_000 {
		t.Errorf("only %d pairs", pairs)
	}
}

func TestPairsWithoutEdgeNeverLowerTheEntropy(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for range 300 {
		g := randomGraph(rng, 2+rng.IntN(12))
		p, k := randomPartition(rng, g.Nodes)
		b := g.Between(groups(p, k))
		for x := range k {
			for y := range x {
				merged := slices.Clone(p)
				for i, c := range merged {
					if c == x {
						merged[i] = y
					}
				}
				if d := g.Entropy(merged) - g.Entropy(p); b.Weight[x*k+y] == 0 && d < -1e-12 {
					t.Fatalf("clusters %d and %d of %v have no edge, but merging changes H by %g", x, y, p, d)
				}
			}
		}
	}
}

// naiveGreedy evaluates the definition for every pair of clusters at each step.
func naiveGreedy(g Graph) []int {
	p := make([]int, g.Nodes)
	for i := range p {
		p[i] = i
	}
	for {
		h, best := g.Entropy(p), -1e-12
		var next []int
		for x := range g.Nodes {
			for y := x + 1; y < g.Nodes; y++ {
				if !slices.Contains(p, x) || !slices.Contains(p, y) {
					continue
				}
				merged := slices.Clone(p)
				for i, c := range merged {
					if c == y {
						merged[i] = x
					}
				}
				if d := g.Entropy(merged) - h; d < best-1e-12 {
					best, next = d, merged
				}
			}
		}
		if next == nil {
			break
		}
		p = next
	}
	return renumber(p)
}

func renumber(p []int) []int {
	seen := map[int]int{}
	out := make([]int, len(p))
	for i, c := range p {
		if _, ok := seen[c]; !ok {
			seen[c] = len(seen)
		}
		out[i] = seen[c]
	}
	return out
}

func TestMergeEqualsNaiveGreedy(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 250 {
		g := randomGraph(rng, 2+rng.IntN(18))
		alone := make([]int, g.Nodes)
		for i := range alone {
			alone[i] = i
		}
		want := naiveGreedy(g)
		if got := Merge(g.Between(groups(alone, g.Nodes))); !slices.Equal(got, want) {
			t.Fatalf("%d nodes: %v, the naive algorithm gives %v", g.Nodes, got, want)
		}
	}
}

// scanGreedy is the same algorithm with a full scan at each step.
func scanGreedy(b *Between) []int {
	m := newMerging(b)
	m.queue.fill()
	for {
		best, x, y := 0.0, -1, -1
		for i, a := range m.alive {
			for _, c := range m.alive[i+1:] {
				if g := m.gain(a, c); g < best {
					best, x, y = g, a, c
				}
			}
		}
		if x < 0 {
			return m.labels()
		}
		m.merge(x, y)
	}
}

func clone(b *Between) *Between {
	return &Between{b.Clusters, slices.Clone(b.Weight), slices.Clone(b.Inside)}
}

// Equal weights make equal gains: the heap must settle ties as the scan does.
func TestMergeSettlesTiesByLowestIndices(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	for range 300 {
		g := randomGraph(rng, 2+rng.IntN(60))
		for i := range g.Edges {
			g.Edges[i].Weight = 1
		}
		alone := make([]int, g.Nodes)
		for i := range alone {
			alone[i] = i
		}
		b := g.Between(groups(alone, g.Nodes))
		if got, want := Merge(clone(b)), scanGreedy(clone(b)); !slices.Equal(got, want) {
			t.Fatalf("%d nodes: %v, a full scan gives %v", g.Nodes, got, want)
		}
	}
}

func TestMergeLeavesIsolatedNodesAlone(t *testing.T) {
	g := Graph{Nodes: 5, Edges: []Edge{{0, 2, 1}, {4, 1, 1}}}
	if got, want := Merge(g.Between([][]int32{{0}, {1}, {2}, {3}, {4}})), []int{0, 1, 0, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Merge(NewBetween(3)); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("without any edge: %v", got)
	}
	if got := Merge(NewBetween(0)); len(got) != 0 {
		t.Errorf("without nodes: %v", got)
	}
}

func TestValidateRefusesEdgesOutsideTheDefinition(t *testing.T) {
	for _, e := range []Edge{{0, 0, 1}, {0, 3, 1}, {-1, 0, 1}, {0, 1, 0}, {0, 1, -0.5}, {0, 1, math.NaN()}, {0, 1, math.Inf(1)}} {
		if err := (Graph{3, []Edge{e}}).Validate(); err == nil {
			t.Errorf("%v is accepted", e)
		}
	}
	if err := (Graph{3, []Edge{{0, 1, 1}}}).Validate(); err != nil {
		t.Error(err)
	}
}
