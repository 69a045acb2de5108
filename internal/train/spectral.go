package train

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// analysis is a short-time Fourier transform for losses: Hann windows with unit
// energy that lie whole inside the signal.
type analysis struct {
	size, hop int
	window    []float32
	fft       *dsp.RealFFT
	kernels   *kernels
	scratch   sync.Pool // *buffers
}

// lane holds a value of each of the frames that are worked on side by side.
type lane = [dsp.Width]float32

// buffers are memory for the spectra of dsp.Width frames.
type buffers struct {
	x, y        *dsp.Lanes
	mag, target []lane    // [bins]
	waves       []float32 // [frames][size]
	signal      []float32
}

func newAnalysis(size, hop int) (*analysis, error) {
	fft, err := dsp.NewRealFFT(size)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	a := &analysis{size: size, hop: hop, window: dsp.Hann(size), fft: fft, kernels: available()}
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
			x: fft.TakeLanes(), y: fft.TakeLanes(), mag: make([]lane, bins), target: make([]lane, bins),
			waves: make([]float32, dsp.Width*size),
		}
	}
	return a, nil
}

// frames is the number of windows in n samples.
func (a *analysis) frames(n int) int { return max(0, (n-a.size)/a.hop+1) }

// forward gives the spectra of n frames from t on.
func (a *analysis) forward(l *dsp.Lanes, signal []float32, t, n int) (re, im []lane) {
	r, i := l.Forward(signal[t*a.hop:], a.hop, n, a.window)
	return lanes(r), lanes(i)
}

// lanes is a view of values [rows][dsp.Width].
func lanes(x []float32) []lane {
	return unsafe.Slice((*lane)(unsafe.Pointer(&x[0])), len(x)/dsp.Width)
}

// adjoint adds the gradients of the spectra of n frames from t on to that of the
// signal.
func (a *analysis) adjoint(grad []float32, re, im []lane, t, n int, b *buffers) {
	flat := func(x []lane) []float32 { return unsafe.Slice(&x[0][0], len(x)*dsp.Width) }
	w := b.y.Adjoint(flat(re), flat(im), a.window)
	b.y.Scatter(b.waves, a.size, w, a.size, n)
	for i := range n {
		out := grad[(t+i)*a.hop:][:a.size]
		for k, v := range b.waves[i*a.size:][:len(out)] {
			out[k] += v
		}
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
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		xr, xi := s.forward(b.x, x, t, n)
		yr, yi := s.forward(b.y, y, t, n)
		s.kernels.magnitudes(b.target, xr, xi, tiny)
		s.kernels.magnitudes(b.mag, yr, yi, tiny)
		slope := xi // dL/d|Y|
		clear(slope)
		var sum lane
		for _, f := range s.bands {
			end := f.First + len(f.Weights)
			s.kernels.band(slope[f.First:end], b.mag[f.First:end], b.target[f.First:end], f.Weights, &sum, floor, step)
		}
		for _, v := range sum[:n] {
			total += float64(v)
		}
		s.kernels.turn(yr, yi, slope, b.mag)
		s.adjoint(grad, yr, yi, t, n, b)
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
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		xr, xi := a.forward(b.x, x, t, n)
		yr, yi := a.forward(b.y, y, t, n)
		d2, e2 := a.kernels.compressed(yr, yi, xr, xi, eps, -l.power)
		for i := range n {
			diff += float64(d2[i])
			energy += float64(e2[i])
		}
		a.adjoint(g, yr, yi, t, n, b)
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
