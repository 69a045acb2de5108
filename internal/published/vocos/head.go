package vocos

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// maxMagnitude is the largest magnitude of a bin.
const maxMagnitude = 100

// Padding says which samples at both ends of a transform are left out, and what
// stands around the signal of which frames are made.
type Padding string

// Paddings, in the original's words.
const (
	Same   Padding = "same"   // (n_fft − hop)/2 samples: T frames are T·hop samples
	Center Padding = "center" // n_fft/2 samples: T frames are (T − 1)·hop samples
)

// samples is the number at each end.
func (p Padding) samples(size, hop int) int {
	if p == Center {
		return size / 2
	}
	return (size - hop) / 2
}

// head gives samples [N, 1] of rows [T, dim]: a linear layer to the logarithms of
// magnitudes and the phases, and the inverse Fourier transform, without the padding
// at both ends. Each sample is divided by the sum of the squared windows that reach
// it, at the ends fewer than elsewhere.
type head struct {
	linear    *nn.Linear
	synthesis *nn.ISTFT
	pad       int       // samples left out at each end
	squares   []float32 // of the window
	steady    []float32 // envelope of a hop where all windows are there
}

// Head builds the last part of the decoder; its sizes follow from the weight called
// name and the hop.
func Head(c *published.Checkpoint, name string, dim, hop int, padding Padding) nn.Layer {
	shape := c.WeightShape(name)
	if len(shape) != 2 {
		c.Fail(fmt.Errorf("%s.weight is missing, or no matrix", name))
		return nil
	}
	size := shape[0] - 2
	c.Within("n_fft", size, 2*hop, 16*hop)
	c.Within("n_fft modulo hop_length", size%hop, 0, 0)
	if !c.Sound() {
		return nil
	}
	window := dsp.Hann(size)
	synthesis, err := nn.NewISTFT(size, hop, window)
	if err != nil {
		c.Fail(err)
		return nil
	}
	h := &head{linear: c.Linear(name, dim, size+2), synthesis: synthesis, pad: padding.samples(size, hop)}
	for _, w := range window {
		h.squares = append(h.squares, float32(w*w))
	}
	for i := range hop {
		h.steady = append(h.steady, h.envelope(size+i, size/hop+2))
	}
	return h
}

// Params lists those of the linear layer.
func (h *head) Params() []*nn.Param { return h.linear.Params() }

// Reach is what the windows overlap: row t gives samples of which the last windows
// start pad samples later.
func (h *head) Reach() nn.Reach {
	hop := float64(h.synthesis.Hop)
	return nn.Reach{Past: float64(h.synthesis.Size-h.pad)/hop - 1, Ahead: float64(h.pad) / hop, Rate: hop}
}

// Step gives the samples that are settled.
func (h *head) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	if s.Batch != 1 {
		panic("vocos: a batch")
	}
	hop := h.synthesis.Hop
	st := s.State(h, 0, 1)
	before := st.Seen
	st.Seen += x.Rows
	tail := 0 // rows of silence that push out the end
	if s.Last && st.Seen > 0 {
		tail = (h.synthesis.Size - h.pad - 1) / hop
	}
	spectra := s.Tensor(x.Rows+tail, h.synthesis.Size+2)
	h.spectra(s, spectra, x)
	sum := h.synthesis.Step(s, spectra)
	// Row r of the sum holds the samples from r·hop on, before the pad is cut.
	first := max(before*hop, h.pad)
	end := (before + sum.Rows) * hop
	if s.Last {
		end = (st.Seen-1)*hop + h.synthesis.Size - h.pad
	}
	y := s.Tensor(max(end-first, 0), 1)
	whole := h.synthesis.Size - hop // from here on all windows reach a sample, up to the last row
	for i := range y.Rows {
		at := first + i
		e := h.steady[at%hop]
		if at < whole || at >= st.Seen*hop {
			e = h.envelope(at, st.Seen)
		}
		y.Data[i] = sum.Data[at-before*hop] / e
	}
	s.Release(spectra, sum)
	return y
}

// envelope is the sum of the squared windows of the frames that reach a sample, the
// oldest first.
func (h *head) envelope(at, frames int) (sum float32) {
	hop, size := h.synthesis.Hop, h.synthesis.Size
	newest := at / hop
	for t := max(newest-size/hop+1, 0); t <= min(newest, frames-1); t++ {
		sum += h.squares[at-t*hop]
	}
	return sum
}

// spectra sets the rows to the pairs of each bin, and those behind x to zero.
func (h *head) spectra(s *nn.Stream, y, x *backend.Tensor) {
	if x.Rows > 0 {
		parts := h.linear.Step(s, x)
		s.Complex(s.Rows(y, 0, x.Rows), parts, maxMagnitude)
		s.Release(parts)
	}
	s.Clear(y.Data[x.Rows*y.Cols:])
}
