package sotto

import (
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// encoder is a codec.Encoder over a stream of one or more signals.
type encoder struct {
	network   *native.Network
	quantizer *rvq.Quantizer
	levels    int
	stream    *nn.Stream

	pending []float32 // samples of an unfinished frame
	samples []float32
	latent  []float32
	codes   []int32
}

// Codebooks is the number of codes in each frame.
func (e *encoder) Codebooks() int { return e.levels * e.network.Quantizer.Groups }

// Encode appends the codes of every frame that the samples complete.
func (e *encoder) Encode(dst []int32, pcm []float32) (_ []int32, err error) {
	defer backend.Recover(&err)
	hop := e.network.HopLength
	for len(e.pending)+len(pcm) >= hop {
		frames := min(block, (len(e.pending)+len(pcm))/hop)
		used := 0
		codes := e.step(frames, func(_ int, row []float32) {
			n := copy(row, e.pending)
			used = copy(row[n:], pcm)
		})
		dst = append(dst, codes...)
		e.pending, pcm = e.pending[:0], pcm[used:]
	}
	e.pending = append(e.pending, pcm...)
	return dst, nil
}

// Flush completes the last frame with silence.
func (e *encoder) Flush(dst []int32) ([]int32, error) {
	if len(e.pending) == 0 {
		return dst, nil
	}
	return e.Encode(dst, make([]float32, e.network.HopLength-len(e.pending)))
}

// Reset forgets the signal.
func (e *encoder) Reset() {
	e.stream.Reset()
	e.pending = e.pending[:0]
}

// step runs the network over the next frames of each signal, which fill writes,
// and gives the codes [batch][frames][codebooks]; they live until the next step.
func (e *encoder) step(frames int, fill func(item int, dst []float32)) []int32 {
	z := e.latents(frames, fill)
	e.codes = resize(e.codes, z.Rows*e.Codebooks())
	e.latent = resize(e.latent, z.Rows*z.Cols)
	e.stream.Download(e.latent, z)
	e.quantizer.Encode(e.codes, e.latent, e.levels)
	return e.codes
}

// latents is step before the quantizer.
func (e *encoder) latents(frames int, fill func(item int, dst []float32)) *backend.Tensor {
	s, hop := e.stream, e.network.HopLength
	s.Begin()
	e.samples = resize(e.samples, s.Batch*frames*hop)
	for i := range s.Batch {
		fill(i, e.samples[i*frames*hop:(i+1)*frames*hop])
	}
	x := s.Tensor(s.Batch*frames, hop)
	s.Upload(x, e.samples)
	return native.Encode(s, e.network.Encoder, x)
}

// resize gives n values of undefined content, in the memory of s where they fit.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
