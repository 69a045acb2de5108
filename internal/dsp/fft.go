package dsp

import (
	"fmt"
	"sync"
)

// RealFFT is a plan for the discrete Fourier transform of n real samples,
// n = 2·2^a·3^b·5^c, through a complex transform of half the size
// (autosorting mixed radix after Stockham; one fixed factorisation for each n).
// A plan is read-only and safe for concurrent use.
type RealFFT struct {
	n       int
	stages  []stage
	twiddle []float32 // (cos, sin) of k/n for k = 0 … n/4
	kernels *kernels
	scratch sync.Pool // *[]float32 of 2n values
	lanes   sync.Pool // *Lanes
}

// stage is one pass of radix r over sub-transforms of r·m points.
type stage struct {
	r, m    int
	twiddle []float32 // (cos, sin) of p·k/(r·m), for p < m, 1 ≤ k < r
}

// NewRealFFT plans a transform of n samples.
func NewRealFFT(n int) (*RealFFT, error) {
	half := n / 2
	var radices []int
	rest := half
	for _, r := range []int{4, 2, 3, 5} {
		for rest > 0 && rest%r == 0 {
			radices = append(radices, r)
			rest /= r
		}
	}
	if n < 2 || n%2 != 0 || rest != 1 {
		return nil, fmt.Errorf("dsp: no FFT of %d points: the size must be even with prime factors 2, 3 and 5", n)
	}
	f := &RealFFT{n: n, kernels: available()}
	f.scratch.New = func() any { b := make([]float32, 2*n); return &b }
	length := half
	for _, r := range radices {
		m := length / r
		st := stage{r: r, m: m}
		for p := range m {
			for k := 1; k < r; k++ {
				st.twiddle = append(st.twiddle, float32(CosTurn(p*k, length)), float32(SinTurn(p*k, length)))
			}
		}
		f.stages = append(f.stages, st)
		length = m
	}
	for k := 0; k <= n/4; k++ {
		f.twiddle = append(f.twiddle, float32(CosTurn(k, n)), float32(SinTurn(k, n)))
	}
	return f, nil
}

// Len is the number of samples.
func (f *RealFFT) Len() int { return f.n }

// Bins is the number of complex bins, n/2 + 1.
func (f *RealFFT) Bins() int { return f.n/2 + 1 }

// Forward sets re and im (n/2+1 values each) to X[k] = Σ_t x[t]·e^(−2πikt/n).
func (f *RealFFT) Forward(re, im, x []float32) {
	half := f.n / 2
	buf := f.scratch.Get().(*[]float32)
	a, b := (*buf)[:f.n], (*buf)[f.n:]
	for t := range half {
		a[t], a[half+t] = x[2*t], x[2*t+1]
	}
	zr, zi := f.complex(a, b)
	// X[k] = E[k] + e^(−2πik/n)·O[k] with E, O the spectra of even and odd samples.
	re[0], im[0] = zr[0]+zi[0], 0
	re[half], im[half] = zr[0]-zi[0], 0
	for k := 1; 2*k <= half; k++ {
		j := half - k
		er, ei := float32(0.5*(zr[k]+zr[j])), float32(0.5*(zi[k]-zi[j]))
		or, oi := float32(0.5*(zi[k]+zi[j])), float32(0.5*(zr[j]-zr[k]))
		c, s := f.twiddle[2*k], f.twiddle[2*k+1]
		wr := float32(c*or) + float32(s*oi)
		wi := float32(c*oi) - float32(s*or)
		re[k], im[k] = er+wr, ei+wi
		re[j], im[j] = er-wr, wi-ei
	}
	f.scratch.Put(buf)
}

// Inverse sets x to the n samples whose spectrum is re, im: (1/n)·Σ over all n
// bins of the Hermitian continuation. The imaginary parts of bins 0 and n/2 are
// ignored.
func (f *RealFFT) Inverse(x, re, im []float32) { f.inverse(x, re, im, 1, 1/float32(f.n)) }

// Adjoint sets x to the transpose of Forward applied to (re, im): x[t] =
// Σ_{k ≤ n/2} re[k]·cos(2πkt/n) − im[k]·sin(2πkt/n), the gradient of a loss with
// respect to the samples from its gradient with respect to the spectrum.
func (f *RealFFT) Adjoint(x, re, im []float32) { f.inverse(x, re, im, 2, 0.5) }

