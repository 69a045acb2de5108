package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// complexRows writes the kernels of package backend's Spectra: compress, or
// expand.
func complexRows(v isa, compress bool) {
	name, sig := "expand"+v.suffix, "func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, eps float32)"
	doc := " sets y to the complex numbers of x times their power plus eps."
	if compress {
		name, sig = "compress"+v.suffix, "func(rows, cols int, y *float32, ys uintptr, m *float32, ms uintptr, x *float32, xs uintptr, eps float32)"
		doc = " sets m to the magnitudes of the complex numbers of x and y to the compressed numbers."
	}
	TEXT(name, NOSPLIT, sig)
	Doc(name + doc)
	Pragma("noescape")
	n, cols, y, x := ptr("rows"), ptr("cols"), ptr("y"), ptr("x")
	var m reg.Register
	if compress {
		m = ptr("m")
	}
	eps := v.reg()
	at0, err := Param("eps").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(at0.Addr, eps)
	tail := v.tailMask(cols)
	loop(n, func() {
		eachGroup(cols, tail, []int{1}, func(off reg.Register, _ int, k mask) {
			for p := range v.parts() {
				s := v.load(at(x, off), p, k)
				g, other := v.reg(), v.reg()
				VMULPS(s, s, g)
				VPERMILPS(Imm(0xb1), g, other) // the squares of the other parts
				VADDPS(other, g, g)
				VADDPS(eps, g, g)
				if compress {
					mag := v.reg()
					VSQRTPS(g, mag)
					v.store(mag, at(m, off), p, k)
					VSQRTPS(mag, g)
					VSQRTPS(g, g)
					VDIVPS(mag, g, g)
				}
				VMULPS(g, s, s)
				v.store(s, at(y, off), p, k)
			}
		})
		addParam("ys", y)
		addParam("xs", x)
		if compress {
			addParam("ms", m)
		}
	})
	VZEROUPPER()
	RET()
}

// polar writes the kernel of package backend's Polar for groups of columns.
func polar(v isa) {
	TEXT("polar"+v.suffix, NOSPLIT, "func(groups int, y, magnitude, phase *float32, most float32)")
	Doc("polar" + v.suffix + " sets y to the complex numbers of so many groups of logarithms of magnitudes, of at most most, and phases.")
	Pragma("noescape")
	n, y, magnitude, phase := ptr("groups"), ptr("y"), ptr("magnitude"), ptr("phase")
	limit, err := Param("most").Resolve()
	if err != nil {
		panic(err)
	}
	most := v.broadcast(limit.Addr)
	loop(n, func() {
		for p := range v.parts() {
			m, x := v.load(Mem{Base: magnitude}, p, nil), v.load(Mem{Base: phase}, p, nil)
			v.exp(m)
			VMINPS(m, most, m)
			im, re := v.sinCos(x)
			VMULPS(m, re, re)
			VMULPS(m, im, im)
			first, second := v.interleave(re, im)
			v.store(first, Mem{Base: y}, 2*p, nil)
			v.store(second, Mem{Base: y}, 2*p+1, nil)
		}
		ADDQ(Imm(4*group), magnitude)
		ADDQ(Imm(4*group), phase)
		ADDQ(U32(8*group), y)
	})
	VZEROUPPER()
	RET()
}

// interleave gives the values of a and b in turns.
func (v isa) interleave(a, b reg.Register) (first, second reg.VecVirtual) {
	if v.bytes == 64 {
		first, second = v.reg(), v.reg()
		VMOVUPS(turns("first", 0), first)
		VMOVUPS(turns("second", group/2), second)
		VPERMI2PS(b, a, first)
		VPERMI2PS(b, a, second)
		return first, second
	}
	low, high := v.reg(), v.reg()
	VUNPCKLPS(b, a, low)
	VUNPCKHPS(b, a, high)
	first, second = v.reg(), v.reg()
	VPERM2F128(Imm(0x20), high, low, first)
	VPERM2F128(Imm(0x31), high, low, second)
	return first, second
}

// turns holds the places from on of one vector and of another behind it, in turns.
func turns(name string, from int) Mem {
	if m, ok := statics[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range group / 2 {
		DATA(8*i, U32(uint32(from+i)))
		DATA(8*i+4, U32(uint32(group+from+i)))
	}
	statics[name] = m
	return m
}
