package se

import (
	"fmt"
	"math"
)

// Partition is what the node game knows of a graph and its clusters.
type Partition struct {
	Volume []float64 // V_e of each cluster
	Cut    []float64 // g_e
	Total  float64   // V of the graph
}

// Measure gives the volumes and cuts of clusters.
func Measure(nodes Nodes, clusters [][]int32) *Partition {
	b := nodes.Between(clusters)
	p := &Partition{}
	for x := range clusters {
		var cut float64
		for _, w := range b.Weight[x*b.Clusters : (x+1)*b.Clusters] {
			cut += w
		}
		volume := cut + 2*b.Inside[x]
		p.Cut = append(p.Cut, cut)
		p.Volume = append(p.Volume, volume)
		p.Total += volume
	}
	return p
}

// Join is ΔH in bits of moving a new node, first alone, into cluster e: the node
// has edges of total weight d, of them w to e. With I_e = V_e − g_e, and V_e and
// V in the graph that holds the node already (the given ones plus w and 2d),
//
//	V·ΔH = (I_e + 2w)·log2(1 + d/V_e) + 2w·log2(V_e/V)
//
// which is the paper's quantization rule in the form that equals the difference
// of the entropies, with its terms collected; each keeps its precision. It is 0
// for a node without edges, and +Inf for a cluster without volume that the node
// has no edge to: nothing can be won there.
func (p *Partition) Join(e int, w, d float64) float64 {
	if d == 0 {
		return 0
	}
	volume, total := p.Volume[e]+w, p.Total+float64(2*d)
	if volume == 0 {
		return math.Inf(1)
	}
	inside := p.Volume[e] - p.Cut[e]
	h := float64((inside + float64(2*w)) * log2(1+d/volume))
	if w > 0 {
		h += float64(float64(2*w) * log2(volume/total))
	}
	return h / total
}

// Best is the cluster that a new node lowers the entropy most in, or raises it
// least, the first one of equals; weights holds the weight of its edges to each
// cluster. A node without edges goes to no cluster: -1.
func (p *Partition) Best(weights []float64) int {
	if len(weights) != len(p.Volume) {
		panic(fmt.Sprintf("se: weights to %d clusters of %d", len(weights), len(p.Volume)))
	}
	var d float64
	for _, w := range weights {
		d += w
	}
	best, least := -1, math.Inf(1)
	if d == 0 {
		return best
	}
	for e, w := range weights {
		if h := p.Join(e, w, d); h < least {
			best, least = e, h
		}
	}
	return best
}
