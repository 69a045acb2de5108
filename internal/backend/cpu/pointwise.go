package cpu

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// Costs of one value in nanoseconds, for cutting work into parts.
const (
	costMove = 0.1
	costExp  = 0.6
)

func cost(act backend.Activation) float64 {
	if act == backend.Identity {
		return costMove
	}
	return costExp
}

// noEpilogue leaves a product as it is.
var noEpilogue backend.Epilogue

// epilogue finishes the columns n to n+width of m rows of y from y0 on; r0 is
// the first of the rows in the residual.
func (b *Backend) epilogue(y *backend.Tensor, y0, r0, m, n, width int, ep *backend.Epilogue) {
	if ep.Bias == nil && ep.Act == backend.Identity && ep.Scale == nil && ep.Residual == nil {
		return
	}
	b.finish(y, y0, y, y0, r0, m, n, width, ep)
}

// finish sets rows of y from y0 on to the epilogue of rows of x from x0 on.
func (b *Backend) finish(y *backend.Tensor, y0 int, x *backend.Tensor, x0, r0, m, n, width int, ep *backend.Epilogue) {
	if m == 0 || width == 0 {
		return
	}
	dst, src := y.Data[y0*y.Stride+n:], x.Data[x0*x.Stride+n:]
	var res []float32
	rs := 0
	if ep.Residual != nil {
		rs = ep.Residual.Stride
		res = ep.Residual.Data[r0*rs+n:]
	}
	if v := b.kernels.vector; v != nil {
		v.pointwise[ep.Act](m, width, &dst[0], uintptr(y.Stride)*4, &src[0], uintptr(x.Stride)*4,
			at(ep.Bias, n), at(ep.Alpha, n), at(ep.Inverse, n), at(ep.Scale, n), at(res, 0), uintptr(rs)*4)
		return
	}
	for i := range m {
		for c, v := range src[i*x.Stride:][:width] {
			if ep.Bias != nil {
				v += ep.Bias[n+c]
			}
			if ep.Act == backend.Snake {
				v = f32.Snake(v, ep.Alpha[n+c], ep.Inverse[n+c])
			} else {
				v = ref.Activation(v, ep.Act)
			}
			if ep.Scale != nil {
				v = float32(v * ep.Scale[n+c])
			}
			if res != nil {
				v += res[i*rs+c]
			}
			dst[i*y.Stride+c] = v
		}
	}
}

// Activate sets y = act(x).
func (b *Backend) Activate(y, x *backend.Tensor, act backend.Activation) {
	backend.SameShape("Activate", y, x, nil)
	if act == backend.Snake {
		backend.Fail("Activate: Snake needs an epilogue")
	}
	b.pointwise(y, x, backend.Epilogue{Act: act})
}

// Finish sets y to the epilogue of x.
func (b *Backend) Finish(y, x *backend.Tensor, ep backend.Epilogue) {
	backend.SameShape("Finish", y, x, ep.Residual)
	checkEpilogue(y.Cols, &ep)
	b.pointwise(y, x, ep)
}

// checkEpilogue holds the vectors of an epilogue to the number of columns.
func checkEpilogue(cols int, ep *backend.Epilogue) {
	backend.SameLength("epilogue", cols, ep.Bias, ep.Alpha, ep.Inverse, ep.Scale)
	if ep.Act == backend.Snake && (ep.Alpha == nil || ep.Inverse == nil) {
		backend.Fail("epilogue: Snake without its factors")
	}
}

// Add sets y = a + c.
func (b *Backend) Add(y, a, c *backend.Tensor) {
	backend.SameShape("Add", y, a, c)
	b.pointwise(y, a, backend.Epilogue{Residual: c})
}

// ScaleAdd sets y = scale·x + residual.
func (b *Backend) ScaleAdd(y, x *backend.Tensor, scale []float32, residual *backend.Tensor) {
	backend.SameShape("ScaleAdd", y, x, residual)
	backend.SameLength("ScaleAdd", y.Cols, scale)
	b.pointwise(y, x, backend.Epilogue{Scale: scale, Residual: residual})
}

func (b *Backend) pointwise(y, x *backend.Tensor, ep backend.Epilogue) {
	j := b.job()
	j.y, j.x, j.ep = y, x, ep
	j.do(b.split(y.Rows, 1, cost(ep.Act)*float64(y.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.y.Rows, 1, part, j.parts)
		j.b.finish(j.y, lo, j.x, lo, lo, hi-lo, 0, j.y.Cols, &j.ep)
	})
}

// ActivateGrad sets dx = dy·act'(x).
func (b *Backend) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	backend.SameShape("ActivateGrad", dx, x, dy)
	j := b.job()
	j.y, j.x, j.z, j.act = dx, x, dy, act
	j.do(b.split(x.Rows, 1, cost(act)*float64(x.Cols)), func(j *job, part int, _ *scratch) {
		lo, hi := span(j.y.Rows, 1, part, j.parts)
		if lo == hi || j.y.Cols == 0 {
			return
		}
		v := j.b.kernels.vector
		if v == nil || v.slopes[j.act] == nil {
			naive.ActivateGrad(rows(j.y, lo, hi), rows(j.x, lo, hi), rows(j.z, lo, hi), j.act)
			return
		}
		v.slopes[j.act](hi-lo, j.y.Cols, at(j.y.Data, lo*j.y.Stride), uintptr(j.y.Stride)*4,
			at(j.x.Data, lo*j.x.Stride), uintptr(j.x.Stride)*4, at(j.z.Data, lo*j.z.Stride), uintptr(j.z.Stride)*4)
	})
}

// Gather copies rows of a table.
func (b *Backend) Gather(y, table *backend.Tensor, codes []int32) {
	if y.Cols != table.Cols || len(codes) < y.Rows {
		backend.Fail("Gather: [%d, %d] from [%d, %d] by %d codes", y.Rows, y.Cols, table.Rows, table.Cols, len(codes))
	}
	for t := range y.Rows {
		copy(y.Row(t), table.Row(int(codes[t])))
	}
}
