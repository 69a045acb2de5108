package main

import "fmt"

// The transforms keep their order of operations; see fft.go for the formulas.

// point is a vector of complex numbers.
type point struct{ re, im *vreg }

func (a *neon) addPoint(x, y point) point { return point{a.add(x.re, y.re), a.add(x.im, y.im)} }
func (a *neon) subPoint(x, y point) point { return point{a.sub(x.re, y.re), a.sub(x.im, y.im)} }

// factor is one lane of a register.
type factor struct {
	r    *vreg
	lane int
}

func (a *neon) by(x *vreg, f factor) *vreg {
	r := a.vec()
	a.lane("fmul", r, x, f.r, f.lane)
	return r
}

func (a *neon) times(f factor, z point) point { return point{a.by(z.re, f), a.by(z.im, f)} }

// rotate is z·e^(−iθ) without fused products: (c·re + s·im, c·im − s·re).
func (a *neon) rotate(z point, c, s factor) point {
	return point{a.add(a.by(z.re, c), a.by(z.im, s)), a.sub(a.by(z.im, c), a.by(z.re, s))}
}

// indexed reads or writes a vector at base + off.
func (a *neon) indexed(r, base, off *vreg, store bool) {
	if store {
		a.word("str q%d, [x%d, x%d]", 0x3ca06800, r, base, off)
	} else {
		a.word("ldr q%d, [x%d, x%d]", 0x3ce06800, r, base, off)
	}
}

// planes64 are real parts at base + re and imaginary parts at base + im.
type planes64 struct {
	base   []*vreg
	re, im *vreg
}

func (a *neon) loadPoint(p planes64, i int) point {
	z := point{a.vec(), a.vec()}
	a.indexed(z.re, p.base[i], p.re, false)
	a.indexed(z.im, p.base[i], p.im, false)
	return z
}

func (a *neon) storePoint(z point, p planes64, i int) {
	a.indexed(z.re, p.base[i], p.re, true)
	a.indexed(z.im, p.base[i], p.im, true)
}

// difference gives n − m, of pointers.
func (a *neon) difference(n, m *vreg) *vreg {
	r := a.reg()
	a.ins("SUB {0}, {1}, {2}", m, n, r)
	return r
}

// neonRadix writes the kernel of one pass: m butterflies of r inputs, each over s
// neighbours, s a multiple of 16.
func neonRadix(f *neonFile, r int) {
	f.function(fmt.Sprintf("radix%d_NEON", r), "(s, m int, yr, yi, xr, xi, tw *float32)",
		fmt.Sprintf("is radix%d for s a multiple of 16.", r), func(a *neon) {
			s, m := a.param("s"), a.param("m")
			a.ins("LSL $2, {0}", s) // bytes of a run of neighbours
			d := a.reg()            // from an input to the next
			a.ins("MUL {0}, {1}, {2}", s, m, d)
			xr, yr := a.param("xr"), a.param("yr")
			apartX, apartY := a.difference(a.param("xi"), xr), a.difference(a.param("yi"), yr)
			tw := a.param("tw")
			x, y := planes64{base: a.rows(xr, d, r)}, planes64{base: a.rows(yr, s, r)}
			var constants *vreg
			if r == 3 || r == 5 {
				constants = a.four(radixConstants[r])
			}
			a.loop(m, func() {
				var factors []factor
				for n := 2 * (r - 1); len(factors) < n; {
					v := a.vec()
					load, lanes := "FMOVQ.P 16({0}), {1f}", 4
					if n-len(factors) == 2 {
						load, lanes = "FMOVD.P 8({0}), {1f}", 2
					}
					a.ins(load, tw, v)
					for i := range lanes {
						factors = append(factors, factor{v, i})
					}
				}
				x.re, x.im, y.im = a.reg(), a.copyOf(apartX), a.copyOf(apartY)
				y.re = x.re
				a.ins("MOVD ZR, {0}", x.re)
				in := func(i int) point { return a.loadPoint(x, i) }
				out := func(z point, i int) { a.storePoint(z, y, i) }
				turned := func(z point, i int) { out(a.rotate(z, factors[2*i-2], factors[2*i-1]), i) }
				q := a.reg()
				a.ins("LSR $4, {0}, {1}", s, q)
				a.loop(q, func() {
					switch r {
					case 2:
						u, v := in(0), in(1)
						out(a.addPoint(u, v), 0)
						turned(a.subPoint(u, v), 1)
					case 3:
						a.radix3(in, out, turned, constants)
					case 4:
						a.radix4(in, out, turned)
					case 5:
						a.radix5(in, out, turned, constants)
					}
					for _, off := range []*vreg{x.re, x.im, y.im} {
						a.ins("ADD $16, {0}", off)
					}
				})
				for i := range r {
					a.ins("ADD {0}, {1}", s, x.base[i])
					for range r {
						a.ins("ADD {0}, {1}", s, y.base[i])
					}
				}
			})
		})
}

