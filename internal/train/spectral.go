package train

import (
	"fmt"
	"math"
	"sync"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// analysis is a short-time Fourier transform for losses: Hann windows with unit
// energy that lie whole inside the signal.
type analysis struct {
	size, hop int
	window    []float32
	fft       *dsp.RealFFT
	scratch   sync.Pool // *buffers
}

type buffers struct {
	frame          []float32
	xr, xi, yr, yi []float32
	mag            []float32
	signal         []float32
}

func newAnalysis(size, hop int) (*analysis, error) {
	fft, err := dsp.NewRealFFT(size)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	a := &analysis{size: size, hop: hop, window: dsp.Hann(size), fft: fft}
	var energy float64
	for _, v := range a.window {
		energy += float64(v) * float64(v)
	}
	for i := range a.window {
		a.window[i] /= float32(math.Sqrt(energy))
	}
	bins := fft.Bins()
	a.scratch.New = func() any {
		return &buffers{
			frame: make([]float32, size), mag: make([]float32, bins),
			xr: make([]float32, bins), xi: make([]float32, bins),
			yr: make([]float32, bins), yi: make([]float32, bins),
		}
	}
	return a, nil
}

// frames is the number of windows in n samples.
func (a *analysis) frames(n int) int { return max(0, (n-a.size)/a.hop+1) }

// forward sets re and im to the spectrum of frame t.
func (a *analysis) forward(re, im, signal []float32, t int, b *buffers) {
	in := signal[t*a.hop:][:a.size]
	frame := b.frame[:len(in)]
	for k, w := range a.window[:len(in)] {
		frame[k] = w * in[k]
	}
	a.fft.Forward(re, im, frame)
}

// adjoint adds the gradient of the spectrum of frame t to that of the signal.
func (a *analysis) adjoint(grad, re, im []float32, t int, b *buffers) {
	a.fft.Adjoint(b.frame, re, im)
	out := grad[t*a.hop:][:a.size]
	frame := b.frame[:len(out)]
	for k, w := range a.window[:len(out)] {
		out[k] += w * frame[k]
	}
}

// MelScale is one resolution of a LogMel.
type MelScale struct {
	Size  int // samples of a window; the hop is a quarter
	Bands int
}

// LogMel is the mean absolute difference of log mel magnitudes, averaged over
// resolutions (Kumar et al. 2023): |ln(M(x)+Floor) − ln(M(y)+Floor)|.
type LogMel struct {
	scales []melScale
	floor  float32
}

type melScale struct {
	*analysis
	bands []dsp.MelFilter
}

// NewLogMel makes the loss for signals at rate Hz.
func NewLogMel(rate int, scales []MelScale, floor float32) (*LogMel, error) {
	l := &LogMel{floor: floor}
	for _, s := range scales {
		a, err := newAnalysis(s.Size, s.Size/4)
		if err != nil {
			return nil, err
		}
		l.scales = append(l.scales, melScale{analysis: a, bands: dsp.MelFilters(rate, s.Size, s.Bands)})
	}
	return l, nil
}

// Name is "mel".
func (*LogMel) Name() string { return "mel" }

// Eval implements Term.
func (l *LogMel) Eval(x, y []float32, weight float32, grad []float32) float64 {
	var total float64
	for i := range l.scales {
		total += l.scales[i].eval(x, y, l.floor, weight/float32(len(l.scales)), grad)
	}
	return total / float64(len(l.scales))
}

func (s *melScale) eval(x, y []float32, floor, weight float32, grad []float32) float64 {
	b := s.scratch.Get().(*buffers)
	defer s.scratch.Put(b)
	const tiny = 1e-10 // power below which a magnitude has no slope
	frames := s.frames(len(x))
	step := weight / float32(frames*len(s.bands))
	var total float64
	for t := range frames {
		s.forward(b.xr, b.xi, x, t, b)
		s.forward(b.yr, b.yi, y, t, b)
		xm, ym := b.xr, b.mag
		for k, re := range b.xr {
			xm[k] = sqrt(re*re + b.xi[k]*b.xi[k] + tiny)
		}
		for k, re := range b.yr {
			ym[k] = sqrt(re*re + b.yi[k]*b.yi[k] + tiny)
		}
		slope := b.xi // dL/d|Y|
		clear(slope)
		var sum float32
		for _, f := range s.bands {
			end := f.First + len(f.Weights)
			var mx, my float32
			xs, ys := xm[f.First:end], ym[f.First:end]
			for k, w := range f.Weights {
				mx += w * xs[k]
				my += w * ys[k]
			}
			d := log(my+floor) - log(mx+floor)
			g := step / (my + floor)
			if d < 0 {
				d, g = -d, -g
			}
			sum += d
			out := slope[f.First:end]
			for k, w := range f.Weights {
				out[k] += g * w
			}
		}
		total += float64(sum)
		for k, g := range slope {
			g /= ym[k]
			b.yr[k] *= g
			b.yi[k] *= g
		}
		s.adjoint(grad, b.yr, b.yi, t, b)
	}
	return total / float64(frames*len(s.bands))
}

// ComplexSTFT is the squared difference of complex spectra compressed by
// S·(|S|²+1e-5)^(−Power), relative to the energy of the target's, averaged over
// resolutions.
type ComplexSTFT struct {
	scales []*analysis
	power  float32
}

// NewComplexSTFT makes the loss for windows of the given sizes with hops of a
// quarter.
func NewComplexSTFT(sizes []int, power float32) (*ComplexSTFT, error) {
	l := &ComplexSTFT{power: power}
	for _, n := range sizes {
		a, err := newAnalysis(n, n/4)
		if err != nil {
			return nil, err
		}
		l.scales = append(l.scales, a)
	}
	return l, nil
}

// Name is "complex".
func (*ComplexSTFT) Name() string { return "complex" }

// Eval implements Term.
func (l *ComplexSTFT) Eval(x, y []float32, weight float32, grad []float32) float64 {
	var total float64
	for _, a := range l.scales {
		total += l.eval(a, x, y, weight/float32(len(l.scales)), grad)
	}
	return total / float64(len(l.scales))
}

func (l *ComplexSTFT) eval(a *analysis, x, y []float32, weight float32, grad []float32) float64 {
	const eps = 1e-5
	b := a.scratch.Get().(*buffers)
	defer a.scratch.Put(b)
	if cap(b.signal) < len(x) {
		b.signal = make([]float32, len(x))
	}
	// The factor 1/(energy of the target) is known at the end only.
	g := b.signal[:len(x)]
	clear(g)
	var diff, energy float64
	frames := a.frames(len(x))
	for t := range frames {
		a.forward(b.xr, b.xi, x, t, b)
		a.forward(b.yr, b.yi, y, t, b)
		var d2, e2 float32
		for k, xr := range b.xr {
			xi, yr, yi := b.xi[k], b.yr[k], b.yi[k]
			gx := pow(xr*xr+xi*xi+eps, -l.power)
			p := yr*yr + yi*yi + eps
			gy := pow(p, -l.power)
			cr, ci := gx*xr, gx*xi
			e2 += cr*cr + ci*ci
			dr, di := gy*yr-cr, gy*yi-ci
			d2 += dr*dr + di*di
			// d(S·p^−q) = p^−q·dS − 2q·p^(−q−1)·S·(S·dS)
			along := 2 * l.power * gy / p * (yr*dr + yi*di)
			b.yr[k] = 2 * (gy*dr - along*yr)
			b.yi[k] = 2 * (gy*di - along*yi)
		}
		diff += float64(d2)
		energy += float64(e2)
		a.adjoint(g, b.yr, b.yi, t, b)
	}
	n := float64(frames * a.fft.Bins())
	scale := 1 / (energy + 1e-3*n)
	step := weight * float32(scale)
	for i, v := range g {
		grad[i] += step * v
	}
	return diff * scale
}

// Waveform is the squared error relative to the energy of the target.
type Waveform struct{}

// Name is "wave".
func (Waveform) Name() string { return "wave" }

// Eval implements Term.
func (Waveform) Eval(x, y []float32, weight float32, grad []float32) float64 {
	var diff, energy float64
	for i, v := range x {
		d := float64(y[i] - v)
		diff += d * d
		energy += float64(v) * float64(v)
	}
	scale := 1 / (energy + 1e-5*float64(len(x)))
	step := 2 * weight * float32(scale)
	for i, v := range x {
		grad[i] += step * (y[i] - v)
	}
	return diff * scale
}
