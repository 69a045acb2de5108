package audio

import "math/bits"

// The resampler's low-pass, in terms of the lower of the two rates: flat up to
// passEdge, at least stopDB down from one half (the new or old Nyquist
// frequency) on, so that neither aliases nor images are left.
const (
	passEdge = 0.45
	stopDB   = 112.0
)

const (
	// maxTable bounds the exact table, in coefficients.
	maxTable = 1 << 19
	// gridPhases is the number of phases of the interpolated table per sample of
	// the lower rate. Linear interpolation is off by at most (pi/1024)^2/8 of the
	// filter's peak, -118 dB.
	gridPhases = 1024
	// block is the number of frames taken in at a time.
	block = 2048
)

// Resampler changes the sample rate of interleaved sound by any ratio with a
// windowed sinc. It streams: any split of the input gives the same bits. Output
// sample k lies at time k/to; n input frames give ceil(n*to/from) output frames.
//
// It is not safe for concurrent use.
type Resampler struct {
	channels int
	up, down int // to and from without their common factor

	half   int // the output at input position p uses samples floor(p)-half+1 .. floor(p)+half
	phases int // rows of the table, without the extra one of an interpolated table
	exact  bool
	table  []float32 // [phases][2*half]; one row more when not exact

	hist  [][]float32 // by channel, the samples still needed
	first int64       // index of hist[c][0] in the input, at first negative
	base  int64       // floor of the position of the next output
	frac  int         // its fraction, in units of 1/up
	in    int64       // frames in
	out   int64       // frames out
}

// NewResampler makes a resampler. The rates and the number of channels must be
// above 0. The filter spans about 150 samples of the lower rate.
func NewResampler(from, to, channels int) *Resampler {
	if from < 1 || to < 1 || channels < 1 {
		panic("audio: NewResampler needs rates and channels above 0")
	}
	g := gcd(from, to)
	r := &Resampler{channels: channels, up: to / g, down: from / g}
	if r.up == r.down {
		return r
	}
	r.design()
	return r.Clone()
}

// Clone makes a resampler for another signal at the same rates, with the same
// number of channels. Both share one table, and may be used side by side.
func (r *Resampler) Clone() *Resampler {
	c := *r
	if c.up == c.down {
		return &c
	}
	c.hist = make([][]float32, c.channels)
	for i := range c.hist {
		c.hist[i] = make([]float32, 0, 2*c.half+2*block)
	}
	c.Reset()
	return &c
}

// Reset makes the resampler ready for a new signal.
func (r *Resampler) Reset() {
	r.base, r.frac, r.in, r.out = 0, 0, 0, 0
	r.first = -int64(r.half) + 1
	for c := range r.hist {
		// Silence precedes the signal.
		r.hist[c] = r.hist[c][:max(0, r.half-1)]
		clear(r.hist[c])
	}
}

// design fills the table: row p holds the taps for an output that lies p/phases
// of a sample behind the input sample at its floor.
func (r *Resampler) design() {
	// Kaiser's formulas (Oppenheim and Schafer, Discrete-Time Signal Processing,
	// section 7.5.3) with the transition from passEdge to 1/2.
	const (
		beta = 0.1102 * (stopDB - 8.7)
		span = (stopDB - 7.95) / (2.285 * 2 * 3.14159265358979323846 * (0.5 - passEdge))
		cut  = (passEdge + 0.5) / 2 // of the lower rate
	)
	// scale is the lower rate over the input rate.
	scale := 1.0
	if r.up < r.down {
		scale = float64(r.up) / float64(r.down)
	}
	width := span / 2 / scale       // half of the filter, in input samples
	r.half = (int(width)/8 + 1) * 8 // whole steps of dot

	r.phases, r.exact = r.up, r.up*2*r.half <= maxTable
	rows := r.phases
	if !r.exact {
		r.phases = max(1, int(gridPhases*scale)+1)
		rows = r.phases + 1
	}
	taps := 2 * r.half
	r.table = make([]float32, rows*taps)
	gain := float64(2 * cut * scale)
	for p := range rows {
		row := r.table[p*taps:][:taps]
		if 2*p > r.phases && p < r.phases {
			// The filter is even: this is an earlier row, backwards.
			for i, h := range r.table[(r.phases-p)*taps:][:taps] {
				row[taps-1-i] = h
			}
			continue
		}
		for i := range row {
			// Distance from the output to tap i, in units of 1/phases.
			d := float64((i-r.half+1)*r.phases-p) / float64(r.phases)
			h := float64(gain * sinc(float64(gain*d)))
			row[i] = float32(float64(h * kaiser(d/width, beta)))
		}
	}
}

