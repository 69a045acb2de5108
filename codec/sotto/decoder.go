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
	next   []float32 // and of the one after a gap
	wave   []float32
	gap    int     // frames concealed since the last one that was there
	gain   float32 // of the newest sample: below 1 in and after a long gap
}

// SetCodebooks goes on with frames of another number of codebooks.
func (d *decoder) SetCodebooks(n int) error {
	groups := d.network.Quantizer.Groups
	if n < groups || n%groups != 0 || n > d.network.Quantizer.Codebooks() {
		return fmt.Errorf("sotto: frames of %d codebooks: this model has steps of %d up to %d", n, groups, d.network.Quantizer.Codebooks())
	}
	d.levels = n / groups
	return nil
}

// Decode appends the samples that the frames settle.
func (d *decoder) Decode(dst []float32, codes []int32) (_ []float32, err error) {
	defer backend.Recover(&err)
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
		from := len(dst)
		dst = d.step(dst)
		d.gap = 0
		d.fade(dst[from:], 1)
	}
	return dst, nil
}

// Conceal holds the newest latent and lets it decay to the mean: without knowing
// the future, the expectation lies there (docs/live.md compares the ways).
func (d *decoder) Conceal(dst []float32, n int) (_ []float32, err error) {
	defer backend.Recover(&err)
	for range n {
		z := d.grow(1)
		for k := range d.last {
			d.last[k] *= 0.75
		}
		copy(z, d.last)
		dst = d.missing(dst)
	}
	return dst, nil
}

// Bridge goes from the newest latent to that of the frame after the gap in equal
// steps.
func (d *decoder) Bridge(dst []float32, n int, next []int32) (_ []float32, err error) {
	defer backend.Recover(&err)
	dim := d.network.Quantizer.Dim
	d.next = resize(d.next, dim)
	if err := d.quantizer.Decode(d.next, next, d.levels); err != nil {
		return dst, err
	}
	for left := n; left > 0; left-- {
		z := d.grow(1)
		for k, to := range d.next {
			d.last[k] += float32((to - d.last[k]) / float32(left+1))
		}
		copy(z, d.last)
		dst = d.missing(dst)
	}
	return dst, nil
}

// A gap is heard as it was guessed for holdFrames; then it falls silent over
// fadeFrames: a guess that goes on is a drone.
const (
	holdFrames = 4
	fadeFrames = 8
)

// missing decodes d.latent, one frame that stands for a lost one.
func (d *decoder) missing(dst []float32) []float32 {
	from := len(dst)
	dst = d.step(dst)
	d.gap = min(d.gap+1, holdFrames+fadeFrames)
	d.fade(dst[from:], 1-float32(float32(max(0, d.gap-holdFrames))/fadeFrames))
	return dst
}

// fade brings the gain of new samples to a value over one frame.
func (d *decoder) fade(pcm []float32, to float32) {
	hop := d.network.HopLength
	for i := range min(hop, len(pcm)) {
		if d.gain == 1 && to == 1 {
			return
		}
		g := d.gain + float32((to-d.gain)*float32(i+1))/float32(hop)
		pcm[i] = float32(pcm[i] * g)
	}
	if len(pcm) >= hop {
		d.gain = to
	}
}

// Flush appends the samples that the network's delay holds back. The newest latent
// stands for what would follow: one of zeros is no silence, and clicks.
func (d *decoder) Flush(dst []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
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
	d.gap, d.gain = 0, 1
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
