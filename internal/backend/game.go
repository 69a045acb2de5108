package backend

// Game holds the clusters that a node may join by structural entropy, for Join.
// Slices are by cluster. Products of vectors of length 1 plus Bias are at most 126
// where edges are soft.
type Game struct {
	Bias    []float32 // of the weight of an edge, or of its logarithm to base 2
	Soft    bool
	Inside  []float32 // I = V − g, twice the weight inside of the cluster
	Inverse []float32 // 1/V, of the cluster's volume
	Bits    []float32 // log2 V
	Total   float32   // volume of the graph
}

// Joiner is a Backend that plays the node game (package rvq/se); others leave it to
// the host.
type Joiner interface {
	// Join sets codes[t] to the cluster that node t joins, the lowest index on a tie,
	// and to −1 where the node has no edge. Its edge to cluster e weighs
	// w[e] = f32.Edge(x·sums[e], f32.InverseLength(x), Bias[e], Soft); the product is MatMul's of sums packed
	// by PackT; d is the canonical row sum of w (see LayerNorm); the cluster has the
	// smallest f32.Join(w[e], d, Inside[e], Inverse[e], Bits[e], c) with
	// c = f32.Log2(Total + 2d).
	Join(codes []int32, x *Tensor, sums *Weights, g *Game)
}