var radixConstants = map[int][4]float64{
	3: {0.5, 0.8660254037844386467637231707529},
	5: {0.30901699437494742410229341718282, -0.80901699437494742410229341718282,
		0.95105651629515357211643933337938, 0.58778525229247312916870595463907},
}

// four gives a register of four constants.
func (a *neon) four(values [4]float64) *vreg {
	r := a.vec()
	for i, v := range values {
		a.ins(fmt.Sprintf("MOVD $%#x, %s", bits32(v), scratch64))
		a.ins(fmt.Sprintf("VMOV %s, {0}.S[%d]", scratch64, i), r)
	}
	return r
}

func (a *neon) radix3(in func(i int) point, out, turned func(z point, i int), k *vreg) {
	x0, x1, x2 := in(0), in(1), in(2)
	t := a.addPoint(x1, x2)
	mid := a.subPoint(x0, a.times(factor{k, 0}, t))
	h := factor{k, 1}
	n := point{a.by(a.sub(x1.im, x2.im), h), a.by(a.sub(x2.re, x1.re), h)}
	out(a.addPoint(x0, t), 0)
	turned(a.addPoint(mid, n), 1)
	turned(a.subPoint(mid, n), 2)
}

func (a *neon) radix4(in func(i int) point, out, turned func(z point, i int)) {
	x0, x2 := in(0), in(2)
	e, f := a.addPoint(x0, x2), a.subPoint(x0, x2)
	x1, x3 := in(1), in(3)
	g, h := a.addPoint(x1, x3), a.subPoint(x1, x3)
	out(a.addPoint(e, g), 0)
	turned(point{a.add(f.re, h.im), a.sub(f.im, h.re)}, 1)
	turned(a.subPoint(e, g), 2)
	turned(point{a.sub(f.re, h.im), a.add(f.im, h.re)}, 3)
}

func (a *neon) radix5(in func(i int) point, out, turned func(z point, i int), k *vreg) {
	c1, c2, s1, s2 := factor{k, 0}, factor{k, 1}, factor{k, 2}, factor{k, 3}
	x1, x4 := in(1), in(4)
	u, c := a.addPoint(x1, x4), a.subPoint(x1, x4)
	x2, x3 := in(2), in(3)
	b, d := a.addPoint(x2, x3), a.subPoint(x2, x3)
	x0 := in(0)
	out(a.addPoint(x0, a.addPoint(u, b)), 0)
	m1 := a.addPoint(x0, a.addPoint(a.times(c1, u), a.times(c2, b)))
	m2 := a.addPoint(x0, a.addPoint(a.times(c2, u), a.times(c1, b)))
	n1 := point{a.add(a.by(c.im, s1), a.by(d.im, s2)), a.add(a.by(c.re, s1), a.by(d.re, s2))}
	n2 := point{a.sub(a.by(c.im, s2), a.by(d.im, s1)), a.sub(a.by(c.re, s2), a.by(d.re, s1))}
	turned(point{a.add(m1.re, n1.re), a.sub(m1.im, n1.im)}, 1)
	turned(point{a.add(m2.re, n2.re), a.sub(m2.im, n2.im)}, 2)
	turned(point{a.sub(m2.re, n2.re), a.add(m2.im, n2.im)}, 3)
	turned(point{a.sub(m1.re, n1.re), a.add(m1.im, n1.im)}, 4)
}

