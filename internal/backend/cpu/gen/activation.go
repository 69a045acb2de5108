package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func one() Mem { return float("one", 1) }

func signs() Mem { return constant("sign", 1<<31) }

// polynomial gives c[0]·zⁿ + … + c[n], by FMA. Constants are called name and a digit.
func (v isa) polynomial(name string, z reg.Register, c ...float64) reg.VecVirtual {
	p := v.reg()
	for i, value := range c {
		m := float(fmt.Sprint(name, i), value)
		if i == 0 {
			VMOVUPS(m, p)
		} else {
			VFMADD213PS(m, z, p)
		}
	}
	return p
}

// below gives yes where x < limit, otherwise no.
func (v isa) below(x reg.Register, limit Mem, yes, no reg.Register) reg.VecVirtual {
	const lessThan = 17 // quiet, false for NaN
	r := v.reg()
	if v.bytes == 64 {
		k := K()
		VCMPPS(Imm(lessThan), limit, x, k)
		VBLENDMPS(yes, no, k, r)
		return r
	}
	VCMPPS(Imm(lessThan), limit, x, r)
	VBLENDVPS(r, yes, no, r)
	return r
}

// magnitude gives |x|.
func (v isa) magnitude(x reg.Register) reg.VecVirtual {
	r := v.reg()
	VANDPS(constant("magnitude", 1<<31-1), x, r)
	return r
}

// copysign sets y, which is not negative, to its value with the sign of x.
func (v isa) copysign(y, x reg.Register) {
	s := v.reg()
	VANDPS(signs(), x, s)
	VORPS(s, y, y)
}

// round gives n, the integer nearest to x·factor, in the low bits of t and as a
// number.
func (v isa) round(x reg.Register, factor Mem) (t, n reg.VecVirtual) {
	t, n = v.reg(), v.reg()
	magic := float("magic", 3<<22)
	VMOVUPS(magic, t)
	VFMADD231PS(factor, x, t)
	VSUBPS(magic, t, n)
	return t, n
}

// clamp limits x; NaN stays.
func (v isa) clamp(x reg.Register, name string, low, high float64) {
	t := v.reg()
	VMOVUPS(float(name+"max", high), t)
	VMINPS(x, t, x)
	VMOVUPS(float(name+"min", low), t)
	VMAXPS(x, t, x)
}

// expParts gives p and scale and sets x to r: see f32.Exp.
func (v isa) expParts(x reg.Register) (p, scale reg.VecVirtual) {
	v.clamp(x, "exp", expLow, expTop)
	scale, n := v.round(x, float("log2e", math.Log2E))
	VFMADD231PS(float("expneghi", -expHigh), n, x)
	VFMADD231PS(float("expneglo", -expRest), n, x)
	p = v.polynomial("exp", x, expTerms...)
	VPSLLD(Imm(23), scale, scale)
	VPADDD(one(), scale, scale)
	return p, scale
}

// exp sets x to f32.Exp(x).
func (v isa) exp(x reg.Register) {
	p, scale := v.expParts(x)
	VFMADD213PS(one(), x, p)
	VMULPS(scale, p, x)
}

// expm1 sets x to f32.Expm1(x).
func (v isa) expm1(x reg.Register) {
	p, scale := v.expParts(x)
	VMULPS(p, x, x)
	VSUBPS(one(), scale, p)
	VFMADD213PS(p, scale, x)
}

// reduce sets x, within its bounds, to what is left of it after the quarter turns,
// whose number is in the low bits of the result, and gives its square.
func (v isa) reduce(x reg.Register) (quarters, z reg.VecVirtual) {
	v.clamp(x, "trig", -trigTop, trigTop)
	quarters, n := v.round(x, float("turn", 2/math.Pi))
	for i, part := range quarterTurn {
		VFMADD231PS(float(fmt.Sprint("quarter", i), part), n, x)
	}
	z = v.reg()
	VMULPS(x, x, z)
	return quarters, z
}