// Process takes interleaved frames and appends the output frames that they
// settle to dst.
func (r *Resampler) Process(dst, src []float32) []float32 {
	if r.up == r.down {
		return append(dst, src...)
	}
	ch := r.channels
	for len(src) >= ch {
		n := min(len(src)/ch, block)
		for c := range r.hist {
			h := r.hist[c]
			for i := c; i < n*ch; i += ch {
				h = append(h, src[i])
			}
			r.hist[c] = h
		}
		r.in += int64(n)
		src = src[n*ch:]
		dst = r.emit(dst, -1)
	}
	return dst
}

// Flush ends the signal, as if silence followed, and appends the last frames.
// The resampler is then ready for a new signal.
func (r *Resampler) Flush(dst []float32) []float32 {
	if r.up == r.down {
		return dst
	}
	total := mulDivCeil(r.in, int64(r.up), int64(r.down))
	for r.out < total {
		n := min(r.half, block)
		for c := range r.hist {
			h := r.hist[c]
			h = append(h, make([]float32, n)...)
			r.hist[c] = h
		}
		dst = r.emit(dst, total)
	}
	r.Reset()
	return dst
}

// emit appends the outputs whose taps are all there, up to a total number of
// frames unless that is negative, and drops the samples that no later output
// needs.
func (r *Resampler) emit(dst []float32, total int64) []float32 {
	taps := 2 * r.half
	stepBase, stepFrac := int64(r.down/r.up), r.down%r.up
	end := r.first + int64(len(r.hist[0]))
	for r.base+int64(r.half) < end && r.out != total {
		lo := int(r.base - int64(r.half) + 1 - r.first)
		if r.exact {
			row := r.table[r.frac*taps:][:taps]
			for _, h := range r.hist {
				dst = append(dst, dot(row, h[lo:lo+taps]))
			}
		} else {
			// Rows p and p+1 lie on either side; t is the way between them.
			hi64, lo64 := bits.Mul64(uint64(r.frac), uint64(r.phases))
			p, rem := bits.Div64(hi64, lo64, uint64(r.up))
			t := float32(float64(rem) / float64(r.up))
			a := r.table[int(p)*taps:][:taps]
			b := r.table[int(p+1)*taps:][:taps]
			for _, h := range r.hist {
				x := h[lo : lo+taps]
				ya, yb := dot(a, x), dot(b, x)
				dst = append(dst, ya+float32(t*(yb-ya)))
			}
		}
		r.out++
		r.base += stepBase
		if r.frac += stepFrac; r.frac >= r.up {
			r.frac -= r.up
			r.base++
		}
	}
	// A jump may lead past what is there.
	if drop := int(min(r.base-int64(r.half)+1, end) - r.first); drop > 0 {
		for c, h := range r.hist {
			r.hist[c] = h[:copy(h, h[drop:])]
		}
		r.first += int64(drop)
	}
	return dst
}

// dot is the inner product of two slices of equal length, a multiple of 16. The
// order of the sums is fixed: four partial sums by index modulo 4, of pairs of
// products.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 16 && len(b) >= 16 {
		x, y := (*[16]float32)(a), (*[16]float32)(b)
		s0 += float32(x[0]*y[0]) + float32(x[4]*y[4])
		s1 += float32(x[1]*y[1]) + float32(x[5]*y[5])
		s2 += float32(x[2]*y[2]) + float32(x[6]*y[6])
		s3 += float32(x[3]*y[3]) + float32(x[7]*y[7])
		s0 += float32(x[8]*y[8]) + float32(x[12]*y[12])
		s1 += float32(x[9]*y[9]) + float32(x[13]*y[13])
		s2 += float32(x[10]*y[10]) + float32(x[14]*y[14])
		s3 += float32(x[11]*y[11]) + float32(x[15]*y[15])
		a, b = a[16:], b[16:]
	}
	return (s0 + s2) + (s1 + s3)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mulDivCeil is ceil(n*a/b) for n >= 0 and a, b > 0, without overflow in n*a.
func mulDivCeil(n, a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(a))
	q, rem := bits.Div64(hi, lo, uint64(b))
	if rem > 0 {
		q++
	}
	return int64(q)
}
