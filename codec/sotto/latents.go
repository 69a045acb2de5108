package sotto

import (
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/rvq"
)

// Quantize gives the codes of latents [T, LatentDim], frame-major, with codebooks
// as for NewEncoder.
func (m *Model) Quantize(latents []float32, codebooks int) (_ []int32, err error) {
	defer backend.Recover(&err)
	levels, err := m.levels(codebooks)
	if err != nil {
		return nil, err
	}
	if len(latents)%m.LatentDim() != 0 {
		return nil, fmt.Errorf("sotto: %d values are not whole latents of %d", len(latents), m.LatentDim())
	}
	codes := make([]int32, len(latents)/m.LatentDim()*levels*m.network.Quantizer.Groups)
	m.quantizer.Fork().Encode(codes, latents, levels)
	return codes, nil
}

// A LatentStream gives the frames of one signal before the quantizer, or those
// that codes stand for. It is not safe for concurrent use.
type LatentStream struct {
	encoder   *encoder
	quantizer *rvq.Quantizer
}

// NewLatentStream starts a stream of latents.
func (m *Model) NewLatentStream() *LatentStream {
	return &LatentStream{encoder: m.live(1), quantizer: m.quantizer.Fork()}
}

// Encode takes any number of samples and appends the latents that they complete.
func (l *LatentStream) Encode(dst, pcm []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	e := l.encoder
	hop := e.network.HopLength
	for len(e.pending)+len(pcm) >= hop {
		used := 0
		z, err := e.frames(min(block, (len(e.pending)+len(pcm))/hop), func(_ int, row []float32) {
			n := copy(row, e.pending)
			used = copy(row[n:], pcm)
		})
		if err != nil {
			return dst, err
		}
		dst = append(dst, z...)
		e.pending, pcm = e.pending[:0], pcm[used:]
	}
	e.pending = append(e.pending, pcm...)
	return dst, nil
}

// Flush completes the last frame with silence.
func (l *LatentStream) Flush(dst []float32) ([]float32, error) {
	if len(l.encoder.pending) == 0 {
		return dst, nil
	}
	return l.Encode(dst, make([]float32, l.encoder.network.HopLength-len(l.encoder.pending)))
}

// Decode appends the latents of whole frames of that many codebooks.
func (l *LatentStream) Decode(dst []float32, codes []int32, codebooks int) ([]float32, error) {
	q := l.quantizer
	if codebooks < 1 || codebooks%q.Groups != 0 || codebooks > q.Codebooks() || len(codes)%codebooks != 0 {
		return dst, fmt.Errorf("sotto: %d codes are not whole frames of %d codebooks", len(codes), codebooks)
	}
	at := len(dst)
	dst = slices.Grow(dst, len(codes)/codebooks*q.Dim)[:at+len(codes)/codebooks*q.Dim]
	return dst, q.Decode(dst[at:], codes, codebooks/q.Groups)
}

// Reset makes the stream ready for a new signal.
func (l *LatentStream) Reset() { l.encoder.Reset() }

// Dequantize gives the latents [Frames, LatentDim] that tokens stand for: the sums
// of their entries.
func (m *Model) Dequantize(tokens *codec.Tokens) ([]float32, error) {
	if err := tokens.Validate(); err != nil {
		return nil, err
	}
	levels, err := m.levels(tokens.Codebooks)
	if err != nil {
		return nil, err
	}
	z := make([]float32, tokens.Frames*m.LatentDim())
	return z, m.quantizer.GRVQ.Decode(z, tokens.Codes, levels)
}

// Codebook gives a copy of the entries of codebook i, [size, dim].
func (m *Model) Codebook(i int) (entries []float32, dim int) {
	return m.quantizer.Codebook(i), m.network.Quantizer.Dim / m.network.Quantizer.Groups
}
