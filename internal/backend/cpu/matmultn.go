package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// MatMulTN adds xᵀ·dy to dw.
func (b *Backend) MatMulTN(dw, x, dy *backend.Tensor) {
	if dw.Rows != x.Cols || dw.Cols != dy.Cols || x.Rows != dy.Rows {
		backend.Fail("MatMulTN: [%d, %d] += [%d, %d]ᵀ·[%d, %d]", dw.Rows, dw.Cols, x.Rows, x.Cols, dy.Rows, dy.Cols)
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

const (
	timeBlock  = 320 // rows of x and dy a pass
	panelBlock = 12  // panels of dy that stay in the second-level cache
)

func matMulTNPart(j *job, part int, s *scratch) {
	k := j.b.kernels
	nr, mr := k.nr, k.mr()
	dw, x, dy := j.y, j.x, j.z
	i0, i1 := span(dw.Rows, mr, part%j.plan.rowParts, j.plan.rowParts)
	n0, n1 := span(dw.Cols, nr, part/j.plan.rowParts, j.plan.colParts)
	buf := s.get((panelBlock*nr + mr) * timeBlock)
	ap, bp := buf[:mr*timeBlock], buf[mr*timeBlock:]
	blocks := (x.Rows + timeBlock - 1) / timeBlock
	for block := range blocks {
		m0, m1 := block*x.Rows/blocks, (block+1)*x.Rows/blocks
		kc := m1 - m0
		xb, dyb := x.Data[m0*x.Stride:], dy.Data[m0*dy.Stride:]
		for c0 := n0; c0 < n1; c0 += panelBlock * nr {
			c1 := min(c0+panelBlock*nr, n1)
			packColumns(bp, dyb, dy.Stride, kc, nr, c0, c1)
			for i := i0; i < i1; i += mr {
				h := min(mr, i1-i)
				packColumns(ap, xb, x.Stride, kc, h, i, i+h)
				for n := c0; n < c1; n += nr {
					to := sums{dw.Data[i*dw.Stride+n:], dw.Stride}
					j.b.tile(factors{k: kc, runs: 1, a: ap, rows: 1, step: h}, h, bp[(n-c0)*kc:], to, to, min(nr, c1-n), s)
				}
			}
		}
	}
}
