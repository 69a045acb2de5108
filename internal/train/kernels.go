package train

import "github.com/sotto-audio/sotto/internal/dsp"

// kernels are vector forms of loops of the losses over lanes, and of the sum of
// gradients; nil fields are done in portable Go, whose rounding differs.
type kernels struct {
	vmagnitudes func(n int, mag, re, im *float32, tiny float32)
	vband       func(n int, slope, mag, target, weights, sum *float32, floor, step float32)
	vturn       func(n int, re, im, slope, mag *float32)
	vcompressed func(n int, yr, yi, xr, xi, sums *float32, eps, power float32)
	vadd        func(n int, y, x, squares *float32)
}

// magnitudes sets mag to √(re² + im² + tiny).
func (v *kernels) magnitudes(mag, re, im []lane, tiny float32) {
	if v.vmagnitudes != nil {
		v.vmagnitudes(len(mag), &mag[0][0], &re[0][0], &im[0][0], tiny)
		return
	}
	for k := range mag {
		m, r, j := &mag[k], &re[k], &im[k]
		for i := range m {
			m[i] = sqrt(r[i]*r[i] + j[i]*j[i] + tiny)
		}
	}
}

// band adds |ln(w·mag + floor) − ln(w·target + floor)| to sum and its gradient
// by mag, times step, to slope.
func (v *kernels) band(slope, mag, target []lane, weights []float32, sum *lane, floor, step float32) {
	if len(weights) == 0 {
		return
	}
	if v.vband != nil {
		v.vband(len(weights), &slope[0][0], &mag[0][0], &target[0][0], &weights[0], &sum[0], floor, step)
		return
	}
	var mx, my, g lane
	addWeighted(&mx, target, weights)
	addWeighted(&my, mag, weights)
	for i := range sum {
		d := log(my[i]+floor) - log(mx[i]+floor)
		g[i] = step / (my[i] + floor)
		if d < 0 {
			d, g[i] = -d, -g[i]
		}
		sum[i] += d
	}
	for k, w := range weights {
		for i := range g {
			slope[k][i] += w * g[i]
		}
	}
}

// addWeighted adds the values of each row times its weight to sum.
func addWeighted(sum *lane, rows []lane, weights []float32) {
	for k, w := range weights[:len(rows)] {
		for i, v := range rows[k] {
			sum[i] += w * v
		}
	}
}

// turn makes slopes in magnitudes those in spectra: it scales re and im by
// slope/mag.
func (v *kernels) turn(re, im, slope, mag []lane) {
	if v.vturn != nil {
		v.vturn(len(mag), &re[0][0], &im[0][0], &slope[0][0], &mag[0][0])
		return
	}
	for k := range slope {
		for i, m := range mag[k] {
			g := slope[k][i] / m
			re[k][i] *= g
			im[k][i] *= g
		}
	}
}

// compressed gives the squared difference of spectra S·(|S|² + eps)^power, y's
// and x's, and the energy of x's; y becomes the gradient of the difference.
func (v *kernels) compressed(yr, yi, xr, xi []lane, eps, power float32) (diff, energy lane) {
	if v.vcompressed != nil {
		var sums [2]lane
		v.vcompressed(len(yr), &yr[0][0], &yi[0][0], &xr[0][0], &xi[0][0], &sums[0][0], eps, power)
		return sums[0], sums[1]
	}
	for k := range xr {
		for i := range diff {
			xr, xi, yr, yi := xr[k][i], xi[k][i], &yr[k][i], &yi[k][i]
			gx := pow(xr*xr+xi*xi+eps, power)
			p := *yr**yr + *yi**yi + eps
			gy := pow(p, power)
			cr, ci := gx*xr, gx*xi
			energy[i] += cr*cr + ci*ci
			dr, di := gy**yr-cr, gy**yi-ci
			diff[i] += dr*dr + di*di
			// d(S·p^q) = p^q·dS + 2q·p^(q−1)·S·(S·dS)
			along := 2 * power * gy / p * (*yr*dr + *yi*di)
			*yr, *yi = 2*(gy*dr+along**yr), 2*(gy*di+along**yi)
		}
	}
	return diff, energy
}

// add adds x to y and gives the sum of the squares of the result.
func (v *kernels) add(y, x []float32) float64 {
	var total float64
	const block = 256 * dsp.Width // squares that float32 sums up
	for v.vadd != nil && len(y) >= dsp.Width {
		n := min(block, len(y)) / dsp.Width
		var squares lane
		v.vadd(n, &y[0], &x[0], &squares[0])
		for _, s := range squares {
			total += float64(s)
		}
		y, x = y[n*dsp.Width:], x[n*dsp.Width:]
	}
	for i, g := range x {
		y[i] += g
	}
	return total + energy(y)
}