// quarter gives the polynomials of the sine and the cosine of x, whose square is z.
func (v isa) quarter(x, z reg.Register) (sin, cos reg.VecVirtual) {
	sin = v.polynomial("sin", z, sinTerms...)
	VMULPS(z, sin, sin)
	VFMADD213PS(x, x, sin)
	return sin, v.polynomial("cos", z, cosTerms...)
}

// choose gives yes where bit 0 of quarters is set, otherwise no.
func (v isa) choose(quarters, yes, no reg.Register) reg.VecVirtual {
	odd, y := v.reg(), v.reg()
	VPSLLD(Imm(31), quarters, odd)
	if v.bytes == 64 {
		k := K()
		VPMOVD2M(odd, k)
		VBLENDMPS(yes, no, k, y)
	} else {
		VBLENDVPS(odd, yes, no, y)
	}
	return y
}

// turn flips the sign of x where bit 1 of quarters is set, which it shifts.
func (v isa) turn(quarters, x reg.Register) {
	VPSRLD(Imm(1), quarters, quarters)
	VPSLLD(Imm(31), quarters, quarters)
	VXORPS(quarters, x, x)
}

// unsignedSin sets x to f32.Sin(x) or its negative, of which the square is the same.
func (v isa) unsignedSin(x reg.Register) {
	quarters, z := v.reduce(x)
	if v.bytes < 64 {
		s, c := v.quarter(x, z)
		VMOVUPS(v.choose(quarters, c, s), x)
		return
	}
	// Choosing the terms costs less than both polynomials. That of the sine has one
	// term less and is −0 there, which leaves the product as it is.
	odd := K()
	VPSLLD(Imm(31), quarters, quarters)
	VPMOVD2M(quarters, odd)
	term := func(i int) reg.VecVirtual {
		sin := signs() // −0
		if i < len(sinTerms) {
			sin = float(fmt.Sprint("sin", i), sinTerms[i])
		}
		t := v.reg()
		VMOVUPS(sin, t)
		VMOVUPS(float(fmt.Sprint("cos", i), cosTerms[i]), odd, t)
		return t
	}
	p, last := term(0), len(cosTerms)-1
	for i := 1; i < last; i++ {
		VFMADD213PS(term(i), z, p)
	}
	// Sine is p·x + x, cosine p·z + 1.
	factor := v.reg()
	VBLENDMPS(z, x, odd, factor)
	VMOVUPS(float(fmt.Sprint("cos", last), cosTerms[last]), odd, x)
	VFMADD231PS(factor, p, x)
}

// sinCos gives f32.Sin(x) and f32.Cos(x) and sets x to something else.
func (v isa) sinCos(x reg.Register) (sin, cos reg.VecVirtual) {
	quarters, z := v.reduce(x)
	s, c := v.quarter(x, z)
	sin, cos = v.choose(quarters, c, s), v.choose(quarters, s, c)
	next := v.reg()
	VPADDD(constant("unit", 1), quarters, next)
	v.turn(quarters, sin)
	v.turn(next, cos)
	return sin, cos
}

// tanh sets x to f32.Tanh(x).
func (v isa) tanh(x reg.Register) {
	a, z := v.magnitude(x), v.reg()
	VMULPS(x, x, z)
	small := v.polynomial("tanh", z, tanhTerms...)
	VMULPS(z, small, small)
	VFMADD213PS(x, x, small)
	large, t := v.reg(), v.reg()
	VADDPS(a, a, large)
	v.exp(large)
	VADDPS(one(), large, large)
	VMOVUPS(float("two", 2), t)
	VDIVPS(large, t, large)
	VMOVUPS(one(), t)
	VSUBPS(large, t, large)
	v.copysign(large, x)
	VMOVUPS(v.below(a, float("tanhedge", 0.625), small, large), x)
}

