// Package se builds codebooks and assigns frames by structural entropy, as
// SECodec does (Wang et al. 2025, arXiv 2501.00018): frames are the nodes of a
// graph whose edges are cosine similarities above a threshold, and a partition
// is good where it takes few bits to say where a random walk on that graph is
// (Li & Pan 2016). The size of the codebook comes out of the data.
//
// With d the weighted degree of a node, V_X the volume of a cluster (its sum of
// degrees), g_X the weight of the edges that leave it and V the volume of the
// graph, the two-dimensional structural entropy of a partition is
//
//	H = − Σ_X Σ_{i∈X} (d_i/V)·log2(d_i/V_X) − Σ_X (g_X/V)·log2(V_X/V)
//
// Nodes without edges have degree 0 and add nothing.
package se

import (
	"fmt"
	"math"
)

// Edge joins two different nodes.
type Edge struct {
	A, B   int
	Weight float64
}

// Graph is an undirected weighted graph without self-loops. Edges between the
// same nodes add up.
type Graph struct {
	Nodes int
	Edges []Edge
}

// Validate reports edges that the definition excludes: self-loops, unknown
// nodes, and weights that are not positive and finite. Similarities below zero
// are no edges.
func (g Graph) Validate() error {
	for i, e := range g.Edges {
		if e.A == e.B || min(e.A, e.B) < 0 || max(e.A, e.B) >= g.Nodes {
			return fmt.Errorf("se: edge %d joins nodes %d and %d of %d", i, e.A, e.B, g.Nodes)
		}
		if !(e.Weight > 0) || math.IsInf(e.Weight, 0) {
			return fmt.Errorf("se: edge %d has weight %g, which is not positive and finite", i, e.Weight)
		}
	}
	return nil
}

// Entropy is H of the partition that gives each node its cluster, straight from
// the definition, in bits.
func (g Graph) Entropy(cluster []int) float64 {
	clusters := 0
	for _, c := range cluster {
		clusters = max(clusters, c+1)
	}
	degree := make([]float64, g.Nodes)
	volume, cut := make([]float64, clusters), make([]float64, clusters)
	var total float64
	for _, e := range g.Edges {
		degree[e.A] += e.Weight
		degree[e.B] += e.Weight
		if a, b := cluster[e.A], cluster[e.B]; a != b {
			cut[a] += e.Weight
			cut[b] += e.Weight
		}
		total += 2 * e.Weight
	}
	for i, d := range degree {
		volume[cluster[i]] += d
	}
	var h float64
	for i, d := range degree {
		if d > 0 {
			h -= d / total * log2(d/volume[cluster[i]])
		}
	}
	for c, v := range volume {
		if cut[c] > 0 {
			h -= cut[c] / total * log2(v/total)
		}
	}
	return h
}

// Len is the number of nodes.
func (g Graph) Len() int { return g.Nodes }

// Between gives the weights between and inside clusters of nodes, in the graph
// of those nodes alone.
func (g Graph) Between(clusters [][]int32) *Between {
	const outside = -1
	of := make([]int, g.Nodes)
	for i := range of {
		of[i] = outside
	}
	for c, members := range clusters {
		for _, i := range members {
			of[i] = c
		}
	}
	b := NewBetween(len(clusters))
	for _, e := range g.Edges {
		if of[e.A] != outside && of[e.B] != outside {
			b.Add(of[e.A], of[e.B], e.Weight)
		}
	}
	return b
}
