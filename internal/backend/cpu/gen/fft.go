package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// cplx is one part of a group of complex numbers.
type cplx struct{ re, im reg.VecVirtual }

// planes are the addresses of real and imaginary parts.
type planes struct{ re, im reg.Register }

func (v isa) loadCplx(p planes, off Mem, part int) cplx {
	at := func(base reg.Register) reg.VecVirtual {
		m := off
		m.Base = base
		return v.load(m, part, nil)
	}
	return cplx{at(p.re), at(p.im)}
}

func (v isa) storeCplx(z cplx, p planes, off Mem, part int) {
	for _, x := range []struct {
		r    reg.Register
		base reg.Register
	}{{z.re, p.re}, {z.im, p.im}} {
		m := off
		m.Base = x.base
		v.store(x.r, m, part, nil)
	}
}

func (v isa) add(a, b Op) reg.VecVirtual { r := v.reg(); VADDPS(a, b, r); return r }

// sub is a − b.
func (v isa) sub(a, b Op) reg.VecVirtual { r := v.reg(); VSUBPS(b, a, r); return r }
func (v isa) mul(a, b Op) reg.VecVirtual { r := v.reg(); VMULPS(a, b, r); return r }

func (v isa) addCplx(a, b cplx) cplx { return cplx{v.add(a.re, b.re), v.add(a.im, b.im)} }
func (v isa) subCplx(a, b cplx) cplx { return cplx{v.sub(a.re, b.re), v.sub(a.im, b.im)} }

// rotate is z·e^(−iθ) without fused products: (c·re + s·im, c·im − s·re).
func (v isa) rotate(z cplx, c, s Op) cplx {
	return cplx{v.add(v.mul(c, z.re), v.mul(s, z.im)), v.sub(v.mul(c, z.im), v.mul(s, z.re))}
}

// times is k·z.
func (v isa) times(k Op, z cplx) cplx { return cplx{v.mul(k, z.re), v.mul(k, z.im)} }

// radix writes the kernel of one pass: m butterflies of r inputs, each over s
// neighbours, s a multiple of 16.
func radix(v isa, r int) {
	name := fmt.Sprintf("radix%d_%s", r, v.suffix)
	TEXT(name, NOSPLIT, "func(s, m int, yr, yi, xr, xi, tw *float32)")
	Doc(fmt.Sprintf("%s is radix%d for s a multiple of 16.", name, r))
	Pragma("noescape")
	s, m := ptr("s"), ptr("m")
	y, x := planes{ptr("yr"), ptr("yi")}, planes{ptr("xr"), ptr("xi")}
	tw := ptr("tw")
	SHLQ(Imm(2), s) // bytes of a run of neighbours
	d := GP64()     // from an input to the next
	MOVQ(s, d)
	IMULQ(m, d)
	// Offsets of the inputs and outputs: 0, 1, 2, 3 and 4 times d and s.
	three := func(unit reg.Register) reg.Register {
		t := GP64()
		LEAQ(Mem{Base: unit, Index: unit, Scale: 2}, t)
		return t
	}
	var d3, s3 reg.Register
	if r > 3 {
		d3, s3 = three(d), three(s)
	}
	offset := func(i int, unit, triple reg.Register) Mem {
		switch i {
		case 0:
			return Mem{}
		case 3:
			return Mem{Index: triple, Scale: 1}
		}
		return Mem{Index: unit, Scale: uint8(i)}
	}
	in := func(i, part int) cplx { return v.loadCplx(x, offset(i, d, d3), part) }
	out := func(z cplx, i, part int) { v.storeCplx(z, y, offset(i, s, s3), part) }
	loop(m, func() {
		// Wide registers hold the factors; narrow ones are too few.
		held := map[int]reg.VecVirtual{}
		if v.bytes == 64 {
			for i := range 2 * (r - 1) {
				held[i] = v.broadcast(Mem{Base: tw, Disp: 4 * i})
			}
		}
		factor := func(i int) Op {
			if f, ok := held[i]; ok {
				return f
			}
			return v.broadcast(Mem{Base: tw, Disp: 4 * i})
		}
		turned := func(z cplx, i, part int) { // output i times its factor
			c := factor(2 * (i - 1))
			sn := factor(2*(i-1) + 1)
			out(v.rotate(z, c, sn), i, part)
		}
		q := GP64()
		MOVQ(s, q)
		SHRQ(Imm(6), q)
		loop(q, func() {
			for part := range v.parts() {
				switch r {
				case 2:
					a, b := in(0, part), in(1, part)
					out(v.addCplx(a, b), 0, part)
					turned(v.subCplx(a, b), 1, part)
				case 3:
					v.radix3(in, out, turned, part)
				case 4:
					v.radix4(in, out, turned, part)
				case 5:
					v.radix5(in, out, turned, part)
				}
			}
			for _, p := range []reg.Register{x.re, x.im, y.re, y.im} {
				ADDQ(Imm(64), p)
			}
		})
		for range r - 1 {
			ADDQ(s, y.re)
			ADDQ(s, y.im)
		}
		ADDQ(Imm(uint64(8*(r-1))), tw)
	})
	VZEROUPPER()
	RET()
}

