package se

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/rvq"
)

// Assignment is how frames get their codes.
type Assignment string

// Assignments.
const (
	Nearest   Assignment = "nearest" // the entry at the smallest distance
	GameSums  Assignment = "sums"    // the node game, on cluster sums
	GameExact Assignment = "members" // the node game, on all members
)

// Recipe says how codebooks are built.
type Recipe struct {
	// Nodes is the number of frames in the graph, spread evenly over those given.
	Nodes int `json:"nodes"`
	Edges
	// Neighbours leaves each frame the edges to the frames most similar to it, this
	// many; 0 leaves all.
	Neighbours int `json:"neighbours,omitempty"`
	// Group is the number of clusters merged at a time.
	Group int `json:"group"`
	// KMeans replaces the centres by k-means of as many entries: what structural
	// entropy is to be compared with.
	KMeans bool `json:"kmeans,omitempty"`
	// Disentangle is the weight of the dependence between centres, see Disentangle.
	Disentangle float64 `json:"disentangle,omitempty"`
	// Refine is the number of times that entries move to the mean of the frames that
	// get their codes (Lloyd 1982), from the centres on. One is enough for games, which
	// do not depend on entries.
	Refine int `json:"refine,omitempty"`
	// Assign chooses the codes, Game the graph of the node game.
	Assign Assignment `json:"assign"`
	Game   Edges      `json:"game"`
}

// PaperRecipe is the setting that the paper found best (10,000 nodes, a threshold of
// 0.2), with edges to all similar frames and the game as it is defined.
func PaperRecipe() Recipe {
	return Recipe{
		Nodes: 10_000, Edges: Edges{Threshold: 0.2}, Group: DefaultGroup, Disentangle: 0.01,
		Assign: GameExact, Game: Edges{Threshold: 0.2},
	}
}

// DefaultRecipe is that of the shipped codebooks.
func DefaultRecipe() Recipe {
	return Recipe{Nodes: 20_000, Neighbours: 4, Group: DefaultGroup, Refine: 10, Assign: Nearest}
}

// Validate reports recipes that cannot be.
func (r Recipe) Validate() error {
	if r.Nodes < 2 || r.Neighbours < 0 || r.Group < 2 || r.Refine < 0 || !(r.Disentangle >= 0) {
		return fmt.Errorf("se: %d nodes, %d neighbours, groups of %d, %d refinements, weight %g: nodes and groups must be 2 or more, the others not negative", r.Nodes, r.Neighbours, r.Group, r.Refine, r.Disentangle)
	}
	switch r.Assign {
	case Nearest, GameSums, GameExact:
	default:
		return fmt.Errorf("se: codes assigned by %q: choose %s, %s or %s", r.Assign, Nearest, GameSums, GameExact)
	}
	if err := r.Game.Validate(); err != nil {
		return err
	}
	return r.Edges.Validate()
}

// Level is a codebook and the way to its codes.
type Level struct {
	Entries []float32 // [size, dim]
	Game    rvq.Game  // nil for the nearest entry
}

// Event reports the progress of Build: a pass of clustering or, with Done set, a
// finished level.
type Event struct {
	Level int
	Pass  Pass
	Done  bool
	Size  int     // entries of the level
	Error float64 // energy that all levels so far leave, as a share of that of the frames
}

// Build makes the codebooks of residual levels from frames x [T, dim]: the clusters
// of the graph of what the levels before leave of some frames, their centres, made
// less dependent on each other. Sizes come out of the data. report may be nil.
func Build(ctx context.Context, x []float32, dim, levels int, r Recipe, report func(Event)) ([]Level, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if dim < 1 || len(x)%dim != 0 || len(x)/dim < r.Nodes {
		return nil, fmt.Errorf("se: %d frames of %d values given: %d nodes need as many frames", len(x)/max(dim, 1), dim, r.Nodes)
	}
	if report == nil {
		report = func(Event) {}
	}
	device := cpu.New(0)
	residual := append([]float32(nil), x...)
	codes := make([]int32, len(x)/dim)
	whole := energy(x)
	var out []Level
	for l := range levels {
		level, err := build(ctx, sample(residual, dim, r.Nodes), residual, dim, r, device, func(p Pass) { report(Event{Level: l, Pass: p}) })
		if err != nil {
			return nil, fmt.Errorf("level %d: %w", l, err)
		}
		out = append(out, *level)
		q, err := level.quantizer(dim)
		if err != nil {
			return nil, err
		}
		q.On(device).Encode(codes, residual, 1)
		for t, c := range codes {
			for k, v := range level.Entries[int(c)*dim:][:dim] {
				residual[t*dim+k] -= v
			}
		}
		report(Event{Level: l, Done: true, Size: len(level.Entries) / dim, Error: energy(residual) / whole})
	}
	return out, nil
}

