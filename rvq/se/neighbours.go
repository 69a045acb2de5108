package se

import (
	"cmp"
	"slices"
)

// Neighbours gives the graph in which each frame has edges to the k frames most
// similar to it, and to those whose k most similar ones it belongs to; the
// threshold holds as well. Of equally similar frames the first ones count.
func (f *Frames) Neighbours(k int) Graph {
	type neighbour struct {
		id     int
		weight float64
	}
	near := make([][]neighbour, f.N)
	// keep holds the k best of a frame in falling order.
	keep := func(of, id int, weight float64) {
		list := near[of]
		if len(list) == k && weight <= list[k-1].weight {
			return
		}
		at, _ := slices.BinarySearchFunc(list, weight, func(n neighbour, w float64) int {
			if n.weight >= w {
				return -1
			}
			return 1
		})
		if len(list) == k {
			list = list[:k-1]
		}
		near[of] = slices.Insert(list, at, neighbour{id, weight})
	}
	all := make([]int32, f.N)
	for i := range all {
		all[i] = int32(i)
	}
	f.similar(all, func(a, b int, w float64) {
		keep(a, b, w)
		keep(b, a, w)
	})
	g := Graph{Nodes: f.N}
	for a, list := range near {
		for _, n := range list {
			g.Edges = append(g.Edges, Edge{min(a, n.id), max(a, n.id), n.weight})
		}
	}
	order := func(x, y Edge) int { return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B)) }
	slices.SortFunc(g.Edges, order)
	g.Edges = slices.CompactFunc(g.Edges, func(x, y Edge) bool { return order(x, y) == 0 })
	return g
}
