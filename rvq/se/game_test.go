package se

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/ref"
	"github.com/sotto-audio/sotto/rvq"
)

// blobs draws frames around centres, so that clusters are there to find.
func blobs(rng *rand.Rand, n, dim, centres int, spread float64) []float32 {
	c := make([]float64, centres*dim)
	for i := range c {
		c[i] = rng.NormFloat64()
	}
	var x []float32
	for range n {
		at := rng.IntN(centres)
		length := math.Exp(0.5 * rng.NormFloat64())
		for k := range dim {
			x = append(x, float32(length*(c[at*dim+k]+spread*rng.NormFloat64())))
		}
	}
	return x
}

var allEdges = map[string]Edges{
	"threshold": {Threshold: 0.2}, "no threshold": {}, "soft": {Threshold: -1, Soft: 12},
}

func clustered(t testing.TB, x []float32, dim int, edges Edges) (*Frames, [][]int32) {
	t.Helper()
	f, err := NewFrames(x, dim, edges)
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := Cluster(context.Background(), f.Neighbours(6), DefaultGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f, clusters
}

func unitFrames(x []float32, dim int) *backend.Tensor {
	u := make([]float32, len(x))
	for i := 0; i < len(x); i += dim {
		_ = normalise(u[i:i+dim], x[i:i+dim])
	}
	return backend.Host(u, len(x)/dim, dim)
}

// A frame goes where the entropy of the whole graph, by its definition, becomes
// smallest.
func TestMembersMinimiseTheEntropy(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	const n, dim = 60, 5
	for name, edges := range allEdges {
		for range 12 {
			x := blobs(rng, n+1, dim, 6, 0.4)
			f, clusters := clustered(t, x[:n*dim], dim, edges)
			all, err := NewFrames(x, dim, edges)
			if err != nil {
				t.Fatal(err)
			}
			g := Graph{Nodes: n + 1}
			ids := make([]int32, n+1)
			for i := range ids {
				ids[i] = int32(i)
			}
			joined := false
			all.similar(ids, func(a, b int, w float64) {
				g.Edges = append(g.Edges, Edge{a, b, w})
				joined = joined || b == n
			})
			p := make([]int, n+1)
			for e, members := range clusters {
				for _, i := range members {
					p[i] = e
				}
			}
			codes := []int32{7}
			NewMembers(f, clusters).On(cpu.New(1)).Play(codes, unitFrames(x[n*dim:], dim).Data, dim)
			if !joined {
				if codes[0] != -1 {
					t.Fatalf("%s: a frame without edges goes to cluster %d", name, codes[0])
				}
				continue
			}
			least := math.Inf(1)
			entropy := func(e int) float64 {
				p[n] = e
				return g.Entropy(p)
			}
			for e := range clusters {
				least = min(least, entropy(e))
			}
			if got := entropy(int(codes[0])); got > least+1e-6 {
				t.Fatalf("%s: cluster %d leaves an entropy of %g, the best one %g", name, codes[0], got, least)
			}
		}
	}
}

// The fast form minimises Partition.Join of the weights that its definition gives.
func TestSumsMinimiseTheEntropy(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	const n, dim, rows = 400, 8, 200
	for name, edges := range allEdges {
		x := blobs(rng, n+rows, dim, 25, 0.5)
		f, clusters := clustered(t, x[:n*dim], dim, edges)
		s, err := NewSums(f, clusters)
		if err != nil {
			t.Fatal(err)
		}
		p := Measure(f, clusters)
		u := unitFrames(x[n*dim:], dim)
		codes := make([]int32, rows)
		s.On(cpu.New(1)).Play(codes, u.Data, dim)
		weights := make([]float64, len(clusters))
		for r, code := range codes {
			var d float64
			for e, members := range clusters {
				sum := make([]float64, dim)
				var product, square float64
				for _, i := range members {
					for k, v := range f.unit[int(i)*dim:][:dim] {
						sum[k] += float64(v)
					}
				}
				size := float64(len(members))
				for k, v := range sum {
					product += v * float64(u.Row(r)[k])
					square += v / size * v / size
				}
				weights[e] = max(0, product)
				if b := float64(edges.Soft); b > 0 {
					weights[e] = size * math.Exp(b*(product/size-1)+b*b*(1-square)/dim/2)
				}
				d += weights[e]
			}
			if d == 0 {
				if code != -1 {
					t.Fatalf("%s: a frame without edges goes to cluster %d", name, code)
				}
				continue
			}
			best := p.Best(weights)
			want, got := p.Join(best, weights[best], d), p.Join(int(code), weights[code], d)
			if got > want+1e-5*math.Abs(want) {
				t.Fatalf("%s: frame %d: cluster %d changes H by %g, cluster %d by %g", name, r, code, got, best, want)
			}
		}
	}
}

// Where the members of each cluster agree with each other, sums know all of them.
func TestSumsEqualMembersOfTightClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	const dim, each = 6, 20
	var x []float32
	var clusters [][]int32
	// Clusters around the axes and their opposites, of different sizes.
	for c := range 2 * dim {
		var members []int32
		for range each + 3*c {
			members = append(members, int32(len(x)/dim))
			for k := range dim {
				v := 0.01 * float32(rng.NormFloat64())
				if k == c/2 {
					v += float32(1 - 2*(c%2))
				}
				x = append(x, v)
			}
		}
		clusters = append(clusters, members)
	}
	f, err := NewFrames(x, dim, Edges{Threshold: 0})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSums(f, clusters)
	if err != nil {
		t.Fatal(err)
	}
	u := unitFrames(blobs(rng, 300, dim, 300, 0), dim)
	fast, exact := make([]int32, u.Rows), make([]int32, u.Rows)
	dev := cpu.New(1)
	s.On(dev).Play(fast, u.Data, dim)
	NewMembers(f, clusters).On(dev).Play(exact, u.Data, dim)
	if !slices.Equal(fast, exact) {
		t.Errorf("codes differ:\n%v\n%v", fast, exact)
	}
}