func (v isa) radix3(in func(i, part int) cplx, out, turned func(z cplx, i, part int), part int) {
	x0, x1, x2 := in(0, part), in(1, part), in(2, part)
	t := v.addCplx(x1, x2)
	mid := v.subCplx(x0, v.times(float("half", 0.5), t))
	h := float("sin3", 0.8660254037844386467637231707529)
	n := cplx{v.mul(h, v.sub(x1.im, x2.im)), v.mul(h, v.sub(x2.re, x1.re))}
	out(v.addCplx(x0, t), 0, part)
	turned(v.addCplx(mid, n), 1, part)
	turned(v.subCplx(mid, n), 2, part)
}

func (v isa) radix4(in func(i, part int) cplx, out, turned func(z cplx, i, part int), part int) {
	a, c := in(0, part), in(2, part)
	e, f := v.addCplx(a, c), v.subCplx(a, c)
	b, d := in(1, part), in(3, part)
	g, h := v.addCplx(b, d), v.subCplx(b, d)
	out(v.addCplx(e, g), 0, part)
	turned(cplx{v.add(f.re, h.im), v.sub(f.im, h.re)}, 1, part)
	turned(v.subCplx(e, g), 2, part)
	turned(cplx{v.sub(f.re, h.im), v.add(f.im, h.re)}, 3, part)
}

func (v isa) radix5(in func(i, part int) cplx, out, turned func(z cplx, i, part int), part int) {
	c1, c2 := float("cos5", 0.30901699437494742410229341718282), float("cos5twice", -0.80901699437494742410229341718282)
	s1, s2 := float("sin5", 0.95105651629515357211643933337938), float("sin5twice", 0.58778525229247312916870595463907)
	x1, x4 := in(1, part), in(4, part)
	a, c := v.addCplx(x1, x4), v.subCplx(x1, x4)
	x2, x3 := in(2, part), in(3, part)
	b, d := v.addCplx(x2, x3), v.subCplx(x2, x3)
	x0 := in(0, part)
	out(v.addCplx(x0, v.addCplx(a, b)), 0, part)
	m1 := v.addCplx(x0, v.addCplx(v.times(c1, a), v.times(c2, b)))
	m2 := v.addCplx(x0, v.addCplx(v.times(c2, a), v.times(c1, b)))
	n1 := cplx{v.add(v.mul(s1, c.im), v.mul(s2, d.im)), v.add(v.mul(s1, c.re), v.mul(s2, d.re))}
	n2 := cplx{v.sub(v.mul(s2, c.im), v.mul(s1, d.im)), v.sub(v.mul(s2, c.re), v.mul(s1, d.re))}
	turned(cplx{v.add(m1.re, n1.re), v.sub(m1.im, n1.im)}, 1, part)
	turned(cplx{v.add(m2.re, n2.re), v.sub(m2.im, n2.im)}, 2, part)
	turned(cplx{v.sub(m2.re, n2.re), v.add(m2.im, n2.im)}, 3, part)
	turned(cplx{v.sub(m1.re, n1.re), v.add(m1.im, n1.im)}, 4, part)
}

// split writes the kernel that makes the spectrum of 2h real samples of that of h
// complex ones, for the bins 1 … h/2 and their mirrors, in rows of 16.
func split(v isa) {
	pairs("split"+v.suffix, "split", func(z, mirror cplx, c, s Op) (k, j cplx) {
		half := float("half", 0.5)
		e := cplx{v.mul(half, v.add(z.re, mirror.re)), v.mul(half, v.sub(z.im, mirror.im))}
		o := cplx{v.mul(half, v.add(z.im, mirror.im)), v.mul(half, v.sub(mirror.re, z.re))}
		w := v.rotate(o, c, s)
		return v.addCplx(e, w), cplx{v.sub(e.re, w.re), v.sub(w.im, e.im)}
	}, v)
}

