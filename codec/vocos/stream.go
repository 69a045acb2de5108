package vocos

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// Stream turns a sequence into another as it comes: samples into log-mel frames, or
// those into samples. Any split of the input gives the same output, bit for bit. It
// is not safe for concurrent use.
type Stream struct {
	layer  nn.Layer
	stream *nn.Stream
	cols   int // values of a row of the input
	piece  int // rows that run at once
	seen   bool
}

// NewAnalysis makes what gives log-mel frames of samples in [-1, 1] at the model's
// rate: natural logarithms of the magnitudes that the model's filters gather, Bands
// values a frame, one after the other. Of n samples there are 1 + ⌊n/HopLength⌋
// frames, or ⌊n/HopLength⌋ where the model pads as convolutions do.
func (m *Model) NewAnalysis() (*Stream, error) {
	if m.Bands() == 0 {
		return nil, fmt.Errorf("vocos: %s takes tokens of %s, not spectra", m.net.Name, tokensOf)
	}
	return newStream(m.net, m.net.Encoder, 1, m.net.SampleRate), nil
}

// NewSynthesis makes what gives samples of log-mel frames, HopLength a frame: of all
// frames, or of all but one where the model's frames are centred.
func (m *Model) NewSynthesis() (*Stream, error) {
	if m.Bands() == 0 {
		return nil, fmt.Errorf("vocos: %s takes tokens of %s, not spectra", m.net.Name, tokensOf)
	}
	return newStream(m.net, m.decoders[0], m.Bands(), m.net.SampleRate/m.net.Hop), nil
}

func newStream(net *published.Codec, layer nn.Layer, cols, piece int) *Stream {
	return &Stream{layer: layer, stream: net.Stream(), cols: cols, piece: max(piece, 1)}
}

// Push takes whole rows of the input and appends the values that they settle.
func (s *Stream) Push(dst, x []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	if len(x)%s.cols != 0 {
		return dst, fmt.Errorf("vocos: %d values are not whole frames of %d", len(x), s.cols)
	}
	for len(x) > 0 {
		n := min(len(x), s.piece*s.cols)
		dst = s.step(dst, x[:n], false)
		x = x[n:]
	}
	return dst, nil
}

// Flush ends the input and appends what is held back. Reset comes before more.
func (s *Stream) Flush(dst []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	if !s.seen {
		return dst, nil
	}
	return s.step(dst, nil, true), nil
}

// Reset forgets the signal.
func (s *Stream) Reset() {
	s.stream.Reset()
	s.seen = false
}

func (s *Stream) step(dst, x []float32, last bool) []float32 {
	s.seen = true
	s.stream.Begin()
	s.stream.Last = last
	in := s.stream.Tensor(len(x)/s.cols, s.cols)
	s.stream.Upload(in, x)
	y := s.layer.Step(s.stream, in)
	at, n := len(dst), y.Rows*y.Cols
	dst = append(dst, make([]float32, n)...)
	s.stream.Download(dst[at:], y)
	return dst
}