// AdjointInverse is the transpose of Inverse: it sets re and im from the
// gradient with respect to the samples.
func (f *RealFFT) AdjointInverse(re, im, x []float32) {
	f.Forward(re, im, x)
	half := f.n / 2
	edge, mid := 1/float32(f.n), 2/float32(f.n)
	re[0] *= edge
	re[half] *= edge
	im[0], im[half] = 0, 0
	for k := 1; k < half; k++ {
		re[k] *= mid
		im[k] *= mid
	}
}

// inverse runs the Hermitian inverse with bins 0 and n/2 weighted by edge and
// the result by scale.
func (f *RealFFT) inverse(x, re, im []float32, edge, scale float32) {
	half := f.n / 2
	buf := f.scratch.Get().(*[]float32)
	a, b := (*buf)[:f.n], (*buf)[f.n:]
	zr, zi := a[:half], a[half:]
	// The inverse is the forward transform of the conjugate, conjugated.
	r0, rh := float32(edge*re[0]), float32(edge*re[half])
	zr[0], zi[0] = r0+rh, -(r0 - rh)
	for k := 1; 2*k <= half; k++ {
		j := half - k
		er, ei := re[k]+re[j], im[k]-im[j]
		dr, di := re[k]-re[j], im[k]+im[j]
		c, s := f.twiddle[2*k], f.twiddle[2*k+1]
		or := float32(c*dr) - float32(s*di)
		oi := float32(c*di) + float32(s*dr)
		zr[k], zi[k] = er-oi, -(ei + or)
		zr[j], zi[j] = er+oi, -(or - ei)
	}
	yr, yi := f.complex(a, b)
	for t := range half {
		x[2*t], x[2*t+1] = scale*yr[t], -scale*yi[t]
	}
	f.scratch.Put(buf)
}

// complex transforms the n/2 points in a (real parts, then imaginary parts),
// using b as the other buffer, and gives the halves of the one that holds the
// result.
func (f *RealFFT) complex(a, b []float32) (re, im []float32) {
	half := f.n / 2
	xr, xi, yr, yi := a[:half], a[half:], b[:half], b[half:]
	stride := 1
	for _, st := range f.stages {
		f.pass(yr, yi, xr, xi, stride, st)
		xr, xi, yr, yi = yr, yi, xr, xi
		stride *= st.r
	}
	return xr, xi
}

// pass runs one stage over runs of s neighbours.
func (f *RealFFT) pass(yr, yi, xr, xi []float32, s int, st stage) {
	if k := f.kernels.radix[st.r]; k != nil && s%Width == 0 {
		k(s, st.m, &yr[0], &yi[0], &xr[0], &xi[0], &st.twiddle[0])
		return
	}
	switch st.r {
	case 2:
		radix2(yr, yi, xr, xi, s, st)
	case 3:
		radix3(yr, yi, xr, xi, s, st)
	case 4:
		radix4(yr, yi, xr, xi, s, st)
	case 5:
		radix5(yr, yi, xr, xi, s, st)
	}
}

func radix2(yr, yi, xr, xi []float32, s int, st stage) {
	for p := range st.m {
		c1, s1 := st.twiddle[2*p], st.twiddle[2*p+1]
		i0, i1 := s*p, s*(p+st.m)
		o0, o1 := s*2*p, s*(2*p+1)
		ar, ai := xr[i0:i0+s], xi[i0:i0+s]
		br, bi := xr[i1:i1+s], xi[i1:i1+s]
		ur, ui := yr[o0:o0+s], yi[o0:o0+s]
		vr, vi := yr[o1:o1+s], yi[o1:o1+s]
		for q := range ur {
			ur[q], ui[q] = ar[q]+br[q], ai[q]+bi[q]
			dr, di := ar[q]-br[q], ai[q]-bi[q]
			vr[q] = float32(c1*dr) + float32(s1*di)
			vi[q] = float32(c1*di) - float32(s1*dr)
		}
	}
}

func radix3(yr, yi, xr, xi []float32, s int, st stage) {
	const h = 0.8660254037844386467637231707529 // sin(2π/3)
	for p := range st.m {
		tw := st.twiddle[4*p : 4*p+4]
		for q := range s {
			i0, i1, i2 := q+s*p, q+s*(p+st.m), q+s*(p+2*st.m)
			tr, ti := xr[i1]+xr[i2], xi[i1]+xi[i2]
			mr, mi := xr[i0]-float32(0.5*tr), xi[i0]-float32(0.5*ti)
			nr, ni := float32(h*(xi[i1]-xi[i2])), float32(h*(xr[i2]-xr[i1]))
			o := q + s*3*p
			yr[o], yi[o] = xr[i0]+tr, xi[i0]+ti
			rotate(yr, yi, o+s, mr+nr, mi+ni, tw[0], tw[1])
			rotate(yr, yi, o+2*s, mr-nr, mi-ni, tw[2], tw[3])
		}
	}
}

