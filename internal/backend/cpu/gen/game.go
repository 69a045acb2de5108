package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// edges writes the kernel of the weights of a node's edges, soft or not.
func edges(v isa, soft bool) {
	name := "edges"
	if soft {
		name = "softEdges"
	}
	TEXT(name+v.suffix, NOSPLIT, "func(n int, p *float32, scale float32, bias, sum, most *float32, code *int32)")
	Doc(name+v.suffix+" sets p to the edges of f32.Edge and gives their 16 partial sums and, for each",
		"lane, the largest of them (or its logarithm) and its index, over whole groups.")
	Pragma("noescape")
	n, pp, bias := ptr("n"), ptr("p"), ptr("bias")
	sum := make([]reg.VecVirtual, v.parts())
	for i := range sum {
		sum[i] = v.zeroed()
	}
	start := -inf
	if !soft {
		start = 0
	}
	most := v.newLeast(float(fmt.Sprint("start", soft), start))
	zero, scale := v.zeroed(), v.spread("scale")
	SHRQ(Imm(4), n)
	loop(n, func() {
		for i := range sum {
			x := v.load(Mem{Base: pp}, i, nil)
			VFMADD213PS(Mem{Base: bias, Disp: i * v.bytes}, scale, x)
			if soft {
				most.takeIf(more, i, x)
				v.exp2(x)
			} else {
				VMAXPS(x, zero, x) // NaN stays
				most.takeIf(more, i, x)
			}
			v.store(x, Mem{Base: pp}, i, nil)
			VADDPS(x, sum[i], sum[i])
		}
		most.next()
		ADDQ(U32(4*group), pp)
		ADDQ(U32(4*group), bias)
	})
	to := ptr("sum")
	for i := range sum {
		v.store(sum[i], Mem{Base: to}, i, nil)
	}
	most.store("most")
	VZEROUPPER()
	RET()
}

// exp2 sets x to f32.Exp2(x).
func (v isa) exp2(x reg.Register) {
	t, n := v.reg(), v.reg()
	VMOVUPS(float("exp2min", -125), t)
	VMAXPS(x, t, x) // NaN stays
	VADDPS(float("magic", 3<<22), x, t)
	VSUBPS(float("magic", 3<<22), t, n)
	VSUBPS(n, x, n)
	p := v.polynomial("exp2", n, exp2Terms...)
	VPSLLD(Imm(23), t, t)
	VPADDD(t, p, x)
}

// least finds the least value of each lane and its index.
type least struct {
	v               isa
	best, code, cur []reg.VecVirtual
}

// newLeast starts from the given value.
func (v isa) newLeast(start Op) least {
	l := least{v: v}
	for i := range v.parts() {
		best, code, cur := v.reg(), v.reg(), v.reg()
		VMOVUPS(start, best)
		v.zero(code)
		VMOVUPS(lanes().Offset(i*v.bytes), cur)
		l.best, l.code, l.cur = append(l.best, best), append(l.code, code), append(l.cur, cur)
	}
	return l
}

// take compares part i of a group.
func (l least) take(i int, x reg.Register) { l.takeIf(less, i, x) }

// takeIf is take by another comparison.
func (l least) takeIf(compare uint8, i int, x reg.Register) {
	if l.v.bytes == 64 {
		k := K()
		VCMPPS(Imm(uint64(compare)), l.best[i], x, k)
		VMOVAPS(x, k, l.best[i])
		VMOVDQU32(l.cur[i], k, l.code[i])
		return
	}
	k := l.v.reg()
	VCMPPS(Imm(uint64(compare)), l.best[i], x, k)
	VBLENDVPS(k, x, l.best[i], l.best[i])
	VBLENDVPS(k, l.cur[i], l.code[i], l.code[i])
}

// at goes to the group at an offset in bytes.
func (l least) at(off reg.Register) {
	i := GP64()
	MOVQ(off, i)
	SHRQ(Imm(2), i)
	x := XMM()
	VMOVQ(i, x)
	first := l.v.reg()
	VPBROADCASTD(x, first)
	for i, c := range l.cur {
		VPADDD(lanes().Offset(i*l.v.bytes), first, c)
	}
}

// next goes on to the next group.
func (l least) next() {
	for _, c := range l.cur {
		VPADDD(constant("sixteen", group), c, c)
	}
}

// store writes the values to a parameter and the indices to the parameter code.
func (l least) store(values string) {
	best, code := ptr(values), ptr("code")
	for i := range l.best {
		l.v.store(l.best[i], Mem{Base: best}, i, nil)
		l.v.store(l.code[i], Mem{Base: code}, i, nil)
	}
}

// Comparisons, quiet and false for NaN.
const (
	less = 17
	more = 30
)

