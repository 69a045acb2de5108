package se

import "context"

// DefaultGroup is the number of clusters that are merged at a time (section 3 of
// the paper).
const DefaultGroup = 1024

// Pass reports a pass of Cluster.
type Pass struct {
	Group  int // clusters that were considered at a time
	Before int // clusters
	After  int
	Alone  int // clusters of one node
}

// Nodes is a graph as clustering sees it.
type Nodes interface {
	// Len is the number of nodes.
	Len() int
	// Between gives the weights between and inside clusters of nodes, in the
	// graph of those nodes alone.
	Between(clusters [][]int32) *Between
}

// Cluster partitions nodes by the hierarchical scheme: every node begins as its
// own cluster; groups of consecutive clusters are merged greedily, each
// in the graph of its own nodes; the passes go on with what came out, with
// groups of twice the size where a pass merged nothing, until one pass has
// considered all clusters at once. It gives the nodes of each cluster, in
// order. report may be nil.
func Cluster(ctx context.Context, nodes Nodes, group int, report func(Pass)) ([][]int32, error) {
	clusters := make([][]int32, nodes.Len())
	for i := range clusters {
		clusters[i] = []int32{int32(i)}
	}
	group = max(group, 2)
	for {
		var merged [][]int32
		for from := 0; from < len(clusters); from += group {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			part := clusters[from:min(from+group, len(clusters))]
			label := Merge(nodes.Between(part))
			base := len(merged)
			for c, l := range label {
				if base+l == len(merged) {
					merged = append(merged, nil)
				}
				merged[base+l] = append(merged[base+l], part[c]...)
			}
		}
		if report != nil {
			p := Pass{Group: group, Before: len(clusters), After: len(merged)}
			for _, c := range merged {
				if len(c) == 1 {
					p.Alone++
				}
			}
			report(p)
		}
		last := len(clusters) <= group
		if len(merged) == len(clusters) {
			group *= 2
		}
		clusters = merged
		if last {
			return clusters, nil
		}
	}
}
