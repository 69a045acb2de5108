package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ahead is how far in front of the products weights are asked for, in bytes: what a core
// takes out of them while the third-level cache answers.
const ahead = 1024

// gemm writes the kernel for a tile of mr rows and np column panels of two vectors
// each, or of the first vector of a panel where np is 0. Every output is one
// accumulator with one chain of FMA over k.
func gemm(v isa, mr, np int) {
	nv := max(2*np, 1)
	name := fmt.Sprintf("gemm%s_%dx%d", v.suffix, mr, np)
	if np == 0 {
		name = fmt.Sprintf("gemm%s_%dxhalf", v.suffix, mr)
	}
	TEXT(name, NOSPLIT,
		"func(kc, taps int, a *float32, ars, aks, atap uintptr, more int, a2, b *float32, bps uintptr, from *float32, fs uintptr, c *float32, cs uintptr)")
	Doc(fmt.Sprintf("%s sets c[%d, %d] to from + a·b over kc products of each tap; from may be nil.", name, mr, nv*v.lanes()))
	Pragma("noescape")

	acc := make([][]reg.VecVirtual, mr)
	for i := range acc {
		acc[i] = make([]reg.VecVirtual, nv)
		for j := range acc[i] {
			acc[i][j] = v.reg()
		}
	}
	row := Load(Param("from"), GP64())
	fs := Load(Param("fs"), GP64())
	TESTQ(row, row)
	JZ(LabelRef("zero"))
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(Mem{Base: row, Disp: j * v.bytes}, acc[i][j])
		}
		ADDQ(fs, row)
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
	a := []reg.Register{Load(Param("a"), GP64())}
	for i := 3; i < mr; i += 3 {
		a = append(a, GP64())
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
	next := Load(Param("a2"), GP64())

	Label("rows")
	for i := 1; i < len(a); i++ {
		LEAQ(Mem{Base: a[i-1], Index: ars, Scale: 2}, a[i])
		ADDQ(ars, a[i])
	}
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
		if np == 1 && mr > 4 {
			// The panel may come from beyond the second-level cache the first time.
			for j := 0; j < 2*v.bytes; j += 64 {
				PREFETCHT0(Mem{Base: p, Disp: ahead + j})
			}
		}
		ADDQ(Imm(uint64(2*v.bytes)), p)
	}
	DECQ(kc)
	JNZ(LabelRef("loop"))
	for _, p := range a {
		ADDQ(skip, p)
	}
	DECQ(taps)
	JNZ(LabelRef("tap"))
	TESTQ(next, next)
	JZ(LabelRef("store"))
	MOVQ(next, a[0])
	XORQ(next, next)
	Load(Param("more"), taps)
	JMP(LabelRef("rows"))

	Label("store")
	Load(Param("c"), row)
	cs := Load(Param("cs"), GP64())
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(acc[i][j], Mem{Base: row, Disp: j * v.bytes})
		}
		ADDQ(cs, row)
	}
	VZEROUPPER()
	RET()
}
