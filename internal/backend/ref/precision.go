package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// integers is a vector in 8 bits.
type integers struct {
	q     []int8
	scale float32
}

func quantize(v []float32) integers {
	scale, factor := f32.Int8Scale(f32.MaxAbs(v))
	r := integers{make([]int8, len(v)), scale}
	for i, x := range v {
		r.q[i] = f32.Int8(x, factor)
	}
	return r
}

// halves is a vector in bfloat16, filled up with a zero to an even length.
type halves []uint16

func round(v []float32) halves {
	h := make(halves, (len(v)+1)/2*2)
	for i, x := range v {
		h[i] = f32.BFloat16(x)
	}
	return h
}

// PackReduced keeps the columns of w in precision p.
func (b Backend) PackReduced(w []float32, k, n int, p backend.Precision) *backend.Weights {
	if p == backend.Float32 || p == backend.TF32 {
		return b.Pack(w, k, n)
	}
	var ints []integers
	var half []halves
	column := make([]float32, k)
	for c := range n {
		for r := range k {
			column[r] = w[r*n+c]
		}
		ints = append(ints, quantize(column))
		half = append(half, round(column))
	}
	if p == backend.Int8 {
		return &backend.Weights{K: k, N: n, Packed: ints}
	}
	return &backend.Weights{K: k, N: n, Packed: half}
}

func dotInt8(x, w integers) float32 {
	var s int32
	for k := range x.q {
		s += int32(x.q[k]) * int32(w.q[k])
	}
	return float32(float32(s) * float32(x.scale*w.scale))
}

func dotBFloat16(x, w halves) float32 {
	var s float32
	for k := 0; k < len(x); k += 2 {
		s = f32.FMAFlush(f32.FromBFloat16(x[k+1]), f32.FromBFloat16(w[k+1]), s)
		s = f32.FMAFlush(f32.FromBFloat16(x[k]), f32.FromBFloat16(w[k]), s)
	}
	return s
}
