package metrics

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/dsp"
	"gonum.org/v1/gonum/dsp/fourier"
)

// melScales are the resolutions of MelDistance: window in samples, bands.
var melScales = [...]struct{ window, bands int }{{512, 40}, {1024, 80}, {2048, 160}}

// melFloor bounds band magnitudes from below before the logarithm.
const melFloor = 1e-5

// MelDistance is the mean absolute difference of natural-log mel spectra of two
// mono signals in [-1, 1], the mean of three resolutions: windows of 512, 1024
// and 2048 samples with 40, 80 and 160 bands. Frame t holds the samples from
// t·window/4 on under a Hann window, zeros beyond the end, for t < ceil(4·len/
// window); a band is the weighted mean of |X| under its triangle
// (dsp.MelFilters), at least 1e-5. 0 means equal spectra. The figure depends on
// the sample rate, so compare at one rate only.
func MelDistance(reference, degraded []float32, rate int) (float64, error) {
	x, y, err := pair(reference, degraded)
	if err != nil {
		return 0, err
	}
	if rate <= 0 {
		return 0, fmt.Errorf("metrics: sample rate %d Hz", rate)
	}
	if len(x) == 0 {
		return 0, fmt.Errorf("%w: no samples", ErrTooShort)
	}
	var total float64
	for _, s := range melScales {
		a, b := newMelAnalysis(rate, s.window, s.bands), newMelAnalysis(rate, s.window, s.bands)
		hop := s.window / 4
		var sum float64
		count := 0
		for at := 0; at < len(x); at += hop {
			mx, my := a.frame(x, at), b.frame(y, at)
			for i := range mx {
				sum += math.Abs(mx[i] - my[i])
			}
			count += len(mx)
		}
		total += sum / float64(count)
	}
	return total / float64(len(melScales)), nil
}

// melAnalysis turns frames into log mel bands.
type melAnalysis struct {
	fft     *fourier.FFT
	window  []float64
	filters []dsp.MelFilter
	in      []float64
	bins    []complex128
	size    []float64 // magnitudes of bins
	out     []float64
}

func newMelAnalysis(rate, window, bands int) *melAnalysis {
	filters := dsp.MelFilters(rate, window, bands)
	return &melAnalysis{
		fft:     fourier.NewFFT(window),
		window:  hann(window),
		filters: filters,
		in:      make([]float64, window),
		bins:    make([]complex128, window/2+1),
		size:    make([]float64, window/2+1),
		out:     make([]float64, len(filters)),
	}
}

// frame gives the bands of the frame that starts at sample at; the slice holds
// until the next call.
func (m *melAnalysis) frame(x []float64, at int) []float64 {
	n := copy(m.in, x[at:])
	clear(m.in[n:])
	for i := range n {
		m.in[i] *= m.window[i]
	}
	m.fft.Coefficients(m.bins, m.in)
	for i, c := range m.bins {
		m.size[i] = math.Sqrt(real(c)*real(c) + imag(c)*imag(c))
	}
	for b, f := range m.filters {
		var v float64
		for i, w := range f.Weights {
			v += float64(w) * m.size[f.First+i]
		}
		m.out[b] = math.Log(max(v, melFloor))
	}
	return m.out
}
