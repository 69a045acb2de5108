package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// MatMulTN adds xᵀ·dy to dw.
func (b *Backend) MatMulTN(dw, x, dy *backend.Tensor) {
	if dw.Rows != x.Cols || dw.Cols != dy.Cols || x.Rows != dy.Rows {
		fail("MatMulTN: [%d, %d] += [%d, %d]ᵀ·[%d, %d]", dw.Rows, dw.Cols, x.Rows, x.Cols, dy.Rows, dy.Cols)
	}
	if dw.Rows == 0 || dw.Cols == 0 || x.Rows == 0 {
		return
	}
	j := b.job()
	j.y, j.x, j.z = dw, x, dy
	j.plan = plan{1, 1}
	if b.threads > 1 {
		// Panels first: a part packs the columns of dy that it owns.
		want := min(int(float64(dw.Rows)*float64(dw.Cols)*float64(x.Rows)/40/10_000), 2*b.threads)
		j.plan.colParts = max(1, min(want, (dw.Cols+b.kernels.nr-1)/b.kernels.nr))
		j.plan.rowParts = max(1, min(want/j.plan.colParts, (dw.Rows+b.kernels.mr()-1)/b.kernels.mr()))
	}
	j.do(j.plan.rowParts*j.plan.colParts, matMulTNPart)
}

func matMulTNPart(j *job, part int, s *scratch) {
	const block = 256 // rows of x and dy a pass
	k := j.b.kernels
	nr, mr := k.nr, k.mr()
	dw, x, dy := j.y, j.x, j.z
	i0, i1 := span(dw.Rows, 1, part%j.plan.rowParts, j.plan.rowParts)
	n0, n1 := span(dw.Cols, nr, part/j.plan.rowParts, j.plan.colParts)
	if i0 >= i1 || n0 >= n1 {
		return
	}
	tiles := (i1 - i0 + mr - 1) / mr
	buf := s.get(((n1-n0+nr-1)/nr*nr + mr) * block)
	bp, ap := buf[mr*block:], buf[:mr*block]
	for m0 := 0; m0 < x.Rows; m0 += block {
		kc := min(block, x.Rows-m0)
		packColumns(bp, dy.Data[m0*dy.Stride:], dy.Stride, kc, nr, n0, n1)
		for t := range tiles {
			lo, hi := i0+t*(i1-i0)/tiles, i0+(t+1)*(i1-i0)/tiles
			h := hi - lo
			for m := range kc {
				copy(ap[m*h:][:h], x.Data[(m0+m)*x.Stride+lo:])
			}
			for n := n0; n < n1; n += nr {
				j.b.tile(kc, h, ap, 1, h, bp[(n-n0)*kc:], dw.Data[lo*dw.Stride+n:], dw.Stride, min(nr, n1-n), true, s)
			}
		}
	}
}