func radix4(yr, yi, xr, xi []float32, s int, st stage) {
	for p := range st.m {
		tw := st.twiddle[6*p : 6*p+6]
		c1, s1, c2, s2, c3, s3 := tw[0], tw[1], tw[2], tw[3], tw[4], tw[5]
		i0, d := s*p, s*st.m
		ar, ai := xr[i0:i0+s], xi[i0:i0+s]
		br, bi := xr[i0+d:i0+d+s], xi[i0+d:i0+d+s]
		cr, ci := xr[i0+2*d:i0+2*d+s], xi[i0+2*d:i0+2*d+s]
		dr, di := xr[i0+3*d:i0+3*d+s], xi[i0+3*d:i0+3*d+s]
		o := s * 4 * p
		y0r, y0i := yr[o:o+s], yi[o:o+s]
		y1r, y1i := yr[o+s:o+2*s], yi[o+s:o+2*s]
		y2r, y2i := yr[o+2*s:o+3*s], yi[o+2*s:o+3*s]
		y3r, y3i := yr[o+3*s:o+4*s], yi[o+3*s:o+4*s]
		for q := range y0r {
			er, ei := ar[q]+cr[q], ai[q]+ci[q]
			fr, fi := ar[q]-cr[q], ai[q]-ci[q]
			gr, gi := br[q]+dr[q], bi[q]+di[q]
			hr, hi := br[q]-dr[q], bi[q]-di[q]
			y0r[q], y0i[q] = er+gr, ei+gi
			ur, ui := fr+hi, fi-hr
			y1r[q] = float32(c1*ur) + float32(s1*ui)
			y1i[q] = float32(c1*ui) - float32(s1*ur)
			ur, ui = er-gr, ei-gi
			y2r[q] = float32(c2*ur) + float32(s2*ui)
			y2i[q] = float32(c2*ui) - float32(s2*ur)
			ur, ui = fr-hi, fi+hr
			y3r[q] = float32(c3*ur) + float32(s3*ui)
			y3i[q] = float32(c3*ui) - float32(s3*ur)
		}
	}
}

func radix5(yr, yi, xr, xi []float32, s int, st stage) {
	const (
		c1 = 0.30901699437494742410229341718282  // cos(2π/5)
		c2 = -0.80901699437494742410229341718282 // cos(4π/5)
		s1 = 0.95105651629515357211643933337938  // sin(2π/5)
		s2 = 0.58778525229247312916870595463907  // sin(4π/5)
	)
	for p := range st.m {
		tw := st.twiddle[8*p : 8*p+8]
		for q := range s {
			i := q + s*p
			d := s * st.m
			x0r, x0i := xr[i], xi[i]
			ar, ai := xr[i+d]+xr[i+4*d], xi[i+d]+xi[i+4*d]
			br, bi := xr[i+2*d]+xr[i+3*d], xi[i+2*d]+xi[i+3*d]
			cr, ci := xr[i+d]-xr[i+4*d], xi[i+d]-xi[i+4*d]
			dr, di := xr[i+2*d]-xr[i+3*d], xi[i+2*d]-xi[i+3*d]
			m1r := x0r + (float32(c1*ar) + float32(c2*br))
			m1i := x0i + (float32(c1*ai) + float32(c2*bi))
			m2r := x0r + (float32(c2*ar) + float32(c1*br))
			m2i := x0i + (float32(c2*ai) + float32(c1*bi))
			n1r := float32(s1*ci) + float32(s2*di)
			n1i := float32(s1*cr) + float32(s2*dr)
			n2r := float32(s2*ci) - float32(s1*di)
			n2i := float32(s2*cr) - float32(s1*dr)
			o := q + s*5*p
			yr[o], yi[o] = x0r+(ar+br), x0i+(ai+bi)
			rotate(yr, yi, o+s, m1r+n1r, m1i-n1i, tw[0], tw[1])
			rotate(yr, yi, o+2*s, m2r+n2r, m2i-n2i, tw[2], tw[3])
			rotate(yr, yi, o+3*s, m2r-n2r, m2i+n2i, tw[4], tw[5])
			rotate(yr, yi, o+4*s, m1r-n1r, m1i+n1i, tw[6], tw[7])
		}
	}
}

// rotate stores (r + i·m)·e^(−iθ), given cos θ and sin θ, at o.
func rotate(yr, yi []float32, o int, r, m, c, s float32) {
	yr[o] = float32(c*r) + float32(s*m)
	yi[o] = float32(c*m) - float32(s*r)
}
