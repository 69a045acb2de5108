package sotto

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// decoder is a codec.Decoder.
type decoder struct {
	network   *native.Network
	quantizer *rvq.Quantizer
	levels    int
	stream    *nn.Stream

	skip   int // frames still to be dropped: the network's delay
	latent []float32
	last   []float32 // latent of the newest frame, for concealment
	wave   []float32
}

// Decode appends the samples that the frames settle.
func (d *decoder) Decode(dst []float32, codes []int32) ([]float32, error) {
	width, dim := d.levels*d.network.Quantizer.Groups, d.network.Quantizer.Dim
	if len(codes)%width != 0 {
		return dst, fmt.Errorf("sotto: %d codes are not whole frames of %d", len(codes), width)
	}
	for len(codes) > 0 {
		n := min(block*width, len(codes))
		z := d.grow(n / width)
		if err := d.quantizer.Decode(z, codes[:n], d.levels); err != nil {
			return dst, err
		}
		codes = codes[n:]
		copy(d.last, z[len(z)-dim:])
		dst = d.step(dst)
	}
	return dst, nil
}

// Conceal holds the newest latent and lets it decay to the mean, by half in
// 60 ms, so that a short gap is filled and a long one falls silent.
func (d *decoder) Conceal(dst []float32, n int) ([]float32, error) {
	for ; n > 0; n -= block {
		frames := min(block, n)
		z := d.grow(frames)
		for t := range frames {
			for k := range d.last {
				d.last[k] *= 0.8
			}
			copy(z[t*len(d.last):], d.last)
		}
		dst = d.step(dst)
	}
	return dst, nil
}

// Flush appends the samples that the network's delay holds back. The newest latent
// stands for what would follow: one of zeros is no silence, and clicks.
func (d *decoder) Flush(dst []float32) ([]float32, error) {
	z := d.grow(d.network.Delay())
	for t := range d.network.Delay() {
		copy(z[t*len(d.last):], d.last)
	}
	return d.step(dst), nil
}

// Reset forgets the signal.
func (d *decoder) Reset() {
	d.stream.Reset()
	d.skip = d.network.Delay()
	clear(d.last)
}

// grow gives room for the latents of a step.
func (d *decoder) grow(frames int) []float32 {
	d.latent = resize(d.latent, frames*d.network.Quantizer.Dim)
	return d.latent
}

// step decodes d.latent.
func (d *decoder) step(dst []float32) []float32 {
	s, dim := d.stream, d.network.Quantizer.Dim
	s.Begin()
	z := s.Tensor(len(d.latent)/dim, dim)
	s.Upload(z, d.latent)
	return d.samples(dst, z)
}

// samples runs the network over latents and appends what comes out, less the
// frames before the start.
func (d *decoder) samples(dst []float32, latent *backend.Tensor) []float32 {
	hop := d.network.HopLength
	y := native.Decode(d.stream, d.network.Decoder, latent)
	d.wave = resize(d.wave, y.Rows*hop)
	d.stream.Download(d.wave, y)
	drop := min(d.skip, y.Rows)
	d.skip -= drop
	return append(dst, d.wave[drop*hop:]...)
}
