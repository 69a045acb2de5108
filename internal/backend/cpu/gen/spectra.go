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