// erf sets x to f32.Erf(x).
func (v isa) erf(x reg.Register) {
	a, z := v.magnitude(x), v.reg()
	VMULPS(x, x, z)
	small := v.polynomial("erf", z, erfTerms...)
	VMULPS(x, small, small)
	capped, t := v.reg(), v.reg()
	VMOVUPS(float("four", 4), capped)
	VMINPS(a, capped, capped)
	large := v.polynomial("erfc", capped, erfcTerms...)
	v.exp(large)
	VMOVUPS(one(), t)
	VSUBPS(large, t, large)
	v.copysign(large, x)
	VMOVUPS(v.below(a, one(), small, large), x)
}

// normal sets x to erf(x/√2).
func (v isa) normal(x reg.Register) {
	VMULPS(float("roothalf", rootHalf), x, x)
	v.erf(x)
}

// gate gives the denominator 1 + exp(−u) of an activation of x, and x².
func (v isa) gate(x reg.Register, gelu bool) (d, xx reg.VecVirtual) {
	d, xx = v.reg(), v.reg()
	if gelu {
		VMULPS(x, x, xx)
		VMOVUPS(float("geluneg1", -geluC1), d)
		VFMADD231PS(float("geluneg3", -geluC3), xx, d)
		VMULPS(x, d, d)
	} else {
		VXORPS(signs(), x, d)
	}
	v.exp(d)
	VADDPS(one(), d, d)
	return d, xx
}

// zeroed gives a vector of zeros.
func (v isa) zeroed() reg.VecVirtual {
	r := v.reg()
	v.zero(r)
	return r
}

// copied gives a copy of x.
func (v isa) copied(x reg.Register) reg.VecVirtual {
	r := v.reg()
	VMOVUPS(x, r)
	return r
}

func half() Mem { return float("half", 0.5) }

func zeros() Mem { return constant("zero", 0) }

func leak(act string) Mem { return float("leak"+strings.TrimPrefix(act, "leaky"), leaks[act]) }

// activate sets x to its activation.
func (v isa) activate(x reg.Register, act string) {
	switch act {
	case "gelu", "silu":
		d, _ := v.gate(x, act == "gelu")
		VDIVPS(d, x, x)
	case "sigmoid":
		d, _ := v.gate(x, false)
		t := v.reg()
		VMOVUPS(one(), t)
		VDIVPS(d, t, x)
	case "geluerf":
		h := v.reg()
		VMULPS(half(), x, h)
		v.normal(x)
		VFMADD213PS(h, h, x)
	case "relu":
		VMAXPS(x, v.zeroed(), x)
	case "leaky", "leaky100":
		y := v.reg()
		VMULPS(leak(act), x, y)
		VMOVUPS(v.below(x, zeros(), y, x), x)
	case "elu":
		y := v.copied(x)
		v.expm1(y)
		VMOVUPS(v.below(x, zeros(), y, x), x)
	case "tanh":
		v.tanh(x)
	}
}

// slope gives the derivative of the activation at x.
func (v isa) slope(x reg.Register, act string) reg.Register {
	ones := v.reg()
	VMOVUPS(one(), ones)
	switch act {
	case "gelu", "silu":
		return v.gatedSlope(x, act == "gelu")
	case "geluerf":
		density, e := v.reg(), v.copied(x)
		VMULPS(x, x, density)
		VMULPS(float("neghalf", -0.5), density, density)
		v.exp(density)
		VMULPS(float("normaltop", normalTop), density, density)
		v.normal(e)
		VMOVUPS(half(), ones)
		VFMADD213PS(ones, ones, e)
		VFMADD231PS(density, x, e)
		return e
	case "relu":
		return v.below(x, zeros(), v.zeroed(), ones)
	case "leaky", "leaky100":
		y := v.reg()
		VMOVUPS(leak(act), y)
		return v.below(x, zeros(), y, ones)
	case "elu":
		y := v.copied(x)
		v.exp(y)
		return v.below(x, zeros(), y, ones)
	case "tanh":
		v.tanh(x)
		VFNMADD213PS(one(), x, x)
		return x
	case "sigmoid":
		v.activate(x, act)
		VSUBPS(x, ones, ones)
		VMULPS(ones, x, x)
		return x
	}
	panic(act)
}

