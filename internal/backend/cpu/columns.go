package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// columnUnit is the least number of columns of a part: two cache lines.
const columnUnit = 32

// columns is the view of columns lo to hi of a tensor; nil of nil.
func columns(t *backend.Tensor, lo, hi int) *backend.Tensor {
	if t == nil {
		return nil
	}
	return &backend.Tensor{Rows: t.Rows, Cols: hi - lo, Stride: t.Stride, Data: t.Data[min(lo, len(t.Data)):]}
}

// ColumnSum adds the column sums of x, or of x·z, to sum.
func (b *Backend) ColumnSum(sum []float32, x, z *backend.Tensor) {
	backend.SameShape("ColumnSum", x, z, nil)
	backend.SameLength("ColumnSum", x.Cols, sum)
	if x.Rows == 0 {
		return
	}
	j := b.job()
	j.v0, j.x, j.z = sum, x, z
	j.do(b.split(x.Cols, columnUnit, costMove*float64(x.Rows)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.x.Cols, columnUnit, part, j.parts)
		j.b.columnSum(j.v0[lo:hi], columns(j.x, lo, hi), columns(j.z, lo, hi))
	})
}

func (b *Backend) columnSum(sum []float32, x, z *backend.Tensor) {
	v := b.kernels.vector
	if v == nil {
		naive.ColumnSum(sum, x, z)
		return
	}
	if len(sum) == 0 || x.Rows == 0 {
		return
	}
	if z == nil {
		v.columnSum(x.Rows, len(sum), &sum[0], &x.Data[0], uintptr(x.Stride)*4, nil, 0)
		return
	}
	v.columnSum(x.Rows, len(sum), &sum[0], &x.Data[0], uintptr(x.Stride)*4, &z.Data[0], uintptr(z.Stride)*4)
}
