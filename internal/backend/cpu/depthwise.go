package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// DepthwiseConv convolves each channel with its own taps.
func (b *Backend) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dilation int) {
	checkDepthwise("DepthwiseConv", y, x, w, taps, dilation)
	backend.SameLength("DepthwiseConv", y.Cols, bias)
	j := b.job()
	j.y, j.x, j.v0, j.v1, j.taps, j.dilation = y, x, w, bias, taps, dilation
	j.do(b.split(y.Rows, 1, costMove*float64(taps)*float64(y.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.y.Rows, 1, part, j.parts)
		if lo == hi || j.y.Cols == 0 {
			return
		}
		v := j.b.kernels.vector
		if v == nil {
			naive.DepthwiseConv(rows(j.y, lo, hi), rows(j.x, lo, hi+(j.taps-1)*j.dilation), j.v0, j.v1, j.taps, j.dilation)
			return
		}
		xs := uintptr(j.x.Stride) * 4
		v.depthwise(hi-lo, j.y.Cols, j.taps, &j.y.Data[lo*j.y.Stride], uintptr(j.y.Stride)*4,
			&j.x.Data[lo*j.x.Stride], xs, xs*uintptr(j.dilation), &j.v0[0], uintptr(j.y.Cols)*4, at(j.v1, 0))
	})
}

func checkDepthwise(op string, y, x *backend.Tensor, w []float32, taps, dilation int) {
	if taps < 1 || dilation < 1 || x.Cols != y.Cols || x.Rows != y.Rows+(taps-1)*dilation || len(w) != taps*y.Cols {
		backend.Fail("%s: [%d, %d] from [%d, %d] by %d taps, dilation %d, %d weights", op, y.Rows, y.Cols, x.Rows, x.Cols, taps, dilation, len(w))
	}
}

// DepthwiseConvGradWeights adds the gradient of the taps to dw.
func (b *Backend) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dilation int) {
	checkDepthwise("DepthwiseConvGradWeights", dy, x, dw, taps, dilation)
	if dy.Rows == 0 {
		return
	}
	j := b.job()
	j.v0, j.x, j.z, j.taps, j.dilation = dw, x, dy, taps, dilation
	j.do(b.split(dy.Cols, columnUnit, costMove*float64(taps)*float64(dy.Rows)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.z.Cols, columnUnit, part, j.parts)
		if lo == hi {
			return
		}
		dy := columns(j.z, lo, hi)
		for tap := range j.taps {
			t := tap * j.dilation
			x := columns(rows(j.x, t, t+dy.Rows), lo, hi)
			j.b.columnSum(j.v0[tap*j.z.Cols+lo:][:hi-lo], x, dy)
		}
	})
}
