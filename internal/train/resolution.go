package train

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/nn"
)

// newResolutionDiscriminator sees the complex spectra of windows of one size, real
// and imaginary parts as channels (Défossez et al. 2022, EnCodec, multi-scale STFT
// discriminator).
func newResolutionDiscriminator(size, hop int, shapes []ConvShape) (*Discriminator, error) {
	if hop < 1 || hop > size {
		return nil, fmt.Errorf("train: no discriminator of windows of %d samples, %d apart", size, hop)
	}
	a, err := newAnalysis(size, hop)
	if err != nil {
		return nil, err
	}
	return newDiscriminator(fmt.Sprintf("resolution%d", size), []nn.Differentiable{spectra{a}}, 2, shapes, ConvShape{Taps: 3, Rows: 3})
}

// spectra gives samples [items, n] as [items·frames, bins·(re, im)].
type spectra struct{ *analysis }

// Params is empty.
func (spectra) Params() []*nn.Param { return nil }

// Step transforms each item.
func (l spectra) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	frames, width := l.frames(x.Cols), 2*l.fft.Bins()
	y := s.Tensor(x.Rows*frames, width)
	lanes := l.fft.TakeLanes()
	defer lanes.Release()
	for r := range x.Rows {
		for t := 0; t < frames; t += dsp.Width {
			n := min(dsp.Width, frames-t)
			re, im := lanes.Forward(x.Row(r)[t*l.hop:], l.hop, n, l.window)
			lanes.Scatter(y.Data[(r*frames+t)*width:], width, lanes.Pairs(re, im), width, n)
		}
	}
	return y
}

// Backward is the adjoint of the transforms.
func (l spectra) Backward(s *nn.Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	clear(dx.Data)
	frames := dy.Rows / x.Rows
	b := l.scratch.Get().(*buffers)
	defer l.scratch.Put(b)
	for r := range x.Rows {
		for t := 0; t < frames; t += dsp.Width {
			n := min(dsp.Width, frames-t)
			re, im := b.x.FromPairs(dy.Data[(r*frames+t)*dy.Cols:], dy.Cols, n)
			l.adjoint(dx.Row(r), lanes(re), lanes(im), t, n, b)
		}
	}
	return dx
}
