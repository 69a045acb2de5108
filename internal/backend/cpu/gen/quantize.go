package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantize writes the kernel that turns rows into integers of 8 bits, kept in
// bytes offset by 128 or in words, and their scales. See f32.Int8Scale. It writes
// whole groups; values past the row are 0.
func quantize(v isa, offset bool) {
	name := "quantize" + v.suffix
	TEXT(name, NOSPLIT,
		"func(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)")
	if offset {
		Doc(name + " turns rows into bytes offset by 128, and their scales.")
	} else {
		Doc(name + " turns rows into words, and their scales.")
	}
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	q, x, scale := ptr("q"), ptr("x"), ptr("scale")
	tail := v.tailMask(cols)
	magnitude := v.reg()
	VMOVUPS(constant("magnitude", 1<<31-1), magnitude)
	loop(left, func() {
		factor := v.reg()
		v.int8Factor(v.maxBits(x, cols, tail, magnitude), scale, factor)
		to := GP64()
		MOVQ(q, to)
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			n := make([]reg.VecVirtual, v.parts())
			for p := range n {
				n[p] = v.load(at(x, off), p, k)
				VMULPS(factor, n[p], n[p])
				VCVTPS2DQ(n[p], n[p])
			}
			if offset {
				VPADDD(constant("offset128", 128), n[0], n[0])
				VPMOVDB(n[0], Mem{Base: to})
				ADDQ(Imm(group), to)
				return
			}
			VPACKSSDW(n[1], n[0], n[0])
			VPERMQ(Imm(0b11011000), n[0], n[0])
			VMOVUPS(n[0], Mem{Base: to})
			ADDQ(Imm(2*group), to)
		})
		addParam("qs", q)
		addParam("xs", x)
		ADDQ(Imm(4), scale)
	})
	VZEROUPPER()
	RET()
}

// maxBits gives the largest magnitude of a row in its bits, whose order is that of
// the magnitudes, with NaN above all.
func (v isa) maxBits(x, cols reg.Register, tail mask, magnitude reg.Register) reg.Register {
	most := v.sums()
	eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		for p := range most {
			a := v.load(at(x, off), p, k)
			if v.bytes == 64 {
				VPANDD(magnitude, a, a)
			} else {
				VPAND(magnitude, a, a)
			}
			VPMAXUD(a, most[p], most[p])
		}
	})
	y := YMM()
	if v.bytes == 64 {
		VEXTRACTI64X4(Imm(1), most[0], y)
		VPMAXUD(most[0].AsY(), y, y)
	} else {
		VPMAXUD(most[1], most[0], y)
	}
	t := XMM()
	VEXTRACTI128(Imm(1), y, t)
	VPMAXUD(y.AsX(), t, t)
	s := XMM()
	for _, order := range []uint64{0b01001110, 0b10110001} {
		VPSHUFD(Imm(order), t, s)
		VPMAXUD(s, t, t)
	}
	bits := GP32()
	VMOVD(t, bits)
	return bits
}

// int8Factor is f32.Int8Scale of a magnitude in bits: it writes the scale and sets
// all lanes of factor.
func (v isa) int8Factor(bits, scale, factor reg.Register) {
	tiny, endless, done := label("tiny"), label("endless"), label("done")
	CMPL(bits, U32(27<<23)) // 2⁻¹⁰⁰
	JB(LabelRef(tiny))
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef(endless))
	m, n, s := XMM(), XMM(), XMM()
	VMOVD(bits, m)
	VMOVSS(float("int8max", 127), n)
	VDIVSS(n, m, s)
	VMOVSS(s, Mem{Base: scale})
	VDIVSS(m, n, s)
	VBROADCASTSS(s, factor)
	JMP(LabelRef(done))
	Label(endless)
	MOVL(U32(0x7fc00000), Mem{Base: scale})
	v.zero(factor)
	JMP(LabelRef(done))
	Label(tiny)
	MOVL(U32(0), Mem{Base: scale})
	v.zero(factor)
	Label(done)
}

// bfloat16 rounds the lanes of x to bfloat16 in the upper half, which keep sees
// before the lower half is cleared. See f32.BFloat16.
func (v isa) bfloat16(x reg.Register) {
	if v.bytes == 64 {
		v.bfloat16Masks(x)
		return
	}
	r, nan, small := v.reg(), v.reg(), v.reg()
	VCMPPS(Imm(3), x, x, nan) // unordered
	VPSRLD(Imm(16), x, r)
	VPAND(constant("bit0", 1), r, r)
	VPADDD(x, r, r)
	VPADDD(constant("below", 0x7fff), r, r)
	VPOR(constant("quiet", 1<<22), x, x)
	VBLENDVPS(nan, x, r, x)
	VPAND(constant("upperhalf", 0xffff0000), x, x)
	VPXOR(small, small, small)
	VPAND(constant("exponent", 0x7f800000), x, r)
	VPCMPEQD(small, r, small)
	VPAND(constant("sign", 1<<31), x, r)
	VBLENDVPS(small, r, x, x)
}

func (v isa) bfloat16Masks(x reg.Register) {
	r := v.reg()
	nan, normal := K(), K()
	VCMPPS(Imm(3), x, x, nan) // unordered
	VPSRLD(Imm(16), x, r)
	VPANDD(constant("bit0", 1), r, r)
	VPADDD(constant("below", 0x7fff), r, r)
	VPADDD(x, r, r)
	VPORD(constant("quiet", 1<<22), x, nan, r)
	VPTESTMD(constant("exponent", 0x7f800000), r, normal)
	VPANDD(constant("sign", 1<<31), r, x)
	VPANDD_Z(constant("upperhalf", 0xffff0000), r, normal, r)
	VPORD(r, x, x)
}

// roundPairs writes the kernel that turns rows into bfloat16. It writes whole
// groups; values past the row are 0.
func roundPairs() {
	v := avx512
	TEXT("roundPairs512", NOSPLIT,
		"func(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)")
	Doc("roundPairs512 turns rows into bfloat16; scale is not used.")
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	q, x := ptr("q"), ptr("x")
	tail := v.tailMask(cols)
	loop(left, func() {
		to := GP64()
		MOVQ(q, to)
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			r := v.load(at(x, off), 0, k)
			v.bfloat16(r)
			VPSRLD(Imm(16), r, r)
			VPMOVDW(r, Mem{Base: to})
			ADDQ(Imm(2*group), to)
		})
		addParam("qs", q)
		addParam("xs", x)
	})
	VZEROUPPER()
	RET()
}

// roundValues writes the kernel that turns rows into float32 values that bfloat16
// holds. It writes whole groups; values past the row are 0.
func roundValues(v isa) {
	name := "roundValues" + v.suffix
	TEXT(name, NOSPLIT,
		"func(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)")
	Doc(name + " rounds rows to values of bfloat16; scale is not used.")
	Pragma("noescape")
	left, cols := ptr("rows"), ptr("cols")
	q, x := ptr("q"), ptr("x")
	tail := v.tailMask(cols)
	loop(left, func() {
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				r := v.load(at(x, off), p, k)
				v.bfloat16(r)
				v.store(r, at(q, off), p, nil)
			}
		})
		addParam("qs", q)
		addParam("xs", x)
	})
	VZEROUPPER()
	RET()
}