// log2 sets x to f32.Log2(x).
func (v isa) log2(x reg.Register) {
	e, n := v.reg(), v.reg()
	VPADDD(constant("log2shift", log2Shift), x, e)
	VPSRLD(Imm(23), e, e)
	VCVTDQ2PS(e, n)
	VPSLLD(Imm(23), e, e)
	VPSUBD(e, x, x)
	VPADDD(one(), x, x)
	VSUBPS(float("bias127", 127), n, n)
	VSUBPS(one(), x, x)
	p := v.polynomial("log2", x, log2Terms...)
	VFMADD213PS(n, p, x)
}

// joins writes the kernel of the node game.
func joins(v isa) {
	TEXT("joins"+v.suffix, NOSPLIT,
		"func(n int, w, inside, inverse, bits *float32, d, total, bound float32, best *float32, code *int32)")
	Doc("joins" + v.suffix + " finds, for each of 16 lanes, the least f32.Join below the bound and its index, over whole groups.")
	Pragma("noescape")
	n, wp, ip, vp, bp := ptr("n"), ptr("w"), ptr("inside"), ptr("inverse"), ptr("bits")
	off := GP64()
	XORQ(off, off)
	parts := v.parts()
	least := v.newLeast(v.spread("bound"))
	d, total := v.spread("d"), v.spread("total")
	at := func(base reg.Register, i int) Mem { return Mem{Base: base, Index: off, Scale: 1, Disp: i * v.bytes} }
	// gain gives 2w and bits − total.
	gain := func(i int) (w, h reg.VecVirtual) {
		w, h = v.load(at(wp, i), 0, nil), v.load(at(bp, i), 0, nil)
		VSUBPS(total, h, h)
		VADDPS(w, w, w)
		return w, h
	}
	half := v.reg()
	// halve sets half to best/2, or what follows it: no group that may win is left out.
	halve := func() {
		h := v.reg()
		VMOVUPS(float("half", 0.5), h)
		VMULPS_RU_SAE(h, least.best[0], half)
	}
	if v.bytes == 64 {
		halve()
	}
	SHLQ(Imm(2), n)
	top, end := label("groups"), label("end")
	TESTQ(n, n)
	JZ(LabelRef(end))
	Label(top)
	{
		skip := label("skip")
		if v.bytes == 64 {
			// The sign of w·(bits − total) − best/2.
			x := v.reg()
			VSUBPS(at(bp, 0), total, x)
			VFNMSUB132PS(at(wp, 0), half, x)
			k := K()
			VPMOVD2M(x, k)
			KORTESTW(k, k)
		} else {
			any, bits := v.zeroed(), GP32()
			for i := range parts {
				w, h := gain(i)
				VMULPS(h, w, h)
				VCMPPS(Imm(less), least.best[i], h, h)
				VORPS(h, any, any)
			}
			VMOVMSKPS(any, bits)
			TESTL(bits, bits)
		}
		JZ(LabelRef(skip))
		least.at(off)
		for i := range parts {
			w, inverse := v.load(at(wp, i), 0, nil), v.load(at(vp, i), 0, nil)
			all, loss := v.reg(), v.reg()
			VADDPS(d, w, all)
			VFMADD213PS(one(), inverse, all)
			VFMADD213PS(one(), inverse, w)
			v.log2(all)
			v.log2(w)
			VSUBPS(w, all, loss)
			VMAXPS(loss, v.zeroed(), loss) // NaN stays
			w, h := gain(i)
			VADDPS(all, h, h)
			VMULPS(h, w, h)
			VFMADD231PS(at(ip, i), loss, h)
			least.take(i, h)
		}
		if v.bytes == 64 {
			halve()
		}
		Label(skip)
		ADDQ(U32(4*group), off)
		CMPQ(off, n)
		JB(LabelRef(top))
	}
	Label(end)
	least.store("best")
	VZEROUPPER()
	RET()
}

// spread fills a vector with a parameter.
func (v isa) spread(name string) reg.VecVirtual {
	r := v.reg()
	VBROADCASTSS(Load(Param(name), XMM()), r)
	return r
}

// neonEdges writes the kernel of the weights of a node's edges, soft or not.
func neonEdges(f *neonFile, soft bool) {
	name, start := "edgesNEON", 0.0
	if soft {
		name, start = "softEdgesNEON", -inf
	}
	f.function(name, "(n int, p *float32, scale float32, bias, sum, most *float32, code *int32)",
		"sets p to the edges of f32.Edge and gives their 16 partial sums and, for each\n// lane, the largest of them (or its logarithm) and its index, over whole groups.", func(a *neon) {
			n, pp, bias := a.param("n"), a.param("p"), a.param("bias")
			sum := a.partial()
			most := a.newLeast(a.float(start))
			scale := a.fill(a.param("scale"))
			a.ins("LSR $4, {0}", n)
			a.loop(n, func() {
				for i := range sum {
					x := a.fma(a.load(pp, i, nil), scale, a.load(bias, i, nil))
					if soft {
						most.takeMore(a, i, x)
						x = a.exp2(x)
					} else {
						x = a.activate(x, "relu")
						most.takeMore(a, i, x)
					}
					a.store(x, pp, i, nil)
					a.three("fadd", sum[i], sum[i], x)
				}
				most.next(a)
				a.ins("ADD $64, {0}", pp)
				a.ins("ADD $64, {0}", bias)
			})
			to := a.param("sum")
			for i := range sum {
				a.store(sum[i], to, i, nil)
			}
			most.store(a, "most")
		})
}

