package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// These constants and formulas are those of package f32.
const (
	geluC1 = 1.5957691216057308
	geluC3 = 0.07135481282553506
)

// exp sets x to exp(x). See f32.Exp.
func (v isa) exp(x reg.Register) {
	t, n, p := v.reg(), v.reg(), v.reg()
	VMOVUPS(float("expmax", 88.37), t)
	VMINPS(x, t, x) // NaN in x stays
	VMOVUPS(float("expmin", -87.3), t)
	VMAXPS(x, t, x)
	magic := float("expmagic", 3<<22)
	VMOVUPS(magic, t)
	VFMADD231PS(float("log2e", 1.44269504088896340736), x, t)
	VSUBPS(magic, t, n)
	VFMADD231PS(float("expneghi", -0.693147182464599609375), n, x)
	VFMADD231PS(float("expneglo", -(0.693147180559945309417-0.693147182464599609375)), n, x)
	VMOVUPS(float("expc6", 0.0013814467238262296), p)
	for _, c := range []Mem{
		float("expc5", 0.008368780836462975), float("expc4", 0.04166839271783829),
		float("expc3", 0.1666651964187622), float("expc2", 0.4999999403953552), one(), one(),
	} {
		VFMADD213PS(c, x, p)
	}
	VPSLLD(Imm(23), t, t)
	VPADDD(one(), t, t)
	VMULPS(t, p, x)
}

func one() Mem { return float("one", 1) }

// gate gives the denominator 1 + exp(−u) of an activation of x, and x².
func (v isa) gate(x reg.Register, gelu bool) (d, xx reg.VecVirtual) {
	d, xx = v.reg(), v.reg()
	if gelu {
		VMULPS(x, x, xx)
		VMOVUPS(float("geluneg1", -geluC1), d)
		VFMADD231PS(float("geluneg3", -geluC3), xx, d)
		VMULPS(x, d, d)
	} else {
		VXORPS(constant("sign", 1<<31), x, d)
	}
	v.exp(d)
	VADDPS(one(), d, d)
	return d, xx
}

// activate sets x to its activation.
func (v isa) activate(x reg.Register, act string) {
	if act == "identity" {
		return
	}
	d, _ := v.gate(x, act == "gelu")
	VDIVPS(d, x, x)
}

// slope gives the derivative of the activation at x.
func (v isa) slope(x reg.Register, act string) reg.Register {
	gelu := act == "gelu"
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
		"func(rows, cols int, dst *float32, ds uintptr, src *float32, ss uintptr, bias, scale, res *float32, rs uintptr)")
	Doc("pointwise" + v.suffix + "_" + act + " sets dst = res + scale·act(src + bias), without the steps whose operand is nil.")
	Pragma("noescape")
	n, cols := ptr("rows"), ptr("cols")
	dst, src, bias, scale, res := ptr("dst"), ptr("src"), ptr("bias"), ptr("scale"), ptr("res")
	tail := v.tailMask(cols)
	loop(n, func() {
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				x := v.load(at(src, off), p, k)
				ifSet(bias, func() {
					b := v.load(at(bias, off), p, k)
					VADDPS(b, x, x)
				})
				v.activate(x, act)
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
