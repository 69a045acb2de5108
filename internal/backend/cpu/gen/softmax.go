package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmax writes the kernel of a row of attention weights.
func softmax(v isa) {
	TEXT("softmax"+v.suffix, NOSPLIT, "func(n int, x, sum *float32, scale float32)")
	Doc("softmax" + v.suffix + " sets x to exp(scale·x − max) over n > 0 values, and sum to their canonical sum.")
	Pragma("noescape")
	n, x := ptr("n"), ptr("x")
	tail := v.tailMask(n)
	scale := v.broadcast(param("scale"))
	first := v.broadcast(Mem{Base: x})
	VMULPS(scale, first, first)
	top := make(sums, v.parts())
	for i := range top {
		top[i] = v.copied(first)
	}
	eachGroup(n, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range top {
			a := v.load(at(x, off), p, k)
			VMULPS(scale, a, a)
			v.fill(a, first, p, k)
			VMAXPS(a, top[p], top[p])
		}
	})
	highest := v.highest(top)
	total := v.sums()
	eachGroup(n, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range total {
			a := v.load(at(x, off), p, k)
			VMULPS(scale, a, a)
			VSUBPS(highest, a, a)
			v.exp(a)
			v.store(a, at(x, off), p, k)
			v.keep(a, p, k)
			VADDPS(a, total[p], total[p])
		}
	})
	sum := ptr("sum")
	VMOVSS(v.tree(total), Mem{Base: sum})
	VZEROUPPER()
	RET()
}

// fill sets the lanes of r outside of the mask to those of other.
func (v isa) fill(r, other reg.Register, p int, k mask) {
	switch {
	case k == nil:
	case v.bytes == 64:
		VBLENDMPS(r, other, k[p], r)
	default:
		VBLENDVPS(k[p], r, other, r)
	}
}

// highest fills a vector with the largest lane.
func (v isa) highest(s sums) reg.VecVirtual {
	y := YMM()
	if v.bytes == 64 {
		VEXTRACTF64X4(Imm(1), s[0], y)
		VMAXPS(y, s[0].AsY(), y)
	} else {
		VMAXPS(s[1], s[0], y)
	}
	x, t := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, t)
	VMAXPS(t, y.AsX(), x)
	VSHUFPS(Imm(0b01001110), x, x, t)
	VMAXPS(t, x, x)
	VMOVSHDUP(x, t)
	VMAXSS(t, x, x)
	r := v.reg()
	VBROADCASTSS(x, r)
	return r
}

// softmaxGrad writes the kernel of a row of gradients of scores.
func softmaxGrad(v isa) {
	TEXT("softmaxGrad"+v.suffix, NOSPLIT, "func(n int, ds, e *float32, delta float32)")
	Doc("softmaxGrad" + v.suffix + " sets ds to (ds − delta)·e over n values.")
	Pragma("noescape")
	n, ds, e := ptr("n"), ptr("ds"), ptr("e")
	tail := v.tailMask(n)
	delta := v.broadcast(param("delta"))
	eachGroup(n, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range v.parts() {
			a, b := v.load(at(ds, off), p, k), v.load(at(e, off), p, k)
			VSUBPS(delta, a, a)
			VMULPS(b, a, a)
			v.store(a, at(ds, off), p, k)
		}
	})
	VZEROUPPER()
	RET()
}
