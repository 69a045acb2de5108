package transcode

import (
	"context"
	"errors"

	"github.com/sotto-audio/sotto/codec"
)

// fake is a codec whose decoder gives what its encoder took, at 4 bits a
// sample: frames of hop samples with one codebook a sample.
type fake struct{ rate, hop int }

func (f fake) Info() codec.Info {
	sizes := make([]int, f.hop)
	for i := range sizes {
		sizes[i] = levels
	}
	return codec.Info{
		Name: "fake", SampleRate: f.rate, HopLength: f.hop, CodebookSizes: sizes, Levels: []int{f.hop},
		Bitrates: []float64{4 * float64(f.rate)}, FrameRate: float64(f.rate) / float64(f.hop),
		Fingerprint: codec.Fingerprint{1, 2, 3},
	}
}

const levels = 16

func (f fake) NewEncoder(int) (codec.Encoder, error) { return &fakeEncoder{hop: f.hop}, nil }
func (f fake) NewDecoder(int) (codec.Decoder, error) { return &fakeDecoder{hop: f.hop}, nil }
func (fake) Decode(context.Context, *codec.Tokens) ([]float32, error) {
	return nil, errors.ErrUnsupported
}
func (fake) Encode(context.Context, []float32, int) (*codec.Tokens, error) {
	return nil, errors.ErrUnsupported
}

type fakeEncoder struct {
	hop     int
	waiting []float32
}

func (e *fakeEncoder) Codebooks() int { return e.hop }
func (e *fakeEncoder) Reset()         { e.waiting = nil }
func (e *fakeEncoder) Encode(dst []int32, pcm []float32) ([]int32, error) {
	e.waiting = append(e.waiting, pcm...)
	for len(e.waiting) >= e.hop {
		for _, v := range e.waiting[:e.hop] {
			dst = append(dst, int32(min(max(v*8+8, 0), levels-1)))
		}
		e.waiting = e.waiting[e.hop:]
	}
	return dst, nil
}

func (e *fakeEncoder) Flush(dst []int32) ([]int32, error) {
	if len(e.waiting) == 0 {
		return dst, nil
	}
	return e.Encode(dst, make([]float32, e.hop-len(e.waiting)))
}

// fakeDecoder holds one frame back, as real ones with lookahead do.
type fakeDecoder struct {
	hop  int
	held []float32
}

func (d *fakeDecoder) Reset() { d.held = nil }
func (d *fakeDecoder) Decode(dst []float32, codes []int32) ([]float32, error) {
	for _, c := range codes {
		d.held = append(d.held, (float32(c)-8)/8)
	}
	return d.give(dst, d.hop), nil
}

// Conceal gives a value that no decoding gives.
func (d *fakeDecoder) Conceal(dst []float32, n int) ([]float32, error) {
	for range n * d.hop {
		d.held = append(d.held, lost)
	}
	return d.give(dst, d.hop), nil
}

func (d *fakeDecoder) Flush(dst []float32) ([]float32, error) { return d.give(dst, 0), nil }

func (d *fakeDecoder) give(dst []float32, keep int) []float32 {
	n := max(0, len(d.held)-keep)
	dst = append(dst, d.held[:n]...)
	d.held = d.held[n:]
	return dst
}

const lost = 0.03125
