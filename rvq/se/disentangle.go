package se

import (
	"context"
	"math"
)

// Dependence is the mutual information of two centres, in bits, the mean over all
// pairs of centres [n, dim]: with the values of a centre as samples of a variable,
// and each two variables jointly normal, it is −½·log2(1 − ρ²) of their correlation
// ρ, here the cosine.
//
// The paper minimises a variational upper bound on it (vCLUB, Cheng et al. 2020)
// with a network for the conditional distribution. A few hundred points do not
// train one, and of normal variables the bound at its best is no tighter than the
// formula, which has no network and no sampling. Of parallel centres it is kept at
// 8.3 bits.
func Dependence(centres []float32, dim int) float64 {
	bits, _ := dependence(unitRows(centres, dim), dim, nil)
	return bits
}

// floor keeps 1 − ρ² of parallel centres away from 0.
const floor = 1e-5

// Disentangle moves centres [n, dim] so that they depend less on each other: it
// lowers
//
//	weight·Dependence + Σ n_e·|c_e − m_e|² / Σ n_e·|m_e|²
//
// from the given centres m on, which are the means of n_e frames each, by steps down
// the gradient, each of which lowers it. The second term is the quantization error
// that this costs, as a share of the centres' energy: moving away from the mean
// never makes a cluster's frames fit better. Weight 0 leaves all as it is.
func Disentangle(ctx context.Context, centres []float32, dim int, members []float64, weight float64) error {
	const steps = 100
	n := len(members)
	mean, c := make([]float64, n*dim), make([]float64, n*dim)
	var scale float64
	for i, v := range centres {
		mean[i], c[i] = float64(v), float64(v)
		scale += members[i/dim] * mean[i] * mean[i]
	}
	if weight == 0 || n < 2 || scale == 0 {
		return nil
	}
	value := func(c, gradient []float64) float64 {
		unit, lengths := unitRows64(c, dim)
		h, g := dependence(unit, dim, gradient)
		h *= weight
		for i, v := range c {
			d := v - mean[i]
			share := members[i/dim] / scale
			h += share * d * d
			if gradient != nil {
				gradient[i] = 2 * share * d
			}
		}
		if gradient != nil {
			// Through the length: the part of g along the centre has no effect.
			for e := range n {
				if lengths[e] == 0 {
					continue
				}
				var along float64
				for k := e * dim; k < (e+1)*dim; k++ {
					along += g[k] * unit[k]
				}
				for k := e * dim; k < (e+1)*dim; k++ {
					gradient[k] += weight * (g[k] - along*unit[k]) / lengths[e]
				}
			}
		}
		return h
	}
	gradient, next := make([]float64, len(c)), make([]float64, len(c))
	step := scale / float64(n)
	now := value(c, gradient)
	for range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		lower := false
		for range 40 {
			for i := range c {
				next[i] = c[i] - step*gradient[i]
			}
			if h := value(next, nil); h < now {
				lower = true
				break
			}
			step /= 2
		}
		if !lower {
			break
		}
		c, next = next, c
		now = value(c, gradient)
		step *= 1.5
	}
	for i, v := range c {
		centres[i] = float32(v)
	}
	return nil
}

// dependence of centres of length 1, or 0, and where wanted its gradient.
func dependence(unit []float64, dim int, want []float64) (bits float64, gradient []float64) {
	n := len(unit) / dim
	if want != nil {
		gradient = make([]float64, len(unit))
	}
	if n < 2 {
		return 0, gradient
	}
	pairs := float64(n) * float64(n-1) / 2
	for i := range n {
		a := unit[i*dim : (i+1)*dim]
		for j := range i {
			b := unit[j*dim : (j+1)*dim]
			var rho float64
			for k, v := range a {
				rho += v * b[k]
			}
			rest := 1 - rho*rho + floor
			bits -= 0.5 * math.Log2(rest)
			if gradient == nil {
				continue
			}
			slope := rho / rest / math.Ln2 / pairs
			ga, gb := gradient[i*dim:(i+1)*dim], gradient[j*dim:(j+1)*dim]
			for k := range a {
				ga[k] += slope * b[k]
				gb[k] += slope * a[k]
			}
		}
	}
	return bits / pairs, gradient
}

func unitRows(x []float32, dim int) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	u, _ := unitRows64(y, dim)
	return u
}

// unitRows64 divides rows by their lengths; those of length 0 stay.
func unitRows64(x []float64, dim int) (unit, lengths []float64) {
	unit = make([]float64, len(x))
	for e := 0; e < len(x); e += dim {
		var s float64
		for _, v := range x[e : e+dim] {
			s += v * v
		}
		s = math.Sqrt(s)
		lengths = append(lengths, s)
		if s == 0 {
			continue
		}
		for k, v := range x[e : e+dim] {
			unit[e+k] = v / s
		}
	}
	return unit, lengths
}