// exp2 gives f32.Exp2(x).
func (a *neon) exp2(x *vreg) *vreg {
	x = a.new("fmax", x, a.here(-125))
	t := a.add(x, a.float(3<<22))
	p := a.polynomial(a.sub(x, a.sub(t, a.float(3<<22))), exp2Terms...)
	a.ins("VSHL $23, {0}.S4, {0}.S4", t)
	a.ins("VADD {0}.S4, {1}.S4, {1}.S4", t, p)
	return p
}

// least64 finds the least value of each lane and its index.
type least64 struct {
	best, code, cur []*vreg
	sixteen         *vreg
}

// newLeast starts from the given value.
func (a *neon) newLeast(start *vreg) least64 {
	l := least64{cur: a.lanes(), sixteen: a.bits(group)}
	for range parts64 {
		l.best, l.code = append(l.best, a.copyOf(start)), append(l.code, a.zeros())
	}
	return l
}

func (l least64) take(a *neon, i int, x *vreg)     { l.choose(a, i, x, a.new("fcmgt", l.best[i], x)) }
func (l least64) takeMore(a *neon, i int, x *vreg) { l.choose(a, i, x, a.new("fcmgt", x, l.best[i])) }

func (l least64) choose(a *neon, i int, x, better *vreg) {
	a.choose(better, x, l.best[i])
	a.choose(better, l.cur[i], l.code[i])
}

func (l least64) next(a *neon) {
	for _, c := range l.cur {
		a.three("add", c, c, l.sixteen)
	}
}

func (l least64) store(a *neon, values string) {
	best, code := a.param(values), a.param("code")
	for i := range l.best {
		a.store(l.best[i], best, i, nil)
		a.store(l.code[i], code, i, nil)
	}
}

// log2 gives f32.Log2(x).
func (a *neon) log2(x *vreg) *vreg {
	e := a.vec()
	a.ins("VADD {0}.S4, {1}.S4, {2}.S4", a.hereBits(log2Shift), x, e)
	a.ins("VUSHR $23, {0}.S4, {0}.S4", e)
	n := a.sub(a.two("scvtf", e), a.here(127))
	a.ins("VSHL $23, {0}.S4, {0}.S4", e)
	m := a.vec()
	a.ins("VSUB {0}.S4, {1}.S4, {2}.S4", e, x, m)
	a.ins("VADD {0}.S4, {1}.S4, {1}.S4", a.float(1), m)
	t := a.sub(m, a.float(1))
	return a.fma(a.polynomial(t, log2Terms...), t, n)
}

// hereBits gives a vector of one constant from this place on.
func (a *neon) hereBits(value uint32) *vreg {
	return a.here(float64(math.Float32frombits(value)))
}

// neonJoins writes the kernel of the node game.
func neonJoins(f *neonFile) {
	f.function("joinsNEON", "(n int, w, inside, inverse, bits *float32, d, total, bound float32, best *float32, code *int32)",
		"finds, for each of 16 lanes, the least f32.Join below the bound and its index, over whole groups.", func(a *neon) {
			n, wp, ip, vp, bp := a.param("n"), a.param("w"), a.param("inside"), a.param("inverse"), a.param("bits")
			least := a.newLeast(a.fill(a.param("bound")))
			d, total := a.fill(a.param("d")), a.fill(a.param("total"))
			a.ins("LSR $4, {0}", n)
			a.loop(n, func() {
				skip := a.label("skip")
				var any *vreg
				for i := range parts64 {
					w := a.load(wp, i, nil)
					below := a.new("fcmgt", least.best[i], a.mul(a.add(w, w), a.sub(a.load(bp, i, nil), total)))
					if any != nil {
						below = a.bitwise("VORR", any, below)
					}
					any = below
				}
				low, high := a.reg(), a.reg()
				a.ins("VMOV {0}.D[0], {1}", any, low)
				a.ins("VMOV {0}.D[1], {1}", any, high)
				a.ins("ORR {0}, {1}", high, low)
				a.branch("CBZ {0}, ", skip, low)
				for i := range parts64 {
					w, inverse := a.load(wp, i, nil), a.load(vp, i, nil)
					all := a.log2(a.fma(a.add(w, d), inverse, a.float(1)))
					part := a.log2(a.fma(w, inverse, a.float(1)))
					h := a.add(a.sub(a.load(bp, i, nil), total), all)
					h = a.mul(a.add(w, w), h)
					loss := a.activate(a.sub(all, part), "relu")
					least.take(a, i, a.fma(loss, a.load(ip, i, nil), h))
				}
				a.place(skip)
				least.next(a)
				for _, p := range []*vreg{wp, ip, vp, bp} {
					a.ins("ADD $64, {0}", p)
				}
			})
			least.store(a, "best")
		})
}
