// Package scratch is a stand-in backend until backend/cpu lands.
package scratch

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

type B struct{}

func New() *B { return &B{} }

func (*B) Name() string { return "scratch" }
func (*B) New(r, c int) *backend.Tensor {
	return backend.Host(make([]float32, r*c), r, c)
}
func (*B) Upload(d *backend.Tensor, s []float32)   { copy(d.Data, s) }
func (*B) Download(d []float32, s *backend.Tensor) { copy(d, s.Data[:s.Rows*s.Cols]) }

func (*B) Pack(w []float32, k, n int) *backend.Weights {
	return &backend.Weights{K: k, N: n, Packed: append([]float32(nil), w[:k*n]...)}
}
func (*B) PackT(w []float32, n, k int) *backend.Weights {
	p := make([]float32, k*n)
	for i := 0; i < n; i++ {
		for j := 0; j < k; j++ {
			p[j*n+i] = w[i*k+j]
		}
	}
	return &backend.Weights{K: k, N: n, Packed: p}
}
func (b *B) Repack(d *backend.Weights, w []float32, t bool) {
	if t {
		d.Packed = b.PackT(w, d.N, d.K).Packed
	} else {
		d.Packed = b.Pack(w, d.K, d.N).Packed
	}
}

func sig(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func act(a backend.Activation, x float32) float32 {
	switch a {
	case backend.GELU:
		f := float64(x)
		return float32(f * sig(1.5957691216057308*(f+0.044715*f*f*f)))
	case backend.SiLU:
		return float32(float64(x) * sig(float64(x)))
	}
	return x
}

func dact(a backend.Activation, x float32) float32 {
	f := float64(x)
	switch a {
	case backend.GELU:
		s := sig(1.5957691216057308 * (f + 0.044715*f*f*f))
		return float32(s + f*s*(1-s)*1.5957691216057308*(1+3*0.044715*f*f))
	case backend.SiLU:
		s := sig(f)
		return float32(s + f*s*(1-s))
	}
	return 1
}

func (*B) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	p := w.Packed.([]float32)
	for m := 0; m < y.Rows; m++ {
		r := y.Row(m)
		clear(r)
		for k, a := range x.Row(m) {
			q := p[k*w.N : (k+1)*w.N]
			for n := range r {
				r[n] += a * q[n]
			}
		}
		for n := range r {
			s := r[n]
			if ep.Bias != nil {
				s += ep.Bias[n]
			}
			s = act(ep.Act, s)
			if ep.Scale != nil {
				s *= ep.Scale[n]
			}
			if ep.Residual != nil {
				s += ep.Residual.Row(m)[n]
			}
			r[n] = s
		}
	}
}
func (*B) MatMulTN(dw, x, dy *backend.Tensor) {
	for m := 0; m < x.Rows; m++ {
		g := dy.Row(m)
		for k, a := range x.Row(m) {
			r := dw.Row(k)
			for n := range r {
				r[n] += a * g[n]
			}
		}
	}
}
func (*B) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dil int) {
	for t := 0; t < y.Rows; t++ {
		r := y.Row(t)
		for c := range r {
			var s float32
			if bias != nil {
				s = bias[c]
			}
			for j := 0; j < taps; j++ {
				s += w[j*y.Cols+c] * x.Row(t + j*dil)[c]
			}
			r[c] = s
		}
	}
}
func (*B) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dil int) {
	for t := 0; t < dy.Rows; t++ {
		for j := 0; j < taps; j++ {
			for c, g := range dy.Row(t) {
				dw[j*dy.Cols+c] += g * x.Row(t + j*dil)[c]
			}
		}
	}
}
func stats(x []float32, eps float32) (mean, r float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	var q float64
	for _, v := range x {
		q += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, 1 / math.Sqrt(q/float64(len(x))+float64(eps))
}
func (*B) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	for t := 0; t < x.Rows; t++ {
		m, r := stats(x.Row(t), eps)
		for c, v := range x.Row(t) {
			n := (float64(v) - m) * r
			if gamma != nil {
				n = n*float64(gamma[c]) + float64(beta[c])
			}
			y.Row(t)[c] = float32(n)
		}
	}
}
func (*B) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	for t := 0; t < x.Rows; t++ {
		m, r := stats(x.Row(t), eps)
		var a, b float64
		n := float64(x.Cols)
		for c, v := range x.Row(t) {
			h := (float64(v) - m) * r
			g := float64(dy.Row(t)[c])
			if dgamma != nil {
				dgamma[c] += float32(g * h)
				dbeta[c] += float32(g)
			}
			if gamma != nil {
				g *= float64(gamma[c])
			}
			a += g
			b += g * h
		}
		for c, v := range x.Row(t) {
			h := (float64(v) - m) * r
			g := float64(dy.Row(t)[c])
			if gamma != nil {
				g *= float64(gamma[c])
			}
			dx.Row(t)[c] = float32(r * (g - a/n - h*b/n))
		}
	}
}
func (*B) Activate(y, x *backend.Tensor, a backend.Activation) {
	for t := 0; t < x.Rows; t++ {
		for c, v := range x.Row(t) {
			y.Row(t)[c] = act(a, v)
		}
	}
}
func (*B) ActivateGrad(dx, x, dy *backend.Tensor, a backend.Activation) {
	for t := 0; t < x.Rows; t++ {
		for c, v := range x.Row(t) {
			dx.Row(t)[c] = dy.Row(t)[c] * dact(a, v)
		}
	}
}
func (*B) Copy(d, s *backend.Tensor) {
	for t := 0; t < s.Rows; t++ {
		copy(d.Row(t), s.Row(t))
	}
}
func (*B) Add(y, a, b *backend.Tensor) {
	for t := 0; t < y.Rows; t++ {
		for c := range y.Row(t) {
			y.Row(t)[c] = a.Row(t)[c] + b.Row(t)[c]
		}
	}
}
func (*B) ScaleAdd(y, x *backend.Tensor, scale []float32, res *backend.Tensor) {
	for t := 0; t < y.Rows; t++ {
		for c, v := range x.Row(t) {
			v *= scale[c]
			if res != nil {
				v += res.Row(t)[c]
			}
			y.Row(t)[c] = v
		}
	}
}
func (*B) ColumnSum(sum []float32, x, z *backend.Tensor) {
	for t := 0; t < x.Rows; t++ {
		for c, v := range x.Row(t) {
			if z != nil {
				v *= z.Row(t)[c]
			}
			sum[c] += v
		}
	}
}
func (b *B) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	y := b.New(1, book.N)
	for t := 0; t < x.Rows; t++ {
		b.MatMul(y, x.Slice(t, t+1), book, backend.Epilogue{})
		best := 0
		for n, v := range y.Data {
			if half[n]-v < half[best]-y.Data[best] {
				best = n
			}
		}
		codes[t] = int32(best)
	}
}
func (*B) Gather(y, table *backend.Tensor, codes []int32) {
	for t, c := range codes {
		copy(y.Row(t), table.Row(int(c)))
	}
}
func (*B) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	c1 := 1 - float32(math.Pow(float64(a.Beta1), float64(a.Step)))
	c2 := 1 - float32(math.Pow(float64(a.Beta2), float64(a.Step)))
	for i, d := range g {
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*d
		v[i] = a.Beta2*v[i] + (1-a.Beta2)*d*d
		w[i] -= a.LR * (m[i]/c1/(float32(math.Sqrt(float64(v[i]/c2)))+a.Eps) + a.WeightDecay*w[i])
	}
}
