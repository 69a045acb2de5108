package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemm writes the kernel for a tile of mr rows and np column panels of two
// vectors each. Every output is one accumulator with one chain of FMA over k.
func gemm(v isa, mr, np int) {
	TEXT(fmt.Sprintf("gemm%s_%dx%d", v.suffix, mr, np), NOSPLIT,
		"func(kc, taps int, a *float32, ars, aks, atap uintptr, b *float32, bps uintptr, c *float32, cs uintptr, load bool)")
	Doc(fmt.Sprintf("gemm%s_%dx%d sets or, with load, continues c[%d, %d] += a·b over kc products of each tap.",
		v.suffix, mr, np, mr, np*2*v.lanes()))
	Pragma("noescape")

	nv := 2 * np
	acc := make([][]reg.VecVirtual, mr)
	for i := range acc {
		acc[i] = make([]reg.VecVirtual, nv)
		for j := range acc[i] {
			acc[i][j] = v.reg()
		}
	}
	cs := Load(Param("cs"), GP64())
	row := Load(Param("c"), GP64())
	load := Load(Param("load"), GP8())
	TESTB(load, load)
	JZ(LabelRef("zero"))
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(Mem{Base: row, Disp: j * v.bytes}, acc[i][j])
		}
		ADDQ(cs, row)
	}
	JMP(LabelRef("start"))
	Label("zero")
	for i := range acc {
		for j := range acc[i] {
			v.zero(acc[i][j])
		}
	}
	Label("start")

	kc := Load(Param("kc"), GP64())
	taps := Load(Param("taps"), GP64())
	ars := Load(Param("ars"), GP64())
	aks := Load(Param("aks"), GP64())
	// Three rows of a to a pointer: base, base+ars, base+2·ars.
	var a []reg.Register
	for i := 0; i < mr; i += 3 {
		p := GP64()
		if i == 0 {
			Load(Param("a"), p)
		} else {
			LEAQ(Mem{Base: a[len(a)-1], Index: ars, Scale: 2}, p)
			ADDQ(ars, p)
		}
		a = append(a, p)
	}
	b := []reg.Register{Load(Param("b"), GP64())}
	if np > 1 {
		bps := Load(Param("bps"), GP64())
		for p := 1; p < np; p++ {
			q := GP64()
			LEAQ(Mem{Base: b[p-1], Index: bps, Scale: 1}, q)
			b = append(b, q)
		}
	}
	TESTQ(kc, kc)
	JZ(LabelRef("store"))
	// From the end of a tap to the next one.
	skip, across := Load(Param("atap"), GP64()), GP64()
	MOVQ(kc, across)
	IMULQ(aks, across)
	SUBQ(across, skip)

	Label("tap")
	Load(Param("kc"), kc)
	Label("loop")
	bv := make([]Op, nv)
	for j := range bv {
		m := Mem{Base: b[j/2], Disp: j % 2 * v.bytes}
		if mr == 1 {
			bv[j] = m
			continue
		}
		r := v.reg()
		VMOVUPS(m, r)
		bv[j] = r
	}
	for i := range mr {
		m := Mem{Base: a[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = ars, uint8(i%3)
		}
		x := v.reg()
		VBROADCASTSS(m, x)
		for j := range bv {
			VFMADD231PS(bv[j], x, acc[i][j])
		}
	}
	for _, p := range a {
		ADDQ(aks, p)
	}
	for _, p := range b {
		ADDQ(Imm(uint64(2*v.bytes)), p)
	}
	DECQ(kc)
	JNZ(LabelRef("loop"))
	for _, p := range a {
		ADDQ(skip, p)
	}
	DECQ(taps)
	JNZ(LabelRef("tap"))

	Label("store")
	Load(Param("c"), row)
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(acc[i][j], Mem{Base: row, Disp: j * v.bytes})
		}
		ADDQ(cs, row)
	}
	VZEROUPPER()
	RET()
}
