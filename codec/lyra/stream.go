package lyra

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/tflite"
	"github.com/sotto-audio/sotto/rvq"
)

// encoder is a codec.Encoder.
type encoder struct {
	network
	session   *tflite.Session
	quantizer *rvq.Quantizer
	width     int
	pending   int // samples of an unfinished frame in the network's input
}

func (e *encoder) Codebooks() int { return e.width }

// Encode appends the codes of every frame that the samples complete.
func (e *encoder) Encode(dst []int32, pcm []float32) ([]int32, error) {
	frame := e.session.Floats(e.input)
	for len(pcm) > 0 {
		n := copy(frame[e.pending:], pcm)
		e.pending += n
		pcm = pcm[n:]
		if e.pending < hop {
			break
		}
		e.pending = 0
		e.session.Run()
		at := len(dst)
		for range e.width {
			dst = append(dst, 0)
		}
		e.quantizer.Encode(dst[at:], e.session.Floats(e.output), e.width)
	}
	return dst, nil
}

// Flush completes the last frame with silence.
func (e *encoder) Flush(dst []int32) ([]int32, error) {
	if e.pending == 0 {
		return dst, nil
	}
	return e.Encode(dst, make([]float32, hop-e.pending))
}

// Reset forgets the signal.
func (e *encoder) Reset() {
	e.pending = 0
	e.session.Reset()
}

// decoder is a codec.Decoder.
type decoder struct {
	network
	session   *tflite.Session
	quantizer *rvq.Quantizer
	width     int
}

// SetCodebooks goes on with frames of another number of codebooks.
func (d *decoder) SetCodebooks(n int) error {
	width, err := check(n)
	if err == nil {
		d.width = width
	}
	return err
}

// Decode appends the samples of the frames.
func (d *decoder) Decode(dst []float32, codes []int32) ([]float32, error) {
	if len(codes)%d.width != 0 {
		return dst, fmt.Errorf("lyra: %d codes are not whole frames of %d", len(codes), d.width)
	}
	for ; len(codes) > 0; codes = codes[d.width:] {
		if err := d.quantizer.Decode(d.session.Floats(d.input), codes[:d.width], d.width); err != nil {
			return dst, err
		}
		dst = d.step(dst)
	}
	return dst, nil
}

// Conceal repeats the features of the last frame.
func (d *decoder) Conceal(dst []float32, n int) ([]float32, error) {
	for range n {
		dst = d.step(dst)
	}
	return dst, nil
}

func (d *decoder) step(dst []float32) []float32 {
	d.session.Run()
	for _, v := range d.session.Floats(d.output) {
		dst = append(dst, min(max(v, -1), 1))
	}
	return dst
}

// Flush has nothing to append: samples are not held back.
func (d *decoder) Flush(dst []float32) ([]float32, error) { return dst, nil }

// Reset forgets the signal.
func (d *decoder) Reset() {
	clear(d.session.Floats(d.input))
	d.session.Reset()
}
