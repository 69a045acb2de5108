package cpu

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// costPair is that of a value of a complex number, in nanoseconds.
const costPair = 0.5

// CompressPairs sets y to the numbers of x with compressed magnitudes, m to those.
func (b *Backend) CompressPairs(y, m, x *backend.Tensor, eps float32) {
	backend.SameShape("CompressPairs", x, m, nil)
	b.pairs(y, m, x, eps)
}

// ExpandPairs sets y to the numbers of x times their power.
func (b *Backend) ExpandPairs(y, x *backend.Tensor, eps float32) { b.pairs(y, nil, x, eps) }

func (b *Backend) pairs(y, m, x *backend.Tensor, eps float32) {
	backend.SameShape("pairs", x, y, nil)
	if x.Cols%2 != 0 {
		backend.Fail("pairs: %d columns", x.Cols)
	}
	j := b.job()
	j.y, j.z, j.x, j.eps = y, m, x, eps
	j.do(b.split(x.Rows, 1, costPair*float64(x.Cols)), pairsPart)
}

func pairsPart(j *job, part int, _ *scratch) {
	lo, hi := span(j.x.Rows, 1, part, j.parts)
	if lo == hi || j.x.Cols == 0 {
		return
	}
	x, y := j.x, j.y
	if v := j.b.kernels.vector; v != nil && v.compress != nil {
		src, dst := &x.Data[lo*x.Stride], &y.Data[lo*y.Stride]
		if j.z == nil {
			v.expand(hi-lo, x.Cols, dst, uintptr(y.Stride)*4, src, uintptr(x.Stride)*4, j.eps)
			return
		}
		v.compress(hi-lo, x.Cols, dst, uintptr(y.Stride)*4, &j.z.Data[lo*j.z.Stride], uintptr(j.z.Stride)*4, src, uintptr(x.Stride)*4, j.eps)
		return
	}
	for t := lo; t < hi; t++ {
		in, out := x.Row(t), y.Row(t)
		for k := 0; k < len(in); k += 2 {
			re, im := in[k], in[k+1]
			g := float32(re*re) + float32(im*im) + j.eps
			if j.z != nil {
				m := sqrt(g)
				g = sqrt(sqrt(m)) / m
				j.z.Row(t)[k], j.z.Row(t)[k+1] = m, m
			}
			out[k], out[k+1] = re*g, im*g
		}
	}
}

var _ backend.Polar = (*Backend)(nil)

// costPolar is that of a number of polar form, in nanoseconds.
const costPolar = 2

// Complex sets y to complex numbers of their logarithmic magnitudes and phases.
func (b *Backend) Complex(y, x *backend.Tensor, most float32) {
	backend.SameShape("Complex", x, y, nil)
	if x.Cols%2 != 0 {
		backend.Fail("Complex: %d columns", x.Cols)
	}
	j := b.job()
	j.y, j.x, j.eps = y, x, most
	j.do(b.split(x.Rows, 1, costPolar*float64(x.Cols)), complexPart)
}

func complexPart(j *job, part int, _ *scratch) {
	const group = 16
	lo, hi := span(j.x.Rows, 1, part, j.parts)
	n := j.x.Cols / 2
	done := 0
	if v := j.b.kernels.vector; v != nil && v.polar != nil && n >= group {
		done = n / group * group
		for t := lo; t < hi; t++ {
			x := j.x.Row(t)
			v.polar(n/group, &j.y.Row(t)[0], &x[0], &x[n], j.eps)
		}
	}
	for t := lo; t < hi; t++ {
		x, y := j.x.Row(t), j.y.Row(t)
		for k := done; k < n; k++ {
			m := min(f32.Exp(x[k]), j.eps)
			y[2*k], y[2*k+1] = float32(m*f32.Cos(x[n+k])), float32(m*f32.Sin(x[n+k]))
		}
	}
}

// sqrt is the IEEE square root: rounding the double one again is exact.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
