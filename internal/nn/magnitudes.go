package nn

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
)

// Magnitudes gives those of the spectra of a padded signal: frame t is the samples
// from t·Hop − Pad.Left on, Size of them, windowed. [N, 1] → [T, Size/2+1].
type Magnitudes struct {
	Size, Hop int
	Pad       Padding
	Window    []float32

	fft *dsp.RealFFT
}

// NewMagnitudes plans a transform; Size must suit dsp.NewRealFFT.
func NewMagnitudes(size, hop int, pad Padding, window []float32) (*Magnitudes, error) {
	f, err := dsp.NewRealFFT(size)
	return &Magnitudes{Size: size, Hop: hop, Pad: pad, Window: window, fft: f}, err
}

// Params is empty.
func (*Magnitudes) Params() []*Param { return nil }

// Reach is how far the layer looks.
func (l *Magnitudes) Reach() Reach {
	return Reach{Past: float64(l.Pad.Left), Ahead: float64(max(l.Size-l.Pad.Left-l.Hop, 0)), Rate: 1 / float64(l.Hop)}
}

// Step gives the frames that the samples of each item settle.
func (l *Magnitudes) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	in := window{reach: l.Size, stride: l.Hop, pad: l.Pad}
	from, to, joined := in.join(s, l, x, 1)
	count, bins := to-from, l.fft.Bins()
	y, pairs := s.Tensor(s.Batch*count, bins), s.Tensor(s.Batch*count, 2*bins)
	samples := joined.Rows / s.Batch
	s.Wait()
	for i := range s.Batch {
		signal := joined.Data[i*samples:]
		s.Each(count, dsp.Width, costSample*float64(l.Size), func(lo, hi int) {
			lanes := l.fft.TakeLanes()
			defer lanes.Release()
			for t := lo; t < hi; t += dsp.Width {
				n := min(dsp.Width, hi-t)
				re, im := lanes.Forward(signal[t*l.Hop:], l.Hop, n, l.Window)
				lanes.Scatter(pairs.Data[(i*count+t)*2*bins:], 2*bins, lanes.Pairs(re, im), 2*bins, n)
			}
		})
	}
	for k := range y.Data {
		re, im := pairs.Data[2*k], pairs.Data[2*k+1]
		y.Data[k] = sqrt(float32(re*re) + float32(im*im))
	}
	s.Release(pairs, joined)
	return y
}
