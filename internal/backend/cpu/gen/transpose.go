package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose writes the kernel that turns 8 rows into 8 columns, in squares of
// 8 by 8 whose rows are AVX2 vectors.
func transpose() {
	TEXT("transpose8", NOSPLIT, "func(n int, dst *float32, ds uintptr, src *float32, ss uintptr)")
	Doc("transpose8 copies 8 rows of n squares of 8 columns to n·8 rows of 8 columns.")
	Pragma("noescape")
	n, dst, ds, src, ss := ptr("n"), ptr("dst"), ptr("ds"), ptr("src"), ptr("ss")
	loop(n, func() {
		var r, t, s [8]reg.VecVirtual
		row := GP64()
		MOVQ(src, row)
		for i := range r {
			r[i] = YMM()
			VMOVUPS(Mem{Base: row}, r[i])
			ADDQ(ss, row)
		}
		for i := 0; i < 8; i += 2 {
			t[i], t[i+1] = YMM(), YMM()
			VUNPCKLPS(r[i+1], r[i], t[i])
			VUNPCKHPS(r[i+1], r[i], t[i+1])
		}
		for i := 0; i < 8; i += 4 {
			for j := range 2 {
				lo, hi := YMM(), YMM()
				VSHUFPS(Imm(0x44), t[i+2+j], t[i+j], lo)
				VSHUFPS(Imm(0xee), t[i+2+j], t[i+j], hi)
				s[i+2*j], s[i+2*j+1] = lo, hi
			}
		}
		for i := range 8 {
			o := YMM()
			which := Imm(0x20)
			if i >= 4 {
				which = Imm(0x31)
			}
			VPERM2F128(which, s[i%4+4], s[i%4], o)
			VMOVUPS(o, Mem{Base: dst})
			ADDQ(ds, dst)
		}
		ADDQ(Imm(32), src)
	})
	VZEROUPPER()
	RET()
}
