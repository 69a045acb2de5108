package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sums is a canonical row sum in the making: 16 partial sums.
type sums []reg.VecVirtual

func (v isa) sums() sums {
	s := make(sums, v.parts())
	for i := range s {
		s[i] = v.reg()
		v.zero(s[i])
	}
	return s
}

// tree adds up the partial sums: i += i+8, then i+4, i+2, i+1.
func (v isa) tree(s sums) reg.VecVirtual {
	y := s[0]
	if v.bytes == 64 {
		hi := YMM()
		VEXTRACTF64X4(Imm(1), s[0], hi)
		sum := YMM()
		VADDPS(hi, s[0].AsY(), sum)
		y = sum
	} else {
		VADDPS(s[1], s[0], y)
	}
	x, t := XMM(), XMM()
	VEXTRACTF128(Imm(1), y.AsY(), t)
	VADDPS(t, y.AsX(), x)
	VSHUFPS(Imm(0b01001110), x, x, t)
	VADDPS(t, x, x)
	VMOVSHDUP(x, t)
	VADDSS(t, x, x)
	return x
}

// stats gives the mean of a row and 1/√(var+eps), in all lanes. n is the
// number of columns as a float32.
func (v isa) stats(x, cols reg.Register, tail mask) (mean, r reg.VecVirtual) {
	sum := v.sums()
	eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range sum {
			a := v.load(at(x, off), p, k)
			VADDPS(a, sum[p], sum[p])
		}
	})
	mean = v.scalar(v.tree(sum))
	sum = v.sums()
	eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range sum {
			d := v.load(at(x, off), p, k)
			VSUBPS(mean, d, d)
			v.keep(d, p, k)
			VFMADD231PS(d, d, sum[p])
		}
	})
	return mean, v.inverseRoot(v.tree(sum))
}

// inverseRoot is 1/√(sum/n + eps), in all lanes.
func (v isa) inverseRoot(s reg.VecVirtual) reg.VecVirtual {
	VDIVSS(param("n"), s, s)
	VADDSS(param("eps"), s, s)
	VSQRTSS(s, s, s)
	q := XMM()
	VMOVSS(one(), q)
	VDIVSS(s, q, q)
	r := v.reg()
	VBROADCASTSS(q, r)
	return r
}

func rmsNorm(v isa) {
	TEXT("rmsNorm"+v.suffix, NOSPLIT,
		"func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma *float32, n, eps float32)")
	Doc("rmsNorm" + v.suffix + " divides rows of cols = n columns by their root mean square.")
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	y, x, gamma := ptr("y"), ptr("x"), ptr("gamma")
	tail := v.tailMask(cols)
	loop(left, func() {
		sum := v.sums()
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range sum {
				d := v.load(at(x, off), p, k)
				VMULPS(d, d, d)
				VADDPS(d, sum[p], sum[p])
			}
		})
		r := v.inverseRoot(v.tree(sum))
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				d := v.load(at(x, off), p, k)
				VMULPS(r, d, d)
				ifSet(gamma, func() { VMULPS(v.load(at(gamma, off), p, k), d, d) })
				v.store(d, at(y, off), p, k)
			}
		})
		addParam("ys", y)
		addParam("xs", x)
	})
	VZEROUPPER()
	RET()
}

// scalar divides a row sum by n and fills a vector with it.
func (v isa) scalar(sum reg.VecVirtual) reg.VecVirtual {
	VDIVSS(param("n"), sum, sum)
	r := v.reg()
	VBROADCASTSS(sum, r)
	return r
}

// param is the memory operand of a parameter.
func param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func layerNorm(v isa) {
	TEXT("layerNorm"+v.suffix, NOSPLIT,
		"func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma, beta *float32, n, eps float32)")
	Doc("layerNorm" + v.suffix + " normalises rows of cols = n columns.")
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	y, x, gamma, beta := ptr("y"), ptr("x"), ptr("gamma"), ptr("beta")
	tail := v.tailMask(cols)
	loop(left, func() {
		mean, r := v.stats(x, cols, tail)
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				d := v.load(at(x, off), p, k)
				VSUBPS(mean, d, d)
				VMULPS(r, d, d)
				ifSet(gamma, func() {
					g := v.load(at(gamma, off), p, k)
					plain, done := label("plain"), label("done")
					TESTQ(beta, beta)
					JZ(LabelRef(plain))
					b := v.load(at(beta, off), p, k)
					VFMADD213PS(b, g, d)
					JMP(LabelRef(done))
					Label(plain)
					VMULPS(g, d, d)
					Label(done)
				})
				v.store(d, at(y, off), p, k)
			}
		})
		addParam("ys", y)
		addParam("xs", x)
	})
	VZEROUPPER()
	RET()
}

func layerNormGrad(v isa) {
	TEXT("layerNormGrad"+v.suffix, NOSPLIT,
		"func(rows, cols int, dx *float32, dxs uintptr, xhat *float32, hs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr, gamma *float32, n, eps float32)")
	Doc("layerNormGrad" + v.suffix + " sets dx, and xhat to the normalised rows.")
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	dx, xhat, x, dy, gamma := ptr("dx"), ptr("xhat"), ptr("x"), ptr("dy"), ptr("gamma")
	tail := v.tailMask(cols)
	// scaled loads dy·gamma.
	scaled := func(off reg.Register, p int, k mask) reg.VecVirtual {
		g := v.load(at(dy, off), p, k)
		ifSet(gamma, func() {
			w := v.load(at(gamma, off), p, k)
			VMULPS(w, g, g)
		})
		return g
	}
	loop(left, func() {
		mean, r := v.stats(x, cols, tail)
		sg, sh := v.sums(), v.sums()
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				h := v.load(at(x, off), p, k)
				VSUBPS(mean, h, h)
				VMULPS(r, h, h)
				v.store(h, at(xhat, off), p, k)
				g := scaled(off, p, k)
				VADDPS(g, sg[p], sg[p])
				v.keep(h, p, k)
				VFMADD231PS(g, h, sh[p])
			}
		})
		gm, slope := v.scalar(v.tree(sg)), v.scalar(v.tree(sh))
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				g := scaled(off, p, k)
				VSUBPS(gm, g, g)
				h := v.load(at(xhat, off), p, k)
				VFNMADD231PS(slope, h, g) // g −= x̂·slope
				VMULPS(r, g, g)
				v.store(g, at(dx, off), p, k)
			}
		})
		addParam("dxs", dx)
		addParam("hs", xhat)
		addParam("xs", x)
		addParam("dys", dy)
	})
	VZEROUPPER()
	RET()
}
