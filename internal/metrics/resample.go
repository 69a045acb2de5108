package metrics

import "math"

// resample brings x from one rate to another with the filter that Octave's
// resample uses and published STOI figures rest on: a Kaiser-windowed sinc of
// 60 dB rejection whose transition band is a tenth of the cutoff, without
// delay. n samples give ceil(n·to/from).
func resample(x []float64, from, to int) []float64 {
	if from == to {
		return x
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	h := octaveFilter(up, down)
	half := len(h) / 2
	y := make([]float64, (len(x)*up+down-1)/down)
	for m := range y {
		// Taps h[half + m·down - n·up] that exist and meet a sample n.
		at := m*down + half
		last := min(at/up, len(x)-1)
		first := max(0, (at-len(h)+up)/up)
		var sum float64
		for n := first; n <= last; n++ {
			sum += x[n] * h[at-n*up]
		}
		y[m] = sum * float64(up)
	}
	return y
}

// octaveFilter gives the odd-length prototype filter at up times the input
// rate, of sum 1.
func octaveFilter(up, down int) []float64 {
	const rejection = 60.0 // dB
	cutoff := 1 / (2 * float64(max(up, down)))
	half := int(math.Ceil((rejection - 8) / (28.714 * cutoff / 10)))
	beta := 0.1102 * (rejection - 8.7)
	h := make([]float64, 2*half+1)
	var sum float64
	for i := range h {
		t := float64(i - half)
		r := t / float64(half)
		h[i] = sinc(2*cutoff*t) * besselI0(beta*math.Sqrt(1-r*r))
		sum += h[i]
	}
	for i := range h {
		h[i] /= sum
	}
	return h
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// besselI0 is the modified Bessel function of order 0 by its power series.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-17*sum; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
