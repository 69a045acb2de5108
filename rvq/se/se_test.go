package se

import (
	"context"
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

func TestJoinEqualsDifferenceOfEntropies(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	games := 0
	for range 1500 {
		g := randomGraph(rng, 3+rng.IntN(24))
		p, k := randomPartition(rng, g.Nodes-1) // the last node is the new one
		x := g.Nodes - 1
		old := Graph{Nodes: x}
		weights := make([]float64, k)
		var d float64
		for _, e := range g.Edges {
			if max(e.A, e.B) < x {
				old.Edges = append(old.Edges, e)
				continue
			}
			weights[p[min(e.A, e.B)]] += e.Weight
			d += e.Weight
		}
		if d == 0 {
			continue
		}
		game := Measure(old, groups(p, k))
		alone := g.Entropy(append(slices.Clone(p), k))
		best, least := -1, math.Inf(1)
		for e := range k {
			joined := append(slices.Clone(p), e)
			want := g.Entropy(joined) - alone
			if !slices.Contains(p, e) {
				continue
			}
			got := game.Join(e, weights[e], d)
			if math.IsInf(got, 1) && weights[e] == 0 && game.Volume[e] == 0 {
				continue
			}
			if math.Abs(got-want) > 1e-9 {
				t.Fatalf("joining cluster %d of %v: %g, the entropies differ by %g", e, p, got, want)
			}
			games++
			if want < least-1e-12 {
				best, least = e, want
			}
		}
		if got := game.Best(weights); best >= 0 && math.Abs(game.Join(got, weights[got], d)-least) > 1e-9 {
			t.Fatalf("cluster %d is chosen, %d changes H least", got, best)
		}
	}
	if games < 5000 {
		t.Errorf("only %d games", games)
	}
}

func TestGameOfNodesWithoutEdges(t *testing.T) {
	p := &Partition{Volume: []float64{3, 0, 5}, Cut: []float64{1, 0, 1}, Total: 8}
	if got := p.Best([]float64{0, 0, 0}); got != -1 {
		t.Errorf("a node without edges joins cluster %d", got)
	}
	if got := p.Join(1, 0, 1); !math.IsInf(got, 1) {
		t.Errorf("joining an empty cluster changes H by %g", got)
	}
	// Equal clusters: the first one.
	p = &Partition{Volume: []float64{4, 4}, Cut: []float64{1, 1}, Total: 8}
	if got := p.Best([]float64{0.5, 0.5}); got != 0 {
		t.Errorf("of equal clusters %d is chosen", got)
	}
}

func TestNeighboursAreTheMostSimilarFrames(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	const n, dim, k = 700, 5, 4
	x := make([]float32, n*dim)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	f, err := NewFrames(x, dim, Edges{Threshold: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	want := map[[2]int]bool{}
	for a := range n {
		type near struct {
			id int
			s  float64
		}
		var all []near
		for b := range n {
			if s := cosine(x[a*dim:(a+1)*dim], x[b*dim:(b+1)*dim]); b != a && s > 0.1 {
				all = append(all, near{b, s})
			}
		}
		slices.SortFunc(all, func(p, q near) int {
			if p.s > q.s {
				return -1
			}
			return 1
		})
		for _, b := range all[:min(k, len(all))] {
			want[[2]int{min(a, b.id), max(a, b.id)}] = true
		}
	}
	g := f.Neighbours(k)
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, e := range g.Edges {
		if !want[[2]int{e.A, e.B}] {
			t.Errorf("edge %d %d of weight %g is none of the nearest", e.A, e.B, e.Weight)
		}
		if s := cosine(x[e.A*dim:(e.A+1)*dim], x[e.B*dim:(e.B+1)*dim]); math.Abs(s-e.Weight) > 1e-5 {
			t.Errorf("edge %d %d weighs %g, the cosine is %g", e.A, e.B, e.Weight, s)
		}
	}
	if len(g.Edges) != len(want) {
		t.Errorf("%d edges, want %d", len(g.Edges), len(want))
	}
}

func cosine(x, y []float32) float64 {
	var xy, xx, yy float64
	for i := range x {
		xy += float64(x[i]) * float64(y[i])
		xx += float64(x[i]) * float64(x[i])
		yy += float64(y[i]) * float64(y[i])
	}
	return xy / math.Sqrt(xx*yy)
}

// The graph of frames, which is never stored, is that of its edges.
func TestFramesAreTheirGraph(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	const n, dim = 600, 6
	x := make([]float32, n*dim)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	clear(x[3*dim : 4*dim]) // an isolated frame
	f, err := NewFrames(x, dim, Edges{Threshold: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	g := Graph{Nodes: n}
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	f.similar(all, func(a, b int, w float64) { g.Edges = append(g.Edges, Edge{a, b, w}) })
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, group := range []int{64, 1024} {
		a, err := Cluster(context.Background(), f, group, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Cluster(context.Background(), g, group, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(a, b, slices.Equal[[]int32]) {
			t.Errorf("groups of %d: %d clusters of the frames, %d of the graph", group, len(a), len(b))
		}
		if !slices.ContainsFunc(a, func(c []int32) bool { return len(c) == 1 && c[0] == 3 }) {
			t.Errorf("groups of %d: the isolated frame is not alone", group)
		}
		seen := make([]bool, n)
		for _, c := range a {
			for _, i := range c {
				if seen[i] {
					t.Fatalf("frame %d is in two clusters", i)
				}
				seen[i] = true
			}
		}
	}
}

func TestNewFramesRefusesWhatIsNoGraph(t *testing.T) {
	for name, f := range map[string]func() (*Frames, error){
		"length":    func() (*Frames, error) { return NewFrames(make([]float32, 5), 2, Edges{Threshold: 0.2}) },
		"threshold": func() (*Frames, error) { return NewFrames(make([]float32, 4), 2, Edges{Threshold: -0.1}) },
		"softness":  func() (*Frames, error) { return NewFrames(make([]float32, 4), 2, Edges{Soft: 100}) },
		"NaN":       func() (*Frames, error) { return NewFrames([]float32{1, float32(math.NaN())}, 2, Edges{Threshold: 0.2}) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLog2(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for range 100_000 {
		x := math.Exp2(40*rng.NormFloat64()) * rng.Float64()
		if got, want := log2(x), math.Log2(x); math.Abs(got-want) > 1e-15*max(1, math.Abs(want)) {
			t.Fatalf("log2(%g) = %.17g, math gives %.17g", x, got, want)
		}
	}
	for _, x := range []float64{0, 1, 2, 0.5, 1 << 40, 5e-324, math.MaxFloat64, math.Inf(1)} {
		if got, want := log2(x), math.Log2(x); math.Abs(got-want) > 1e-12 {
			t.Errorf("log2(%g) = %g", x, got)
		}
	}
	if got := log2(-1); !math.IsNaN(got) {
		t.Errorf("log2(-1) = %g", got)
	}
	// The same bits on every machine: worked out once on amd64.
	if got := math.Float64bits(log2(3) + log2(1e-7)); got != 0xc035ab250e10732c {
		t.Errorf("bits %#x", got)
	}
}

// Frames at a right angle or more have no edge of cosine; soft edges reach them.
func TestNegativeSimilaritiesAreNoEdges(t *testing.T) {
	x := []float32{1, 0, 1, 0.1, 0, 1, -1, 0, 0, 0}
	weights := func(e Edges) map[[2]int]float64 {
		f, err := NewFrames(x, 2, e)
		if err != nil {
			t.Fatal(err)
		}
		got := map[[2]int]float64{}
		f.similar([]int32{0, 1, 2, 3, 4}, func(a, b int, w float64) { got[[2]int{a, b}] = w })
		return got
	}
	got := weights(Edges{})
	if len(got) != 2 || math.Abs(got[[2]int{0, 1}]-cosine(x[:2], x[2:4])) > 1e-6 || math.Abs(got[[2]int{1, 2}]-cosine(x[2:4], x[4:6])) > 1e-6 {
		t.Errorf("edges %v, want those of the pairs 0 1 and 1 2", got)
	}
	got = weights(Edges{Threshold: -1, Soft: 3})
	if len(got) != 9 || math.Abs(got[[2]int{0, 2}]-math.Exp(-3)) > 1e-7 { // the cosine -1 does not exceed -1
		t.Errorf("soft edges %v", got)
	}
}
