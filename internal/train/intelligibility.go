package train

import (
	"math"
	"sync"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// Intelligibility is one minus the mean short-time correlation of band
// envelopes, in the manner of extended STOI (Jensen & Taal 2016): magnitudes in
// 15 third-octave bands from 150 Hz, segments of 30 frames (about 390 ms) every
// third frame, rows and then columns brought to zero mean and unit norm.
// Segments 20 dB below the loudest do not count. Signals shorter than a segment
// give 0.
type Intelligibility struct {
	analysis *analysis
	bands    [15][2]int // bins from, to
	scratch  sync.Pool  // *envelopes
}

const (
	segmentFrames = 30
	segmentStep   = 3
)

type envelopes struct{ x, y, grad []float32 } // [frame][band]

// NewIntelligibility makes the loss for signals at rate Hz.
func NewIntelligibility(rate int) (*Intelligibility, error) {
	size := rate / 40
	a, err := newAnalysis(size, size/2)
	if err != nil {
		return nil, err
	}
	l := &Intelligibility{analysis: a}
	bin := func(f float64) int { return int(math.Round(f * float64(size) / float64(rate))) }
	for i := range l.bands {
		centre := 150 * math.Exp2(float64(i)/3)
		from := bin(centre * math.Exp2(-1.0/6))
		l.bands[i] = [2]int{from, max(from+1, bin(centre*math.Exp2(1.0/6)))}
	}
	l.scratch.New = func() any { return &envelopes{} }
	return l, nil
}

// Name is "intelligibility".
func (*Intelligibility) Name() string { return "intelligibility" }

// Eval implements Term.
func (l *Intelligibility) Eval(x, y []float32, weight float32, grad []float32) float64 {
	frames, bands := l.analysis.frames(len(x)), len(l.bands)
	if frames < segmentFrames {
		return 0
	}
	e := l.scratch.Get().(*envelopes)
	defer l.scratch.Put(e)
	if cap(e.x) < frames*bands {
		n := frames * bands
		e.x, e.y, e.grad = make([]float32, n), make([]float32, n), make([]float32, n)
	}
	e.x, e.y, e.grad = e.x[:frames*bands], e.y[:frames*bands], e.grad[:frames*bands]
	clear(e.grad)
	b := l.analysis.scratch.Get().(*buffers)
	defer l.analysis.scratch.Put(b)
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		xr, xi := l.analysis.forward(b.x, x, t, n)
		l.fold(e.x[t*bands:], xr, xi, n)
		yr, yi := l.analysis.forward(b.y, y, t, n)
		l.fold(e.y[t*bands:], yr, yi, n)
	}
	loss := l.segments(e, frames)
	// The spectra of y are cheaper to compute again than to keep.
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		yr, yi := l.analysis.forward(b.y, y, t, n)
		below := 0 // bins of no band have no gradient
		for i, r := range l.bands {
			clear(yr[below:max(below, r[0])])
			clear(yi[below:max(below, r[0])])
			var g lane
			for f := range n {
				at := (t+f)*bands + i
				g[f] = weight * e.grad[at] / e.y[at]
			}
			for k := r[0]; k < r[1]; k++ {
				for f, v := range g {
					yr[k][f] *= v
					yi[k][f] *= v
				}
			}
			below = r[1]
		}
		clear(yr[below:])
		clear(yi[below:])
		l.analysis.adjoint(grad, yr, yi, t, n, b)
	}
	return loss
}

// fold gives the magnitude of each band of n frames, [n][bands].
func (l *Intelligibility) fold(out []float32, re, im []lane, n int) {
	for i, r := range l.bands {
		var p lane
		for k := r[0]; k < r[1]; k++ {
			for f := range p {
				p[f] += re[k][f]*re[k][f] + im[k][f]*im[k][f]
			}
		}
		for f := range n {
			out[f*len(l.bands)+i] = sqrt(p[f] + 1e-9)
		}
	}
}

// segments gives the loss and sets the gradient of y's envelopes.
func (l *Intelligibility) segments(e *envelopes, frames int) float64 {
	const bands = 15
	var starts []int
	var energies []float64
	var loudest float64
	for s := 0; s+segmentFrames <= frames; s += segmentStep {
		var sum float64
		for _, v := range e.x[s*bands : (s+segmentFrames)*bands] {
			sum += float64(v) * float64(v)
		}
		starts, energies = append(starts, s), append(energies, sum)
		loudest = max(loudest, sum)
	}
	count := 0
	for _, v := range energies {
		if v > 1e-2*loudest {
			count++
		}
	}
	if count == 0 {
		return 0
	}
	var total float64
	var x, y segment
	for i, s := range starts {
		if energies[i] <= 1e-2*loudest {
			continue
		}
		x.normalise(e.x[s*bands:])
		y.normalise(e.y[s*bands:])
		for j, v := range x.out {
			total += float64(v * y.out[j])
		}
		y.backward(e.grad[s*bands:], &x.out, -1/float32(segmentFrames*count))
	}
	return 1 - total/float64(segmentFrames*count)
}

// segment is a piece of envelopes [segmentFrames][15] normalised along time,
// then along bands.
type segment struct {
	rows, out [segmentFrames * 15]float32
	rowInv    [15]float32
	colInv    [segmentFrames]float32
}

func (s *segment) normalise(in []float32) {
	const bands = 15
	for b := range bands {
		var mean, sq float32
		for t := range segmentFrames {
			mean += in[t*bands+b]
		}
		mean /= segmentFrames
		for t := range segmentFrames {
			d := in[t*bands+b] - mean
			s.rows[t*bands+b] = d
			sq += d * d
		}
		s.rowInv[b] = 1 / sqrt(sq+1e-7)
		for t := range segmentFrames {
			s.rows[t*bands+b] *= s.rowInv[b]
		}
	}
	for t := range segmentFrames {
		row, out := s.rows[t*bands:(t+1)*bands], s.out[t*bands:(t+1)*bands]
		var mean, sq float32
		for _, v := range row {
			mean += v
		}
		mean /= bands
		for b, v := range row {
			out[b] = v - mean
			sq += out[b] * out[b]
		}
		s.colInv[t] = 1 / sqrt(sq+1e-3)
		for b := range out {
			out[b] *= s.colInv[t]
		}
	}
}

// backward adds the gradient of scale·⟨g, out⟩ with respect to the envelopes:
// for u = c/√(|c|²+ε), c = v − mean(v), it is (g − u·⟨u,g⟩)/√(…) less its mean.
func (s *segment) backward(grad []float32, g *[segmentFrames * 15]float32, scale float32) {
	const bands = 15
	var d [segmentFrames * 15]float32
	for t := range segmentFrames {
		var along, mean float32
		for b := range bands {
			along += s.out[t*bands+b] * g[t*bands+b]
		}
		for b := range bands {
			v := (g[t*bands+b] - s.out[t*bands+b]*along) * s.colInv[t]
			d[t*bands+b] = v
			mean += v
		}
		for b := range bands {
			d[t*bands+b] -= mean / bands
		}
	}
	for b := range bands {
		var along, mean float32
		for t := range segmentFrames {
			along += s.rows[t*bands+b] * d[t*bands+b]
		}
		for t := range segmentFrames {
			v := (d[t*bands+b] - s.rows[t*bands+b]*along) * s.rowInv[b]
			d[t*bands+b] = v
			mean += v
		}
		for t := range segmentFrames {
			grad[t*bands+b] += scale * (d[t*bands+b] - mean/segmentFrames)
		}
	}
}