// Any chunks, any stream and any device give the same codes, level by level, and
// where a game does not decide, the nearest entry is taken.
func TestQuantizersWithGamesStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 1))
	const dim, rows = 8, 120
	x := blobs(rng, 500, dim, 30, 0.5)
	f, clusters := clustered(t, x, dim, Edges{Threshold: 0.3})
	sums, err := NewSums(f, clusters)
	if err != nil {
		t.Fatal(err)
	}
	books := [][]float32{centres(x, dim, clusters), centres(x, dim, clusters), blobs(rng, 17, dim, 17, 0)}
	q, err := rvq.NewSized(rvq.Config{Dim: dim, Groups: 1, Levels: 3, Size: max(17, len(clusters))}, books)
	if err != nil {
		t.Fatal(err)
	}
	q = q.WithGames([]rvq.Game{sums, NewMembers(f, clusters), nil})
	z := blobs(rng, rows, dim, rows, 0)
	clear(z[5*dim : 6*dim])
	whole := make([]int32, rows*3)
	on := q.On(cpu.New(2))
	on.Encode(whole, z, 3)
	var parts []int32
	fork := on.Fork()
	for from := 0; from < rows; {
		n := min(1+rng.IntN(40), rows-from)
		codes := make([]int32, n*3)
		fork.Encode(codes, z[from*dim:(from+n)*dim], 3)
		parts = append(parts, codes...)
		from += n
	}
	if !slices.Equal(whole, parts) {
		t.Error("chunks give other codes")
	}
	naive := make([]int32, rows*3)
	q.On(ref.Backend{}).Encode(naive, z, 3)
	if !slices.Equal(whole, naive) {
		t.Error("the naive backend gives other codes")
	}
	hidden := make([]int32, rows*3)
	q.On(struct{ backend.Backend }{ref.Backend{}}).Encode(hidden, z, 3) // without Joiner
	if !slices.Equal(whole, hidden) {
		t.Error("a backend without node games gives other codes")
	}
	nearest := make([]int32, 1)
	plain, _ := rvq.New(rvq.Config{Dim: dim, Groups: 1, Levels: 1, Size: len(clusters)}, books[0])
	plain.On(nil).Encode(nearest, z[5*dim:6*dim], 1)
	if whole[5*3] != nearest[0] {
		t.Errorf("a frame of zeros gets entry %d, the nearest is %d", whole[5*3], nearest[0])
	}
	if n := testing.AllocsPerRun(20, func() { fork.Encode(whole, z, 3) }); n > 0 {
		t.Errorf("%v allocations after the first step", n)
	}
}

