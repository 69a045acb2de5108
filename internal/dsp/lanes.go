package dsp

// Width is the number of frames that Lanes transforms side by side.
const Width = 16

// Lanes transforms up to Width frames at once, value t of frame i at
// [t·Width + i]. Each frame undergoes the operations of RealFFT in their order,
// so that the results are equal bit for bit. It owns memory: it is not safe for
// concurrent use.
type Lanes struct {
	*RealFFT
	a, b   []float32 // [n][Width]: complex points, real parts then imaginary parts
	re, im []float32 // [bins][Width]
	pairs  []float32 // [2·bins][Width]
}

// kernels are vector forms of the parts of a transform; nil fields are done in
// portable Go. Strides are in bytes.
type kernels struct {
	radix     [6]func(s, m int, yr, yi, xr, xi, tw *float32)
	split     func(n, h int, yr, yi, xr, xi, tw *float32)
	join      func(n, h int, yr, yi, xr, xi, tw *float32)
	weigh     func(n int, dst *float32, ds uintptr, src *float32, ss uintptr, w *float32, ws uintptr, scale float32)
	transpose func(n int, dst *float32, ds uintptr, src *float32, ss uintptr)
}

// TakeLanes lends a Lanes of the plan; Release gives it back.
func (f *RealFFT) TakeLanes() *Lanes {
	if l, ok := f.lanes.Get().(*Lanes); ok {
		return l
	}
	n, bins := f.n*Width, f.Bins()*Width
	return &Lanes{
		RealFFT: f, a: make([]float32, n), b: make([]float32, n), re: make([]float32, bins), im: make([]float32, bins),
	}
}

// Release gives the memory back, with all that it holds.
func (l *Lanes) Release() { l.RealFFT.lanes.Put(l) }

// Forward gives the spectra [bins][Width] of count frames of x, each n samples
// times the window, hop samples apart. They live until the next call; lanes
// beyond count hold zeros.
func (l *Lanes) Forward(x []float32, hop, count int, window []float32) (re, im []float32) {
	l.Gather(l.b, x, hop, l.n, count)
	half := l.n / 2
	for odd := range 2 {
		l.weigh(half, l.a[odd*half*Width:], 1, l.b[odd*Width:], 2, window[odd:], 2, 1)
	}
	zr, zi := l.complexLanes(l.a, l.b)
	re, im = l.re, l.im
	for i := range Width {
		re[i], im[i] = zr[i]+zi[i], 0
		re[half*Width+i], im[half*Width+i] = zr[i]-zi[i], 0
	}
	if k := l.kernels.split; k != nil && half > 1 {
		k(half/2, half, &re[0], &im[0], &zr[0], &zi[0], &l.twiddle[0])
		return re, im
	}
	for k := 1; 2*k <= half; k++ {
		j := half - k
		c, s := l.twiddle[2*k], l.twiddle[2*k+1]
		for p, q := k*Width, j*Width; p < (k+1)*Width; p, q = p+1, q+1 {
			er, ei := float32(0.5*(zr[p]+zr[q])), float32(0.5*(zi[p]-zi[q]))
			or, oi := float32(0.5*(zi[p]+zi[q])), float32(0.5*(zr[q]-zr[p]))
			wr := float32(c*or) + float32(s*oi)
			wi := float32(c*oi) - float32(s*or)
			re[p], im[p] = er+wr, ei+wi
			re[q], im[q] = er-wr, wi-ei
		}
	}
	return re, im
}

// Inverse gives RealFFT.Inverse of the spectra [bins][Width] times the window,
// [n][Width]; a window of nil is 1. The result lives until the next call.
func (l *Lanes) Inverse(re, im, window []float32) []float32 {
	return l.inverseLanes(re, im, window, 1, 1/float32(l.n))
}

// Adjoint gives RealFFT.Adjoint of the spectra likewise.
func (l *Lanes) Adjoint(re, im, window []float32) []float32 {
	return l.inverseLanes(re, im, window, 2, 0.5)
}

// AdjointInverse gives RealFFT.AdjointInverse of count frames as Forward takes
// them.
func (l *Lanes) AdjointInverse(x []float32, hop, count int, window []float32) (re, im []float32) {
	re, im = l.Forward(x, hop, count, window)
	last := (l.Bins() - 1) * Width
	edge, mid := 1/float32(l.n), 2/float32(l.n)
	for i := range Width {
		re[i] *= edge
		re[last+i] *= edge
		im[i], im[last+i] = 0, 0
	}
	if n := l.Bins() - 2; n > 0 {
		l.weigh(n, re[Width:], 1, re[Width:], 1, nil, 0, mid)
		l.weigh(n, im[Width:], 1, im[Width:], 1, nil, 0, mid)
	}
	return re, im
}

