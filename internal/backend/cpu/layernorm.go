package cpu

import "github.com/sotto-audio/sotto/internal/backend"

const costNorm = 0.3

// LayerNorm normalises each row.
func (b *Backend) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	backend.SameShape("LayerNorm", y, x, nil)
	backend.SameLength("LayerNorm", x.Cols, gamma, beta)
	j := b.job()
	j.y, j.x, j.v0, j.v1, j.eps = y, x, gamma, beta, eps
	j.do(b.split(y.Rows, 1, costNorm*float64(y.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.y.Rows, 1, part, j.parts)
		if lo == hi || j.y.Cols == 0 {
			return
		}
		v := j.b.kernels.vector
		if v == nil {
			naive.LayerNorm(rows(j.y, lo, hi), rows(j.x, lo, hi), j.v0, j.v1, j.eps)
			return
		}
		v.layerNorm(hi-lo, j.y.Cols, &j.y.Data[lo*j.y.Stride], uintptr(j.y.Stride)*4,
			&j.x.Data[lo*j.x.Stride], uintptr(j.x.Stride)*4, at(j.v0, 0), at(j.v1, 0), float32(j.y.Cols), j.eps)
	})
}

// LayerNormGrad sets dx and adds to dgamma and dbeta, in the order of
// operations that package ref documents.
func (b *Backend) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	backend.SameShape("LayerNormGrad", dx, x, dy)
	backend.SameLength("LayerNormGrad", x.Cols, gamma, dgamma, dbeta)
	if x.Rows == 0 || x.Cols == 0 {
		return
	}
	if b.kernels.vector == nil {
		naive.LayerNormGrad(dx, dgamma, dbeta, x, dy, gamma, eps)
		return
	}
	s := b.pool.take()
	defer b.pool.put(s)
	s.view = backend.Tensor{Rows: x.Rows, Cols: x.Cols, Stride: x.Cols, Data: s.get(x.Rows * x.Cols)}
	xhat := &s.view
	j := b.job()
	j.y, j.hat, j.x, j.z, j.v0, j.eps = dx, xhat, x, dy, gamma, eps
	j.do(b.split(x.Rows, 1, 2*costNorm*float64(x.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.x.Rows, 1, part, j.parts)
		if lo == hi {
			return
		}
		j.b.kernels.vector.layerNormGrad(hi-lo, j.x.Cols, &j.y.Data[lo*j.y.Stride], uintptr(j.y.Stride)*4,
			&j.hat.Data[lo*j.hat.Stride], uintptr(j.hat.Stride)*4, &j.x.Data[lo*j.x.Stride], uintptr(j.x.Stride)*4,
			&j.z.Data[lo*j.z.Stride], uintptr(j.z.Stride)*4, at(j.v0, 0), float32(j.x.Cols), j.eps)
	})
	if dgamma != nil {
		b.ColumnSum(dgamma, dy, xhat)
	}
	if dbeta != nil {
		b.ColumnSum(dbeta, dy, nil)
	}
}
