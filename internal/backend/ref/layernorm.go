package ref

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// normalize sets xhat = (x − mean)·r and gives r.
func normalize(xhat, x []float32, eps float32) float32 {
	n := float32(len(x))
	var p [f32.Lanes]float32
	for c, v := range x {
		p[c%f32.Lanes] += v
	}
	mean := f32.Tree(&p) / n
	p = [f32.Lanes]float32{}
	for c, v := range x {
		d := v - mean
		p[c%f32.Lanes] = f32.FMA(d, d, p[c%f32.Lanes])
	}
	r := 1 / f32.Sqrt(f32.Tree(&p)/n+eps)
	for c, v := range x {
		xhat[c] = float32((v - mean) * r)
	}
	return r
}

// LayerNorm normalises each row.
func (Backend) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	for t := range y.Rows {
		row := y.Row(t)
		normalize(row, x.Row(t), eps)
		for c := range row {
			switch {
			case gamma != nil && beta != nil:
				row[c] = f32.FMA(row[c], gamma[c], beta[c])
			case gamma != nil:
				row[c] *= gamma[c]
			}
		}
	}
}

// LayerNormGrad sets dx = r·(g − S(g)/C − x̂·S(g·x̂)/C) with g = dy·gamma and
// x̂ = d·r, evaluated as r·FMA(x̂, −S(g·x̂)/C, g − S(g)/C); S(g·x̂) adds by FMA.
// It adds dy·x̂ by FMA to dgamma and dy to dbeta in the order of rows.
func (Backend) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	n := float32(x.Cols)
	xhat := make([]float32, x.Cols)
	g := make([]float32, x.Cols)
	for t := range x.Rows {
		r := normalize(xhat, x.Row(t), eps)
		var p, q [f32.Lanes]float32
		for c, d := range dy.Row(t) {
			g[c] = d
			if gamma != nil {
				g[c] = float32(d * gamma[c])
			}
			p[c%f32.Lanes] += g[c]
			q[c%f32.Lanes] = f32.FMA(g[c], xhat[c], q[c%f32.Lanes])
			if dgamma != nil {
				dgamma[c] = f32.FMA(d, xhat[c], dgamma[c])
			}
			if dbeta != nil {
				dbeta[c] += d
			}
		}
		mean := f32.Tree(&p) / n
		slope := -(f32.Tree(&q) / n)
		for c := range xhat {
			dx.Row(t)[c] = r * f32.FMA(xhat[c], slope, g[c]-mean)
		}
	}
}
