package published

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

// windowEncoder runs a network that looks at everything: over the whole of a
// signal up to the window, over windows that overlap where it is longer. Each
// window gives the frames that lie nearer to its middle than to that of the next.
type windowEncoder struct {
	c     *Codec
	whole *encoder
	pcm   []float32
	skip  int // frames that the window before has given
}

func (e *windowEncoder) Codebooks() int { return e.whole.width }

// Encode keeps samples until more than a window is there.
func (e *windowEncoder) Encode(dst []int32, pcm []float32) ([]int32, error) {
	size := e.c.window * e.c.Hop
	for len(pcm) > 0 {
		if len(e.pcm) == size {
			var err error
			if dst, err = e.run(dst, e.c.window-e.c.overlap()/2); err != nil {
				return dst, err
			}
			e.pcm = append(e.pcm[:0], e.pcm[size-e.c.overlap()*e.c.Hop:]...)
			e.skip = e.c.overlap() / 2
		}
		n := min(len(pcm), size-len(e.pcm))
		e.pcm = append(e.pcm, pcm[:n]...)
		pcm = pcm[n:]
	}
	return dst, nil
}

// run encodes the window and appends its frames up to the end.
func (e *windowEncoder) run(dst []int32, end int) ([]int32, error) {
	w := e.whole
	w.Reset()
	// In one step: rows that wait for the end would be kept beside.
	w.pending, w.seen = append(w.pending, e.pcm...), len(e.pcm)
	codes, err := w.Flush(nil)
	if err != nil {
		return dst, err
	}
	end = min(end, len(codes)/w.width)
	return append(dst, codes[min(e.skip, end)*w.width:end*w.width]...), nil
}

// Flush encodes the last window.
func (e *windowEncoder) Flush(dst []int32) ([]int32, error) {
	if len(e.pcm) == 0 {
		return dst, nil
	}
	dst, err := e.run(dst, math.MaxInt)
	e.pcm = e.pcm[:0]
	return dst, err
}

// Reset forgets the signal.
func (e *windowEncoder) Reset() {
	e.whole.Reset()
	e.pcm, e.skip = e.pcm[:0], 0
}

// windowDecoder is windowEncoder's counterpart: windows cross-fade in the middle
// half of what they share.
type windowDecoder struct {
	c     *Codec
	whole *decoder
	codes []int32
	last  []int32
	tail  []float32 // what the window before made of the overlap, nil at the start
}

// Decode keeps frames until more than a window is there.
func (d *windowDecoder) Decode(dst []float32, codes []int32) (_ []float32, err error) {
	defer backend.Recover(&err)
	width := d.whole.width
	if err := d.c.Check(codes, width); err != nil {
		return dst, err
	}
	if len(codes) > 0 {
		d.last = append(d.last[:0], codes[len(codes)-width:]...)
	}
	size, overlap := d.c.window*width, d.c.overlap()
	for len(codes) > 0 {
		if len(d.codes) == size {
			wave := d.run()
			keep := len(wave) - overlap*d.c.Hop
			dst = append(dst, wave[:keep]...)
			d.tail = append(d.tail[:0], wave[keep:]...)
			d.codes = append(d.codes[:0], d.codes[size-overlap*width:]...)
		}
		n := min(len(codes), size-len(d.codes))
		d.codes = append(d.codes, codes[:n]...)
		codes = codes[n:]
	}
	return dst, nil
}

// run decodes the window, joined to the one before.
func (d *windowDecoder) run() []float32 {
	w := d.whole
	w.Reset()
	wave := w.step(nil, d.codes, true)
	if missing := w.frames*d.c.Hop - len(wave); missing > 0 {
		wave = append(wave, make([]float32, missing)...)
	}
	n := min(len(d.tail), len(wave))
	for i := range n {
		// From 0 to 1 over the middle half, flat at both ends.
		f := min(max(float64(2*i)/float64(n)-0.5, 0), 1)
		g := float32(float64(f*f) * (3 - float64(2*f)))
		wave[i] = float32(d.tail[i]*(1-g)) + float32(wave[i]*g)
	}
	return wave
}

// Conceal repeats the last frame.
func (d *windowDecoder) Conceal(dst []float32, n int) ([]float32, error) {
	if len(d.last) == 0 {
		d.last = make([]int32, d.whole.width)
	}
	for range n {
		var err error
		if dst, err = d.Decode(dst, append([]int32(nil), d.last...)); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// Flush decodes the last window.
func (d *windowDecoder) Flush(dst []float32) (_ []float32, err error) {
	defer backend.Recover(&err)
	if len(d.codes) == 0 {
		return dst, nil
	}
	wave := d.run()
	d.codes, d.tail = d.codes[:0], d.tail[:0]
	return append(dst, wave...), nil
}

// Reset forgets the signal.
func (d *windowDecoder) Reset() {
	d.whole.Reset()
	d.codes, d.last, d.tail = d.codes[:0], d.last[:0], d.tail[:0]
}
