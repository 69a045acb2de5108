package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// group is the number of columns that row kernels take at a time: one AVX-512
// vector or two AVX2 vectors. The canonical row sum has as many partial sums.
const group = 16

// parts is the number of vectors of a group.
func (v isa) parts() int { return 4 * group / v.bytes }

// mask selects the columns of an incomplete group, one register a part.
type mask []reg.Register

// tailMask makes the mask of the last cols%group columns.
func (v isa) tailMask(cols reg.Register) mask {
	rem := GP64()
	MOVQ(cols, rem)
	ANDQ(Imm(group-1), rem)
	if v.bytes == 64 {
		bits, one, k := GP64(), GP64(), K()
		MOVQ(U64(1), one)
		SHLXQ(rem, one, bits)
		DECQ(bits)
		KMOVW(bits.As32(), k)
		return mask{k}
	}
	table := GP64()
	LEAQ(tailTable(), table)
	SHLQ(Imm(2), rem)
	SUBQ(rem, table)
	m := make(mask, v.parts())
	for i := range m {
		m[i] = YMM()
		VMOVUPS(Mem{Base: table, Disp: 4*group + i*v.bytes}, m[i])
	}
	return m
}

// tailTable is a group of ones before a group of zeros.
func tailTable() Mem {
	if m, ok := statics["tail"]; ok {
		return m
	}
	m := GLOBL("tailmask", RODATA|NOPTR)
	for i := range 2 * group {
		var bits uint32
		if i < group {
			bits = math.MaxUint32
		}
		DATA(4*i, U32(bits))
	}
	statics["tail"] = m
	return m
}

var inf = math.Inf(1)

var statics = map[string]Mem{}

// constant is a memory operand of a full vector of one value.
func constant(name string, bits uint32) Mem {
	if m, ok := statics[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range group {
		DATA(4*i, U32(bits))
	}
	statics[name] = m
	return m
}

func float(name string, value float64) Mem {
	return constant(name, math.Float32bits(float32(value)))
}

// load reads part p of the group at m; lanes outside of the mask become 0.
func (v isa) load(m Mem, p int, k mask) reg.VecVirtual {
	m.Disp += p * v.bytes
	r := v.reg()
	switch {
	case k == nil:
		VMOVUPS(m, r)
	case v.bytes == 64:
		VMOVUPS_Z(m, k[p], r)
	default:
		VMASKMOVPS(m, k[p], r)
	}
	return r
}

// store writes part p of the group at m within the mask.
func (v isa) store(r reg.Register, m Mem, p int, k mask) {
	m.Disp += p * v.bytes
	switch {
	case k == nil:
		VMOVUPS(r, m)
	case v.bytes == 64:
		VMOVUPS(r, k[p], m)
	default:
		VMASKMOVPS(r, k[p], m)
	}
}

// keep clears the lanes of r outside of the mask.
func (v isa) keep(r reg.Register, p int, k mask) {
	switch {
	case k == nil:
	case v.bytes == 64:
		VMOVAPS_Z(r, k[p], r)
	default:
		VANDPS(k[p], r, r)
	}
}

// broadcast fills a vector with the value at m.
func (v isa) broadcast(m Op) reg.VecVirtual {
	r := v.reg()
	VBROADCASTSS(m, r)
	return r
}

var labels int

// label makes a name that is unique in the file.
func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// eachGroup emits a loop over the columns of a row, several groups at a time
// while they last (each of unroll), then the rest under a mask. off is the
// offset in bytes.
func eachGroup(cols reg.Register, tail mask, unroll []int, body func(off reg.Register, groups int, k mask)) {
	off, left := GP64(), GP64()
	XORQ(off, off)
	MOVQ(cols, left)
	for _, n := range unroll {
		loop, done := label("groups"), label("rest")
		Label(loop)
		CMPQ(left, U32(uint32(n*group)))
		JL(LabelRef(done))
		body(off, n, nil)
		ADDQ(U32(uint32(4*n*group)), off)
		SUBQ(U32(uint32(n*group)), left)
		JMP(LabelRef(loop))
		Label(done)
	}
	end := label("end")
	TESTQ(left, left)
	JZ(LabelRef(end))
	body(off, 1, tail)
	Label(end)
}

// loop emits a loop that runs n times (n is consumed); none if n is 0.
func loop(n reg.Register, body func()) {
	top, end := label("loop"), label("end")
	TESTQ(n, n)
	JZ(LabelRef(end))
	Label(top)
	body()
	DECQ(n)
	JNZ(LabelRef(top))
	Label(end)
}

// ifSet emits code that runs where a pointer is not nil.
func ifSet(p reg.Register, body func()) {
	end := label("end")
	TESTQ(p, p)
	JZ(LabelRef(end))
	body()
	Label(end)
}

func ptr(name string) reg.Register { return Load(Param(name), GP64()) }

func at(base, off reg.Register) Mem { return Mem{Base: base, Index: off, Scale: 1} }
