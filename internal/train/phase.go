package train

import (
	"math"
	"sync"

	"github.com/sotto-audio/sotto/internal/dsp"
)

// Phase is the sum of the anti-wrapping losses of Ai & Ling 2023, averaged over
// resolutions: |W(d)| of the difference d of phases (instantaneous phase), of the
// steps of d from bin to bin (group delay) and from frame to frame (instantaneous
// angular frequency), where W wraps to ±π. Each bin counts |X|²/(|X|²+1e-6), and a
// step as much as the lesser of its bins: the target's phase means nothing where it
// is silent.
type Phase struct{ scales []*phaseScale }

type phaseScale struct {
	*analysis
	scratch sync.Pool // *differences
}

// differences holds, for each bin of each frame, the difference of phases, what the
// bin counts, the loss's slope and the spectrum of the output over its power.
type differences struct{ d, weight, slope, re, im []float32 }

// NewPhase makes the loss for windows of the given sizes with hops of a quarter.
func NewPhase(sizes []int) (*Phase, error) {
	l := &Phase{}
	for _, n := range sizes {
		a, err := newAnalysis(n, n/4)
		if err != nil {
			return nil, err
		}
		s := &phaseScale{analysis: a}
		s.scratch.New = func() any { return &differences{} }
		l.scales = append(l.scales, s)
	}
	return l, nil
}

// Name is "phase".
func (*Phase) Name() string { return "phase" }

// Eval implements Term.
func (l *Phase) Eval(x, y []float32, weight float32, grad []float32) float64 {
	var total float64
	for _, s := range l.scales {
		total += s.eval(x, y, weight/float32(len(l.scales)), grad)
	}
	return total / float64(len(l.scales))
}

func (s *phaseScale) eval(x, y []float32, weight float32, grad []float32) float64 {
	const silent, tiny = 1e-6, 1e-9 // powers
	frames, bins := s.frames(len(x)), s.fft.Bins()
	p := s.scratch.Get().(*differences)
	defer s.scratch.Put(p)
	p.resize(frames * bins)
	b := s.analysis.scratch.Get().(*buffers)
	defer s.analysis.scratch.Put(b)
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		xr, xi := s.forward(b.x, x, t, n)
		yr, yi := s.forward(b.y, y, t, n)
		for k := range bins {
			for i := range n {
				at := (t+i)*bins + k
				a, b, c, d := xr[k][i], xi[k][i], yr[k][i], yi[k][i]
				// The phase of Y·conj(X) is already wrapped.
				p.d[at] = float32(math.Atan2(float64(d*a-c*b), float64(c*a+d*b)))
				px, py := a*a+b*b, c*c+d*d
				p.weight[at] = px / (px + silent)
				p.re[at], p.im[at] = c/(py+tiny), d/(py+tiny)
			}
		}
	}
	total := p.losses(frames, bins, weight)
	// dφ/d(re, im) = (−im, re)/|Y|².
	for t := 0; t < frames; t += dsp.Width {
		n := min(dsp.Width, frames-t)
		re, im := b.mag, b.target
		clear(re)
		clear(im)
		for k := range bins {
			for i := range n {
				at := (t+i)*bins + k
				re[k][i], im[k][i] = -p.slope[at]*p.im[at], p.slope[at]*p.re[at]
			}
		}
		s.adjoint(grad, re, im, t, n, b)
	}
	return total
}

// losses gives the sum of the three and sets the slopes of weight times it.
func (p *differences) losses(frames, bins int, weight float32) (total float64) {
	clear(p.slope)
	for t := range frames {
		for k := range bins {
			at := t*bins + k
			total += p.add(at, -1, weight, frames*bins)
			if k > 0 {
				total += p.add(at, at-1, weight, frames*(bins-1))
			}
			if t > 0 {
				total += p.add(at, at-bins, weight, (frames-1)*bins)
			}
		}
	}
	return total
}

// add gives the loss of the step from one bin to another, or of the difference
// itself, as a part of the mean over n.
func (p *differences) add(to, from int, weight float32, n int) float64 {
	d, w := p.d[to], p.weight[to]
	if from >= 0 {
		w = min(w, p.weight[from])
		d = wrap(d - p.d[from])
	}
	step := weight * w / float32(n)
	if d < 0 {
		d, step = -d, -step
	}
	p.slope[to] += step
	if from >= 0 {
		p.slope[from] -= step
	}
	return float64(w*d) / float64(n)
}

// wrap brings a difference of two phases, from −2π to 2π, to ±π.
func wrap(d float32) float32 {
	switch {
	case d > math.Pi:
		return d - 2*math.Pi
	case d < -math.Pi:
		return d + 2*math.Pi
	}
	return d
}

func (p *differences) resize(n int) {
	for _, v := range []*[]float32{&p.d, &p.weight, &p.slope, &p.re, &p.im} {
		if cap(*v) < n {
			*v = make([]float32, n)
		}
		*v = (*v)[:n]
	}
}
