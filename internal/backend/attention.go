package backend

// Attention are the operations of scaled dot-product attention (Vaswani et al.
// 2017, section 3.2.1) over ranges of keys. Columns are heads·D, D of each head
// after D of the other; scale is positive, all values are finite.
type Attention interface {
	// Attention sets y [M, heads·D]: row m of q attends to rows from[m] to to[m]
	// (exclusive) of k and v, and gives 0 where there are none. In each head, with
	// j over those rows in order:
	//
	//	s[j] = scale·(Σ_c q[m,c]·k[j,c])      as MatMul
	//	e[j] = exp(s[j] − max s)
	//	r    = 1 / S(e)                       S of LayerNorm, its lanes by j − from[m]
	//	y[m,c] = (Σ_j e[j]·v[j,c])·r          by FMA from +0
	Attention(y, q, k, v *Tensor, from, to []int32, heads int, scale float32)
	// AttentionGrad (T) sets dq and adds to dk and dv, given y and its gradient.
	// With d = dy[m]·r, δ = S(d·y) by FMA and x = scale·q[m]:
	//
	//	g[j] = (Σ_c d[c]·v[j,c] − δ)·e[j]
	//	dq[m,c] = scale·(Σ_j g[j]·k[j,c])
	//	dk[j,c] += g[j]·x[c],  dv[j,c] += e[j]·d[c]   by FMA in the order of m
	AttentionGrad(dq, dk, dv, q, k, v, y, dy *Tensor, from, to []int32, heads int, scale float32)

	// NewMemory makes an empty Memory with room for that many rows.
	NewMemory(rows, cols, heads int) *Memory
	// Remember adds rows of keys and values.
	Remember(m *Memory, k, v *Tensor)
	// Recall is Attention of all rows of q to all rows of m, of which there is one or
	// more.
	Recall(y, q *Tensor, m *Memory, scale float32)
}

// Memory holds keys and values that queries attend to again and again, as a Backend
// lays them out. Rows may be set to fewer, to forget the last ones.
type Memory struct {
	Rows, Cols, Heads int
	Packed            any
}