// gatedSlope is that of x over its gate.
func (v isa) gatedSlope(x reg.Register, gelu bool) reg.Register {
	d, xx := v.gate(x, gelu)
	s, t, r := v.reg(), v.reg(), v.reg()
	VMOVUPS(one(), t)
	VDIVPS(d, t, s)
	VSUBPS(s, t, t) // 1 − s
	VMULPS(s, x, r) // x·s
	if !gelu {
		VFMADD213PS(s, t, r)
		return r
	}
	VMULPS(t, r, r)
	VMOVUPS(float("gelu1", geluC1), t)
	VFMADD231PS(float("gelu3", 3*geluC3), xx, t)
	VFMADD213PS(s, t, r)
	return r
}

// pointwise writes the epilogue kernel of an activation.
func pointwise(v isa, act string) {
	TEXT("pointwise"+v.suffix+"_"+act, NOSPLIT,
		"func(rows, cols int, dst *float32, ds uintptr, src *float32, ss uintptr, bias, alpha, inverse, scale, res *float32, rs uintptr)")
	Doc("pointwise" + v.suffix + "_" + act + " sets dst = res + scale·act(src + bias), without the steps whose operand is nil.")
	Pragma("noescape")
	n, cols := ptr("rows"), ptr("cols")
	dst, src, bias, scale, res := ptr("dst"), ptr("src"), ptr("bias"), ptr("scale"), ptr("res")
	var alpha, inverse reg.Register
	if act == "snake" {
		alpha, inverse = ptr("alpha"), ptr("inverse")
	}
	tail := v.tailMask(cols)
	loop(n, func() {
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				x := v.load(at(src, off), p, k)
				ifSet(bias, func() {
					b := v.load(at(bias, off), p, k)
					VADDPS(b, x, x)
				})
				if act == "snake" {
					s := v.reg()
					VMULPS(v.load(at(alpha, off), p, k), x, s)
					v.unsignedSin(s)
					VMULPS(s, s, s)
					VFMADD231PS(v.load(at(inverse, off), p, k), s, x)
				} else {
					v.activate(x, act)
				}
				noScale, done := label("noscale"), label("done")
				TESTQ(scale, scale)
				JZ(LabelRef(noScale))
				s := v.load(at(scale, off), p, k)
				noRes := label("nores")
				TESTQ(res, res)
				JZ(LabelRef(noRes))
				r := v.load(at(res, off), p, k)
				VMULPS(s, x, x)
				VADDPS(r, x, x)
				JMP(LabelRef(done))
				Label(noRes)
				VMULPS(s, x, x)
				JMP(LabelRef(done))
				Label(noScale)
				ifSet(res, func() {
					r := v.load(at(res, off), p, k)
					VADDPS(r, x, x)
				})
				Label(done)
				v.store(x, at(dst, off), p, k)
			}
		})
		addParam("ds", dst)
		addParam("ss", src)
		ifSet(res, func() { addParam("rs", res) })
	})
	VZEROUPPER()
	RET()
}

// addParam adds a parameter to a register, without keeping it in another.
func addParam(name string, r reg.Register) {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	ADDQ(b.Addr, r)
}

// slopes writes the kernel of the gradient of an activation.
func slopes(v isa, act string) {
	TEXT("slopes"+v.suffix+"_"+act, NOSPLIT,
		"func(rows, cols int, dx *float32, dxs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr)")
	Doc("slopes" + v.suffix + "_" + act + " sets dx = dy·act'(x).")
	Pragma("noescape")
	n, cols := ptr("rows"), ptr("cols")
	dx, x, dy := ptr("dx"), ptr("x"), ptr("dy")
	tail := v.tailMask(cols)
	loop(n, func() {
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				s := v.slope(v.load(at(x, off), p, k), act)
				d := v.load(at(dy, off), p, k)
				VMULPS(s, d, d)
				v.store(d, at(dx, off), p, k)
			}
		})
		addParam("dxs", dx)
		addParam("xs", x)
		addParam("dys", dy)
	})
	VZEROUPPER()
	RET()
}
