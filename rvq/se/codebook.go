package se

// centres gives the means of the frames x [T, dim] of each cluster, [clusters, dim].
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
			out[e*dim+k] = float32(v / float64(len(members)))
		}
	}
	return out
}
