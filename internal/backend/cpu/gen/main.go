// Command gen writes the vector kernels of package cpu:
//
//	cd internal/backend/cpu && go generate
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is a vector width that kernels are written for.
type isa struct {
	suffix string
	bytes  int
}

var (
	avx512 = isa{"512", 64}
	avx2   = isa{"256", 32}
)

func (v isa) lanes() int { return v.bytes / 4 }

func (v isa) reg() reg.VecVirtual {
	if v.bytes == 64 {
		return ZMM()
	}
	return YMM()
}

func (v isa) zero(r Op) {
	if v.bytes == 64 {
		VPXORD(r, r, r)
		return
	}
	VXORPS(r, r, r)
}

func main() {
	ConstraintExpr("amd64")
	for mr := 1; mr <= 12; mr++ {
		gemm(avx512, mr, 1)
	}
	gemm(avx512, 1, 4)
	gemm(avx512, 2, 2)
	for mr := 1; mr <= 6; mr++ {
		gemm(avx2, mr, 1)
	}
	gemm(avx2, 1, 4)
	gemm(avx2, 2, 2)
	for _, v := range []isa{avx512, avx2} {
		peak(v)
		for _, act := range []string{"identity", "gelu", "silu"} {
			pointwise(v, act)
		}
		slopes(v, "gelu")
		slopes(v, "silu")
		columnSum(v)
		depthwise(v)
		adamw(v)
		smallest(v)
		layerNorm(v)
		layerNormGrad(v)
	}
	Generate()
}