// join writes the kernel of the opposite: the conjugate of the complex spectrum.
func join(v isa) {
	pairs("join"+v.suffix, "join", func(z, mirror cplx, c, s Op) (k, j cplx) {
		e := cplx{v.add(z.re, mirror.re), v.sub(z.im, mirror.im)}
		d := cplx{v.sub(z.re, mirror.re), v.add(z.im, mirror.im)}
		or := v.sub(v.mul(c, d.re), v.mul(s, d.im))
		oi := v.add(v.mul(c, d.im), v.mul(s, d.re))
		sign := constant("sign", 0x80000000)
		minus := func(x reg.VecVirtual) reg.VecVirtual { r := v.reg(); VXORPS(sign, x, r); return r }
		return cplx{v.sub(e.re, oi), minus(v.add(e.im, or))}, cplx{v.add(e.re, oi), minus(v.sub(or, e.im))}
	}, v)
}

// pairs writes a kernel over rows k = 1 … n and their mirrors h − k.
func pairs(name, doc string, f func(z, mirror cplx, c, s Op) (k, j cplx), v isa) {
	TEXT(name, NOSPLIT, "func(n, h int, yr, yi, xr, xi, tw *float32)")
	Doc(name + " is " + doc + " for rows of 16.")
	Pragma("noescape")
	n, h := ptr("n"), ptr("h")
	y, x := planes{ptr("yr"), ptr("yi")}, planes{ptr("xr"), ptr("xi")}
	tw := ptr("tw")
	up, down := GP64(), h
	MOVQ(U64(64), up)
	SHLQ(Imm(6), down)
	SUBQ(Imm(64), down)
	loop(n, func() {
		ADDQ(Imm(8), tw)
		c, s := v.broadcast(Mem{Base: tw}), v.broadcast(Mem{Base: tw, Disp: 4})
		for part := range v.parts() {
			k, j := f(v.loadCplx(x, Mem{Index: up, Scale: 1}, part), v.loadCplx(x, Mem{Index: down, Scale: 1}, part), c, s)
			v.storeCplx(k, y, Mem{Index: up, Scale: 1}, part)
			v.storeCplx(j, y, Mem{Index: down, Scale: 1}, part)
		}
		ADDQ(Imm(64), up)
		SUBQ(Imm(64), down)
	})
	VZEROUPPER()
	RET()
}

// weigh writes the kernel that multiplies rows of 16 by a weight each and a scale
// before that, and takes the rows apart into even and odd ones, or the other way
// round: the distances of rows are the caller's.
func weigh(v isa) {
	TEXT("weigh"+v.suffix, NOSPLIT, "func(n int, dst *float32, ds uintptr, src *float32, ss uintptr, w *float32, ws uintptr, scale float32)")
	Doc("weigh" + v.suffix + " sets n rows dst = (scale·src)·w of 16 values, w one value a row; nil is 1.")
	Pragma("noescape")
	n, dst, ds, src, ss, w, ws := ptr("n"), ptr("dst"), ptr("ds"), ptr("src"), ptr("ss"), ptr("w"), ptr("ws")
	scale := v.broadcast(NewParamAddr("scale", 56))
	plain, end := label("plain"), label("end")
	TESTQ(w, w)
	JZ(LabelRef(plain))
	row := func(weigh func(x reg.VecVirtual) reg.VecVirtual) {
		for part := range v.parts() {
			x := v.load(Mem{Base: src}, part, nil)
			v.store(weigh(v.mul(scale, x)), Mem{Base: dst}, part, nil)
		}
		ADDQ(ds, dst)
		ADDQ(ss, src)
	}
	left := GP64()
	MOVQ(n, left)
	loop(left, func() {
		f := v.broadcast(Mem{Base: w})
		row(func(x reg.VecVirtual) reg.VecVirtual { return v.mul(x, f) })
		ADDQ(ws, w)
	})
	JMP(LabelRef(end))
	Label(plain)
	loop(n, func() { row(func(x reg.VecVirtual) reg.VecVirtual { return x }) })
	Label(end)
	VZEROUPPER()
	RET()
}