// build makes one level from the nodes of its graph; x are all frames.
func build(ctx context.Context, nodes, x []float32, dim int, r Recipe, device backend.Backend, report func(Pass)) (*Level, error) {
	f, err := NewFrames(nodes, dim, r.Edges)
	if err != nil {
		return nil, err
	}
	var graph Nodes = f
	if r.Neighbours > 0 {
		graph = f.Neighbours(r.Neighbours)
	}
	clusters, err := Cluster(ctx, graph, r.Group, report)
	if err != nil {
		return nil, err
	}
	if r.KMeans {
		entries, err := kmeans(x, dim, len(clusters), device)
		return &Level{Entries: entries}, err
	}
	level := &Level{Entries: centres(nodes, dim, clusters)}
	f.Edges = r.Game // the same frames in the game's graph
	switch r.Assign {
	case GameExact:
		level.Game = NewMembers(f, clusters)
	case GameSums:
		if level.Game, err = NewSums(f, clusters); err != nil {
			return nil, err
		}
	}
	for range r.Refine {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := level.refine(x, dim, device); err != nil {
			return nil, err
		}
	}
	if r.Disentangle > 0 {
		err = Disentangle(ctx, level.Entries, dim, sizes(clusters), r.Disentangle)
	}
	return level, err
}

// kmeans gives the entries of a codebook by k-means and a trainer's revival of dead
// ones.
func kmeans(x []float32, dim, size int, device backend.Backend) ([]float32, error) {
	const batch, steps = 4096, 300
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	t, err := rvq.NewTrainer(rvq.Config{Dim: dim, Groups: 1, Levels: 1, Size: size}, rvq.DefaultTrainConfig(), device, rng)
	if err != nil {
		return nil, err
	}
	t.Start(x)
	rows := min(batch, len(x)/dim)
	z, out, levels := make([]float32, rows*dim), make([]float32, rows*dim), make([]int, rows)
	for range steps {
		for i := range rows {
			at := rng.IntN(len(x) / dim)
			copy(z[i*dim:(i+1)*dim], x[at*dim:])
		}
		t.Step(out, z, levels, nil)
	}
	return t.Entries(), nil
}

// quantizer is the level as a quantizer of its own.
func (l *Level) quantizer(dim int) (*rvq.GRVQ, error) {
	q, err := rvq.New(rvq.Config{Dim: dim, Groups: 1, Levels: 1, Size: len(l.Entries) / dim}, l.Entries)
	if err != nil {
		return nil, err
	}
	return q.WithGames([]rvq.Game{l.Game}), nil
}

// refine moves each entry to the mean of the frames that get its code.
func (l *Level) refine(x []float32, dim int, device backend.Backend) error {
	q, err := l.quantizer(dim)
	if err != nil {
		return err
	}
	codes := make([]int32, len(x)/dim)
	q.On(device).Encode(codes, x, 1)
	groups := make([][]int32, q.Size)
	for t, c := range codes {
		groups[c] = append(groups[c], int32(t))
	}
	for e, m := range centres(x, dim, groups) {
		if len(groups[e/dim]) > 0 {
			l.Entries[e] = m
		}
	}
	return nil
}

// sample takes n frames of x [T, dim], spread evenly, in order.
func sample(x []float32, dim, n int) []float32 {
	frames := len(x) / dim
	out := make([]float32, 0, n*dim)
	for i := range n {
		at := i * frames / n
		out = append(out, x[at*dim:(at+1)*dim]...)
	}
	return out
}

// centres gives the means of the frames x [T, dim] of each cluster, [clusters, dim];
// zeros for an empty one.
func centres(x []float32, dim int, clusters [][]int32) []float32 {
	out := make([]float32, len(clusters)*dim)
	sum := make([]float64, dim)
	for e, members := range clusters {
		clear(sum)
		for _, i := range members {
			for k, v := range x[int(i)*dim:][:dim] {
				sum[k] += float64(v)
			}
		}
		for k, v := range sum {
			out[e*dim+k] = float32(v / float64(max(len(members), 1)))
		}
	}
	return out
}

func sizes(clusters [][]int32) []float64 {
	var n []float64
	for _, c := range clusters {
		n = append(n, float64(len(c)))
	}
	return n
}

func energy(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

// Sizes gives the number of members of each cluster of a recipe's graph of frames
// x [T, dim], the largest first.
func Sizes(ctx context.Context, x []float32, dim int, r Recipe) ([]int, error) {
	f, err := NewFrames(sample(x, dim, r.Nodes), dim, r.Edges)
	if err != nil {
		return nil, err
	}
	var graph Nodes = f
	if r.Neighbours > 0 {
		graph = f.Neighbours(r.Neighbours)
	}
	clusters, err := Cluster(ctx, graph, r.Group, nil)
	if err != nil {
		return nil, err
	}
	var n []int
	for _, c := range clusters {
		n = append(n, len(c))
	}
	slices.SortFunc(n, func(a, b int) int { return b - a })
	return n, nil
}