// neonSplit writes the kernel that makes the spectrum of 2h real samples of that
// of h complex ones, for the bins 1 … h/2 and their mirrors, in rows of 16.
func neonSplit(f *neonFile) {
	neonMirrors(f, "split", func(a *neon, z, mirror point, c, s, half factor) (k, j point) {
		e := point{a.by(a.add(z.re, mirror.re), half), a.by(a.sub(z.im, mirror.im), half)}
		o := point{a.by(a.add(z.im, mirror.im), half), a.by(a.sub(mirror.re, z.re), half)}
		w := a.rotate(o, c, s)
		return a.addPoint(e, w), point{a.sub(e.re, w.re), a.sub(w.im, e.im)}
	})
}

// neonJoin writes the kernel of the opposite: the conjugate of the complex
// spectrum.
func neonJoin(f *neonFile) {
	neonMirrors(f, "join", func(a *neon, z, mirror point, c, s, _ factor) (k, j point) {
		e := point{a.add(z.re, mirror.re), a.sub(z.im, mirror.im)}
		d := point{a.sub(z.re, mirror.re), a.add(z.im, mirror.im)}
		or := a.sub(a.by(d.re, c), a.by(d.im, s))
		oi := a.add(a.by(d.im, c), a.by(d.re, s))
		return point{a.sub(e.re, oi), a.two("fneg", a.add(e.im, or))}, point{a.add(e.re, oi), a.two("fneg", a.sub(or, e.im))}
	})
}

// neonMirrors writes a kernel over rows k = 1 … n and their mirrors h − k.
func neonMirrors(f *neonFile, doc string, op func(a *neon, z, mirror point, c, s, half factor) (k, j point)) {
	f.function(doc+"NEON", "(n, h int, yr, yi, xr, xi, tw *float32)", "is "+doc+" for rows of 16.", func(a *neon) {
		n, down := a.param("n"), a.param("h")
		base := []*vreg{a.param("xr"), a.param("xi"), a.param("yr"), a.param("yi")}
		tw, up, half := a.param("tw"), a.reg(), a.float(0.5)
		a.ins("MOVD $64, {0}", up)
		a.ins("LSL $6, {0}", down)
		a.ins("SUB $64, {0}", down)
		a.loop(n, func() {
			f := a.vec()
			a.ins("FMOVD.W 8({0}), {1f}", tw, f)
			for range parts64 {
				at := func(off *vreg) point {
					z := point{a.vec(), a.vec()}
					a.indexed(z.re, base[0], off, false)
					a.indexed(z.im, base[1], off, false)
					return z
				}
				k, j := op(a, at(up), at(down), factor{f, 0}, factor{f, 1}, factor{half, 0})
				for _, o := range []struct {
					z   point
					off *vreg
				}{{k, up}, {j, down}} {
					a.indexed(o.z.re, base[2], o.off, true)
					a.indexed(o.z.im, base[3], o.off, true)
				}
				a.ins("ADD $16, {0}", up)
				a.ins("ADD $16, {0}", down)
			}
			a.ins("SUB $128, {0}", down)
		})
	})
}

// neonWeigh writes the kernel that multiplies rows of 16 by a weight each and a
// scale before that.
func neonWeigh(f *neonFile) {
	f.function("weighNEON", "(n int, dst *float32, ds uintptr, src *float32, ss uintptr, w *float32, ws uintptr, scale float32)",
		"sets n rows dst = (scale·src)·w of 16 values, w one value a row; nil is 1.", func(a *neon) {
			n, dst, ds, src, ss := a.param("n"), a.param("dst"), a.param("ds"), a.param("src"), a.param("ss")
			w, ws, scale := a.param("w"), a.param("ws"), factor{a.param("scale"), 0}
			row := func(f *vreg) {
				for p := range parts64 {
					x := a.by(a.load(src, p, nil), scale)
					if f != nil {
						x = a.by(x, factor{f, 0})
					}
					a.store(x, dst, p, nil)
				}
				a.ins("ADD {0}, {1}", ds, dst)
				a.ins("ADD {0}, {1}", ss, src)
			}
			plain, end := a.label("plain"), a.label("end")
			left := a.copyOf(n)
			a.branch("CBZ {0}, ", plain, w)
			a.loop(left, func() {
				f := a.vec()
				a.ins("FMOVS ({0}), {1f}", w, f)
				row(f)
				a.ins("ADD {0}, {1}", ws, w)
			})
			a.branch("JMP ", end)
			a.place(plain)
			a.loop(n, func() { row(nil) })
			a.place(end)
		})
}
