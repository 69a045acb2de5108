package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakChains is the number of independent FMA chains of the peak kernels.
const peakChains = 12

// peak writes a kernel that does nothing but multiply and add.
func peak(v isa) {
	TEXT("peak"+v.suffix, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("peak%s runs n times %d vector FMA.", v.suffix, peakChains))
	n := Load(Param("n"), GP64())
	x := v.reg()
	v.zero(x)
	acc := make([]reg.VecVirtual, peakChains)
	for i := range acc {
		acc[i] = v.reg()
		v.zero(acc[i])
	}
	Label("loop")
	for _, a := range acc {
		VFMADD231PS(x, x, a)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