func TestHostileGamesAreRefused(t *testing.T) {
	good := func() *Sums {
		return &Sums{Clusters: 1, Dim: 2, Vectors: []float32{1, 0}, Bias: []float32{0}, Inside: []float32{0.5}, Volume: []float32{1}, Total: 1}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	for i, change := range []func(*Sums){
		func(s *Sums) { s.Vectors = s.Vectors[:1] }, func(s *Sums) { s.Vectors[0] = nan }, func(s *Sums) { s.Bias[0] = 1e9 },
		func(s *Sums) { s.Inside[0] = 2 }, func(s *Sums) { s.Volume[0] = -1 }, func(s *Sums) { s.Total = 0 }, func(s *Sums) { s.Clusters = 0 },
	} {
		s := good()
		change(s)
		if s.Validate() == nil {
			t.Errorf("sums %d are accepted", i)
		}
	}
	f, clusters := clustered(t, blobs(rand.New(rand.NewPCG(1, 1)), 30, 2, 4, 0.3), 2, Edges{})
	for i, change := range []func(*Members){
		func(m *Members) { m.Sizes[0]++ }, func(m *Members) { m.Sizes[0] = -1 }, func(m *Members) { m.Vectors[0] = nan },
		func(m *Members) { m.Partition.Cut[0] = math.Inf(1) }, func(m *Members) { m.Threshold = -2 }, func(m *Members) { m.Dim = 0 },
	} {
		m := NewMembers(f, clusters)
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		change(m)
		if m.Validate() == nil {
			t.Errorf("members %d are accepted", i)
		}
	}
}

// The node game in its two forms beside the nearest entry, of a codebook of about
// 1,000 entries in 64 dimensions: times of 50 frames in turn, of which the least
// count, so that other work on the machine does not.
func BenchmarkQuantize(b *testing.B) {
	const dim, rows = 64, 50
	rng := rand.New(rand.NewPCG(15, 1))
	x := blobs(rng, 12500+rows, dim, 1000, 0.8)
	f, clusters := clustered(b, x[:12500*dim], dim, Edges{Threshold: 0.2})
	soft := *f
	soft.Edges = Edges{Threshold: -1, Soft: 30}
	sums, err := NewSums(f, clusters)
	if err != nil {
		b.Fatal(err)
	}
	softSums, err := NewSums(&soft, clusters)
	if err != nil {
		b.Fatal(err)
	}
	q, err := rvq.New(rvq.Config{Dim: dim, Groups: 1, Levels: 1, Size: len(clusters)}, centres(x, dim, clusters))
	if err != nil {
		b.Fatal(err)
	}
	names := []string{"nearest", "sums", "soft-sums", "members"}
	var on []*rvq.Quantizer
	for _, g := range []rvq.Game{nil, sums, softSums, NewMembers(f, clusters)} {
		on = append(on, q.WithGames([]rvq.Game{g}).On(cpu.New(1)))
	}
	codes, least := make([]int32, rows), make([]time.Duration, len(on))
	for n := 0; b.Loop(); n++ {
		for i, q := range on {
			if names[i] == "members" && n%50 > 0 {
				continue
			}
			begin := time.Now()
			q.Encode(codes, x[12500*dim:], 1)
			if took := time.Since(begin); least[i] == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	b.ReportMetric(float64(len(clusters)), "entries")
	b.ReportMetric(float64(least[0].Nanoseconds())/rows, "ns/frame-nearest")
	for i, name := range names[1:] {
		b.ReportMetric(float64(least[i+1])/float64(least[0]), "x-"+name)
	}
	b.ReportMetric(0, "ns/op")
}
