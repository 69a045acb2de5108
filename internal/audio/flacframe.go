package audio

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"
)

// flacFrames decodes the frames of a FLAC stream (RFC 9639, section 9) whose header
// was read. It is here because reading speech costs about as much time as encoding
// it otherwise: this takes a third of what github.com/mewkiz/flac/frame takes.
type flacFrames struct {
	r     io.Reader
	bits  int // of a sample, by the stream's header
	err   error
	buf   []byte // from the start of the frame on
	pos   int    // byte of buf that is next for acc
	acc   uint64 // the next bits, from the highest on
	n     int    // of them
	short int    // bytes that were needed behind the end

	channels [][]int32 // of the current frame
	coeffs   [32]int64
}

// maxFLACFrame bounds a frame, in bytes: 65535 samples of 8 channels of 33 bits, and
// more than any encoder makes of them.
const maxFLACFrame = 4 << 20

var errFLAC = errors.New("a frame is damaged")

// next decodes a frame; io.EOF stands at the end of the stream,
// io.ErrUnexpectedEOF at one inside of a frame.
func (f *flacFrames) next() ([][]int32, error) {
	// What acc holds of the next frame goes back.
	f.buf = append(f.buf[:0], f.buf[f.pos:]...)
	f.pos, f.acc, f.n, f.short = 0, 0, 0, 0
	if len(f.buf) == 0 && !f.more() {
		return nil, f.err
	}
	size, err := f.frame()
	if f.short > 0 && f.pos-f.n/8 > len(f.buf) {
		if f.err != io.EOF {
			return nil, f.err
		}
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	// The checksum stands at the next whole byte, and makes that of all 0.
	f.take(f.n & 7)
	f.take(16)
	f.pos -= f.n / 8
	if f.pos > len(f.buf) {
		return nil, io.ErrUnexpectedEOF
	}
	if crc16(0, f.buf[:f.pos]) != 0 {
		return nil, errors.New("the checksum of a frame is wrong")
	}
	for c := range f.channels {
		f.channels[c] = f.channels[c][:size]
	}
	return f.channels, nil
}

// more reads some bytes of the stream.
func (f *flacFrames) more() bool {
	if f.err == nil && len(f.buf) >= maxFLACFrame {
		f.err = errFLAC
	}
	if f.err != nil {
		return false
	}
	n := len(f.buf)
	f.buf = slices.Grow(f.buf, 1<<13)
	got := 0
	for got == 0 && f.err == nil {
		got, f.err = f.r.Read(f.buf[n:cap(f.buf)])
	}
	f.buf = f.buf[:n+got]
	return got > 0
}

// fill brings acc to 56 bits or more; behind the end they are 0.
func (f *flacFrames) fill() {
	if f.pos+8 <= len(f.buf) {
		f.acc |= binary.BigEndian.Uint64(f.buf[f.pos:]) >> f.n
		f.pos += (63 - f.n) >> 3
		f.n |= 56
		return
	}
	for f.n <= 56 {
		if f.pos < len(f.buf) || f.more() {
			f.acc |= uint64(f.buf[f.pos]) << (56 - f.n)
		} else {
			f.short++
		}
		f.pos++
		f.n += 8
	}
}

// take gives the next k bits, 0 to 33.
func (f *flacFrames) take(k int) uint64 {
	if f.n < k {
		f.fill()
	}
	v := f.acc >> (64 - k)
	f.acc <<= k
	f.n -= k
	return v
}

// signed gives the next k bits as a number in two's complement.
func (f *flacFrames) signed(k int) int32 { return int32(int64(f.take(k)<<(64-k)) >> (64 - k)) }

// unary gives the number of 0 before the next 1.
func (f *flacFrames) unary() (z int, err error) {
	for {
		if f.n < 56 {
			f.fill()
		}
		k := bits.LeadingZeros64(f.acc)
		if k < f.n {
			f.acc <<= k + 1
			f.n -= k + 1
			return z + k, nil
		}
		z += f.n
		f.acc, f.n = 0, 0
		if f.short > 8 || z > 1<<26 {
			return 0, errFLAC
		}
	}
}

// frame decodes all of a frame but its checksum and gives its number of samples.
func (f *flacFrames) frame() (size int, err error) {
	if f.take(15) != 0x7ffc { // sync code and a reserved bit
		return 0, errors.New("a frame does not start where it should")
	}
	f.take(1)
	sizeCode, rate, layout := int(f.take(4)), f.take(4), int(f.take(4))
	depth := [8]int{f.bits, 8, 12, 0, 16, 20, 24, 32}[f.take(3)]
	if f.take(1) != 0 || layout > 10 || depth == 0 || rate == 15 || sizeCode == 0 {
		return 0, errFLAC
	}
	// A number in the manner of UTF-8: that of the frame, or of its first sample.
	ones := bits.LeadingZeros8(^uint8(f.take(8)))
	for range ones - 1 {
		f.take(8)
	}
	switch {
	case sizeCode == 1:
		size = 192
	case sizeCode < 6:
		size = 144 << sizeCode
	case sizeCode == 6:
		size = int(f.take(8)) + 1
	case sizeCode == 7:
		size = int(f.take(16)) + 1
	default:
		size = 1 << sizeCode
	}
	switch rate {
	case 12:
		f.take(8)
	case 13, 14:
		f.take(16)
	}
	end := f.pos - f.n/8
	if end >= len(f.buf) || crc8(f.buf[:end]) != f.buf[end] {
		f.take(8)
		return 0, errors.New("the checksum of a frame header is wrong")
	}
	f.take(8)
	if depth != f.bits {
		return 0, errors.New("it changes its sample size, which is not read here")
	}
	// 8: left and side, 9: side and right, 10: mid and side (section 4.2).
	channels := 2
	if layout < 8 {
		channels = layout + 1
	}
	for len(f.channels) < channels {
		f.channels = append(f.channels, nil)
	}
	f.channels = f.channels[:channels]
	for c := range f.channels {
		if cap(f.channels[c]) < size {
			f.channels[c] = make([]int32, size)
		}
		f.channels[c] = f.channels[c][:size]
		wide := depth
		if layout >= 8 && (c == 1) == (layout != 9) {
			wide++
		}
		if err := f.subframe(f.channels[c], wide); err != nil {
			return 0, err
		}
	}
	if layout >= 8 {
		a, b := f.channels[0], f.channels[1]
		for i, x := range a {
			y := b[i]
			switch layout {
			case 8:
				b[i] = x - y
			case 9:
				a[i] = x + y
			case 10:
				mid := x<<1 | y&1
				a[i], b[i] = (mid+y)>>1, (mid-y)>>1
			}
		}
	}
	return size, nil
}

// subframe decodes one channel (section 9.2).
func (f *flacFrames) subframe(x []int32, depth int) error {
	if f.take(1) != 0 {
		return errFLAC
	}
	kind := int(f.take(6))
	wasted := 0
	if f.take(1) == 1 {
		z, err := f.unary()
		if err != nil {
			return err
		}
		wasted = z + 1
	}
	if depth -= wasted; depth < 1 || depth > 32 {
		return errFLAC
	}
	switch {
	case kind == 0:
		v := f.signed(depth)
		for i := range x {
			x[i] = v
		}
	case kind == 1:
		for i := range x {
			x[i] = f.signed(depth)
			if f.short > 8 {
				return errFLAC
			}
		}
	case kind >= 8 && kind <= 12, kind >= 32:
		order := kind - 8
		if kind >= 32 {
			order = kind - 31
		}
		if order > len(x) {
			return errFLAC
		}
		for i := range order {
			x[i] = f.signed(depth)
		}
		shift, bound := 0, 5 // sums of samples of n bits have at most n + bound - 1
		if kind >= 32 {
			precision := int(f.take(4)) + 1
			if shift = int(f.signed(5)); precision == 16 || shift < 0 {
				return errFLAC
			}
			for i := range order {
				f.coeffs[i] = int64(f.signed(precision))
			}
			bound = precision + bits.Len(uint(order-1))
		} else { // section 9.2.5
			copy(f.coeffs[:], flacPolynomials[order][:])
		}
		if err := f.residual(x, order); err != nil {
			return err
		}
		if depth+bound <= 32 && order <= 12 {
			predictNarrow(x, f.coeffs[:order], shift)
		} else {
			predict(x, f.coeffs[:order], shift)
		}
	default:
		return errFLAC
	}
	if wasted > 0 {
		for i := range x {
			x[i] <<= wasted
		}
	}
	return nil
}

// flacPolynomials predict a sample of those before it, the nearest first.
var flacPolynomials = [5][4]int64{{}, {1}, {2, -1}, {3, -3, 1}, {4, -6, 4, -1}}

// predict adds to each residual what the samples before it predict.
func predict(x []int32, coeffs []int64, shift int) {
	var reversed [32]int64
	order := len(coeffs)
	for k, c := range coeffs {
		reversed[order-1-k] = c
	}
	coeffs = reversed[:order]
	for i := order; i < len(x); i++ {
		past := x[i-order : i]
		var sum int64
		for k, v := range past {
			sum += coeffs[k] * int64(v)
		}
		x[i] += int32(sum >> shift)
	}
}

// predictNarrow is predict where sums fit 32 bits and the order is no more than 12.
// Two samples are predicted at a time: one product of 64 bits holds those of a sample
// before them and its coefficients for the first, below, and for the second, above.
func predictNarrow(x []int32, coeffs []int64, shift int) {
	const most = 12
	order := len(coeffs)
	if order == 0 {
		return
	}
	var c [most]int64 // the last belongs to the sample before the two
	for k, v := range coeffs {
		c[most-1-k] += v
		if k > 0 {
			c[most-k] += v << 32
		}
	}
	first := int32(coeffs[0])
	by := uint(shift) & 31
	i := min(len(x), most)
	predict(x[:i], coeffs, shift)
	for ; i+1 < len(x); i += 2 {
		p := (*[most]int32)(x[i-most:])
		sum := c[0]*int64(p[0]) + c[1]*int64(p[1]) + c[2]*int64(p[2]) + c[3]*int64(p[3]) +
			c[4]*int64(p[4]) + c[5]*int64(p[5]) + c[6]*int64(p[6]) + c[7]*int64(p[7]) +
			c[8]*int64(p[8]) + c[9]*int64(p[9]) + c[10]*int64(p[10]) + c[11]*int64(p[11])
		low := int32(sum)
		x[i] += low >> by
		high := int32((sum-int64(low))>>32) + first*x[i]
		x[i+1] += high >> by
	}
	if i < len(x) {
		predict(x[i-order:], coeffs, shift)
	}
}

// residual decodes what prediction leaves, of the samples from order on (section
// 9.2.7).
func (f *flacFrames) residual(x []int32, order int) error {
	width, escape := 4, uint64(15)
	switch f.take(2) {
	case 0:
	case 1:
		width, escape = 5, 31
	default:
		return errFLAC
	}
	partitions := f.take(4)
	each := len(x) >> partitions
	if each<<partitions != len(x) || each < order {
		return errFLAC
	}
	for p := range 1 << partitions {
		part := x[p*each : (p+1)*each]
		if p == 0 {
			part = part[order:]
		}
		k := f.take(width)
		if k == escape {
			raw := int(f.take(5))
			for i := range part {
				part[i] = f.signed(raw)
			}
		} else if err := f.rice(part, int(k)); err != nil {
			return err
		}
		if f.short > 8 {
			return errFLAC
		}
	}
	return nil
}

// rice decodes numbers of k low bits behind a unary quotient, folded to be
// positive.
func (f *flacFrames) rice(x []int32, k int) error {
	acc, n, pos, buf := f.acc, uint(f.n), f.pos, f.buf
	for i := 0; i < len(x); {
		if pos+8 <= len(buf) {
			acc |= binary.BigEndian.Uint64(buf[pos:]) >> (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
			// Two at a time, since 56 bits mostly hold two.
			z := uint(bits.LeadingZeros64(acc))
			one := z + 1 + uint(k)
			v := uint32(z)<<(k&31) | uint32(acc<<(z&63)<<1>>((63-k)&63)>>1)
			next := acc << ((one - 1) & 63) << 1
			z = uint(bits.LeadingZeros64(next))
			if two := one + z + 1 + uint(k); two <= n && i+1 < len(x) {
				w := uint32(z)<<(k&31) | uint32(next<<(z&63)<<1>>((63-k)&63)>>1)
				x[i], x[i+1] = unfold(v), unfold(w)
				i += 2
				acc = acc << ((two - 1) & 63) << 1
				n -= two
				continue
			}
			if one <= n {
				x[i] = unfold(v)
				i++
				acc = next
				n -= one
				continue
			}
		}
		f.acc, f.n, f.pos = acc, int(n), pos
		q, err := f.unary()
		if err != nil {
			return err
		}
		x[i] = unfold(uint32(q)<<k | uint32(f.take(k)))
		i++
		acc, n, pos, buf = f.acc, uint(f.n), f.pos, f.buf
	}
	f.acc, f.n, f.pos = acc, int(n), pos
	return nil
}

// unfold takes 0, 1, 2, 3, … to 0, -1, 1, -2, ….
func unfold(v uint32) int32 { return int32(v>>1) ^ -int32(v&1) }
