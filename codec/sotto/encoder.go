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
	seat      *seat // of a live stream on a device that many share, nil for none

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
		codes, err := e.step(frames, func(_ int, row []float32) {
			n := copy(row, e.pending)
			used = copy(row[n:], pcm)
		})
		if err != nil {
			return dst, err
		}
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
	if e.seat != nil {
		e.seat.fresh = true
	}
	e.pending = e.pending[:0]
}

// step runs the network over the next frames of each signal, which fill writes,
// and gives the codes [batch][frames][codebooks]; they live until the next step.
func (e *encoder) step(frames int, fill func(item int, dst []float32)) ([]int32, error) {
	if e.seat != nil {
		_, codes, err := e.seat.run(e.filled(frames, fill), e.levels)
		return codes, err
	}
	z, err := e.frames(frames, fill)
	if err != nil {
		return nil, err
	}
	e.codes = resize(e.codes, len(z)/e.network.Quantizer.Dim*e.Codebooks())
	e.quantizer.Encode(e.codes, z, e.levels)
	return e.codes, nil
}

// frames is step before the quantizer: latents [batch][frames][dim].
func (e *encoder) frames(frames int, fill func(item int, dst []float32)) ([]float32, error) {
	if e.seat != nil {
		latents, _, err := e.seat.run(e.filled(frames, fill), 0)
		return latents, err
	}
	z := e.latents(frames, fill)
	e.latent = resize(e.latent, z.Rows*z.Cols)
	e.stream.Download(e.latent, z)
	return e.latent, nil
}

// filled gives the samples of the next frames of each signal.
func (e *encoder) filled(frames int, fill func(item int, dst []float32)) []float32 {
	n := frames * e.network.HopLength
	e.samples = resize(e.samples, e.stream.Batch*n)
	for i := range e.stream.Batch {
		fill(i, e.samples[i*n:(i+1)*n])
	}
	return e.samples
}

// latents gives those of the next frames on the device.
func (e *encoder) latents(frames int, fill func(item int, dst []float32)) *backend.Tensor {
	s, hop := e.stream, e.network.HopLength
	s.Begin()
	x := s.Tensor(s.Batch*frames, hop)
	s.Upload(x, e.filled(frames, fill))
	return native.Encode(s, e.network.Encoder, x)
}

// resize gives n values of undefined content, in the memory of s where they fit.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
