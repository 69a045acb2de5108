package dsp

// MelFilter is one triangular band over the bins of a spectrum.
type MelFilter struct {
	First   int       // bin of Weights[0]
	Weights []float32 // sum 1
}

// MelFilters gives triangular filters whose corners are evenly spaced on the
// mel scale m = 2595·log10(1 + f/700) (O'Shaughnessy 1987) from 0 to half the
// sample rate, over the n/2+1 bins of an n-point spectrum. Each is scaled to
// sum 1; bands too narrow to hold a bin are left out.
func MelFilters(sampleRate, n, bands int) []MelFilter {
	// Even steps of m are even steps of the logarithm of 1 + f/700.
	corner := make([]float64, bands+2)
	top := Log(1 + float64(sampleRate)/1400)
	for i := range corner {
		corner[i] = 700 * (Exp(float64(top*float64(i))/float64(bands+1)) - 1)
	}
	var filters []MelFilter
	for b := range bands {
		var f MelFilter
		var sum float64
		var weights []float64
		for k := 0; k <= n/2; k++ {
			hz := float64(k) * float64(sampleRate) / float64(n)
			w := min((hz-corner[b])/(corner[b+1]-corner[b]), (corner[b+2]-hz)/(corner[b+2]-corner[b+1]))
			if w <= 0 {
				continue
			}
			if weights == nil {
				f.First = k
			}
			weights = append(weights, w)
			sum += w
		}
		if weights == nil {
			continue
		}
		for _, w := range weights {
			f.Weights = append(f.Weights, float32(w/sum))
		}
		filters = append(filters, f)
	}
	return filters
}
