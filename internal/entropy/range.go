// Package entropy codes the codes of a frame in fewer bits than their packed
// form: a small network of integers predicts each code from the frames before
// and from the lower codebooks of its frame, a range coder writes it.
//
// Everything between codes and bytes is integer arithmetic without overflow, so
// that every machine writes and reads the same bytes. codec/FORMAT.md describes
// it in full.
package entropy

// Probabilities are integers out of 1<<probBits, neither 0 nor all of it.
const probBits = 16

// minWidth is the least width of the coder's interval between bits.
const minWidth = 1 << 24

// encoder is a binary range coder (Martin 1979, with the carry of Schindler
// 1998 added into bytes that are already out).
type encoder struct {
	low   uint64 // a carry is in bit 32 until the next byte
	width uint32 // minWidth or more between bits
	start int    // of the code in out
	out   []byte
}

func newEncoder(dst []byte) *encoder {
	return &encoder{width: 1<<32 - 1, start: len(dst), out: dst}
}

// bit appends a bit that is 1 with probability p.
func (e *encoder) bit(bit int, p uint32) {
	one := e.width >> probBits * p
	if bit != 0 {
		e.width = one
	} else {
		e.low += uint64(one)
		e.width -= one
	}
	for e.width < minWidth {
		e.shift()
		e.width <<= 8
	}
}

// shift moves the top byte of low to the output.
func (e *encoder) shift() {
	e.carry()
	e.out = append(e.out, byte(e.low>>24))
	e.low = e.low << 8 & (1<<32 - 1)
}

func (e *encoder) carry() {
	if e.low>>32 == 0 {
		return
	}
	e.low &= 1<<32 - 1
	for i := len(e.out) - 1; ; i-- {
		if e.out[i]++; e.out[i] != 0 {
			return
		}
	}
}

// finish gives the code: the shortest bytes that, followed by zeros, lie in the
// interval.
func (e *encoder) finish() []byte {
	e.carry()
	if e.low > 0 && e.low+uint64(e.width) > 1<<32 {
		e.low = 1 << 32 // is inside: all that follows are zeros
	} else {
		e.low += minWidth - 1 // a multiple of minWidth is
	}
	e.shift()
	for len(e.out) > e.start && e.out[len(e.out)-1] == 0 {
		e.out = e.out[:len(e.out)-1]
	}
	return e.out
}

// decoder reads what encoder wrote; zeros follow the code.
type decoder struct {
	value uint32 // less the low end of the interval
	width uint32
	in    []byte
	taken int // bytes, those after the end included
}

func newDecoder(src []byte) *decoder {
	d := &decoder{width: 1<<32 - 1, in: src}
	for range 4 {
		d.next()
	}
	return d
}

func (d *decoder) next() {
	d.value <<= 8
	if d.taken < len(d.in) {
		d.value |= uint32(d.in[d.taken])
	}
	d.taken++
}

// bit gives a bit that is 1 with probability p.
func (d *decoder) bit(p uint32) (bit int) {
	one := d.width >> probBits * p
	if d.value < one {
		d.width, bit = one, 1
	} else {
		d.value -= one
		d.width -= one
	}
	for d.width < minWidth {
		d.next()
		d.width <<= 8
	}
	return bit
}