func (l *Lanes) inverseLanes(re, im, window []float32, edge, scale float32) []float32 {
	half := l.n / 2
	zr, zi := l.a[:half*Width], l.a[half*Width:]
	for i := range Width {
		r0, rh := float32(edge*re[i]), float32(edge*re[half*Width+i])
		zr[i], zi[i] = r0+rh, -(r0 - rh)
	}
	if k := l.kernels.join; k != nil && half > 1 {
		k(half/2, half, &zr[0], &zi[0], &re[0], &im[0], &l.twiddle[0])
	} else {
		for k := 1; 2*k <= half; k++ {
			j := half - k
			c, s := l.twiddle[2*k], l.twiddle[2*k+1]
			for p, q := k*Width, j*Width; p < (k+1)*Width; p, q = p+1, q+1 {
				er, ei := re[p]+re[q], im[p]-im[q]
				dr, di := re[p]-re[q], im[p]+im[q]
				or := float32(c*dr) - float32(s*di)
				oi := float32(c*di) + float32(s*dr)
				zr[p], zi[p] = er-oi, -(ei + or)
				zr[q], zi[q] = er+oi, -(or - ei)
			}
		}
	}
	yr, yi := l.complexLanes(l.a, l.b)
	out := l.a
	if &yr[0] == &l.a[0] {
		out = l.b
	}
	var odd []float32
	if window != nil {
		odd = window[1:]
	}
	l.weigh(half, out, 2, yr, 1, window, 2, scale)
	l.weigh(half, out[Width:], 2, yi, 1, odd, 2, -scale)
	return out
}

// Pairs gives spectra [bins][Width] as rows of (re, im): [2·bins][Width]. The
// result lives until the next call of another method.
func (l *Lanes) Pairs(re, im []float32) []float32 {
	l.grow()
	l.weigh(l.Bins(), l.pairs, 2, re, 1, nil, 0, 1)
	l.weigh(l.Bins(), l.pairs[Width:], 2, im, 1, nil, 0, 1)
	return l.pairs
}

// FromPairs is the opposite of Pairs for count frames of 2·bins values, stride
// apart.
func (l *Lanes) FromPairs(x []float32, stride, count int) (re, im []float32) {
	l.grow()
	l.Gather(l.pairs, x, stride, 2*l.Bins(), count)
	l.weigh(l.Bins(), l.re, 1, l.pairs, 2, nil, 0, 1)
	l.weigh(l.Bins(), l.im, 1, l.pairs[Width:], 2, nil, 0, 1)
	return l.re, l.im
}

func (l *Lanes) grow() {
	if l.pairs == nil {
		l.pairs = make([]float32, 2*l.Bins()*Width)
	}
}

// complexLanes is RealFFT.complex for Width transforms.
func (l *Lanes) complexLanes(a, b []float32) (re, im []float32) {
	half := l.n / 2 * Width
	xr, xi, yr, yi := a[:half], a[half:], b[:half], b[half:]
	stride := Width
	for _, st := range l.stages {
		l.pass(yr, yi, xr, xi, stride, st)
		xr, xi, yr, yi = yr, yi, xr, xi
		stride *= st.r
	}
	return xr, xi
}

// weigh sets n rows of dst to (scale·src)·w: rows of dst are ds rows apart, those
// of src ss, and weights ws values; w of nil is 1.
func (l *Lanes) weigh(n int, dst []float32, ds int, src []float32, ss int, w []float32, ws int, scale float32) {
	if k := l.kernels.weigh; k != nil {
		var first *float32
		if w != nil {
			first = &w[0]
		}
		const row = 4 * Width
		k(n, &dst[0], uintptr(ds*row), &src[0], uintptr(ss*row), first, uintptr(4*ws), scale)
		return
	}
	for t := range n {
		d, s := dst[t*ds*Width:][:Width], src[t*ss*Width:][:Width]
		for i := range d {
			d[i] = scale * s[i]
		}
		if w != nil {
			f := w[t*ws]
			for i := range d {
				d[i] *= f
			}
		}
	}
}

// Gather copies count frames of rows values, stride apart, into lanes
// [rows][Width]; lanes beyond count become zero.
func (l *Lanes) Gather(dst, x []float32, stride, rows, count int) {
	if count < Width {
		clear(dst[:rows*Width])
	}
	i := 0
	if k := l.kernels.transpose; k != nil && rows >= 8 {
		for ; i+8 <= count; i += 8 {
			k(rows/8, &dst[i], 4*Width, &x[i*stride], uintptr(4*stride))
			for j := i; j < i+8; j++ {
				for t := rows &^ 7; t < rows; t++ {
					dst[t*Width+j] = x[j*stride+t]
				}
			}
		}
	}
	for ; i < count; i++ {
		for t, v := range x[i*stride : i*stride+rows] {
			dst[t*Width+i] = v
		}
	}
}

// Scatter copies rows [rows][Width] of lanes to count frames of that many values,
// stride apart.
func (l *Lanes) Scatter(dst []float32, stride int, src []float32, rows, count int) {
	i := 0
	if k := l.kernels.transpose; k != nil {
		for ; i+8 <= count; i += 8 {
			t := 0
			for ; t+8 <= rows; t += 8 {
				k(1, &dst[i*stride+t], uintptr(4*stride), &src[t*Width+i], 4*Width)
			}
			for ; t < rows; t++ {
				for j := i; j < i+8; j++ {
					dst[j*stride+t] = src[t*Width+j]
				}
			}
		}
	}
	for ; i < count; i++ {
		for t := range rows {
			dst[i*stride+t] = src[t*Width+i]
		}
	}
}
