package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotKind is an arithmetic of products of reduced precision. A step takes a few
// values of a row and of each column; a panel is two vectors of columns wide.
type dotKind struct {
	name string
	isa
	rowBytes    int // of a step, in a row of a
	columnBytes int // of a step, in a column of b
	ints        bool
}

var (
	// int8VNNI multiplies bytes of a, offset by 128, with signed bytes of b.
	int8VNNI = dotKind{"dotInt8VNNI", avx512, 4, 4, true}
	// int8Words multiplies words of a with bytes of b.
	int8Words = dotKind{"dotInt8", avx2, 4, 2, true}
	// bf16Pairs multiplies pairs of bfloat16.
	bf16Pairs = dotKind{"dotBF16", avx512, 4, 4, false}
	// bf16FMA multiplies float32 values of a with pairs of bfloat16 of b.
	bf16FMA512 = dotKind{"dotBF16FMA", avx512, 8, 4, false}
	bf16FMA256 = dotKind{"dotBF16FMA", avx2, 8, 4, false}
)

// flushDenormals is the bit of MXCSR that turns denormal results into zeros. There
// are no denormal operands.
const flushDenormals = 1 << 15

// dot writes the kernel for a tile of mr rows and np column panels.
func dot(d dotKind, mr, np int) {
	name := fmt.Sprintf("%s%s_%dx%d", d.name, d.suffix, mr, np)
	TEXT(name, NOSPLIT,
		"func(steps int, a *byte, as uintptr, b *byte, bps uintptr, start *int32, rows, columns *float32, c *float32, cs uintptr)")
	doc := " sets c[%d, %d] to a·b."
	if d.ints {
		doc = " sets c[%d, %d] to (start + a·b)·(rows·columns)."
	}
	Doc(name + fmt.Sprintf(doc, mr, np*2*d.lanes()))
	Pragma("noescape")

	nv := 2 * np
	acc := d.start(mr, nv)
	flush := d.rowBytes == 8
	var mode Mem
	if flush {
		mode = AllocLocal(8)
		old, now := mode, GP32()
		STMXCSR(old)
		MOVL(old, now)
		ORL(U32(flushDenormals), now)
		MOVL(now, mode.Offset(4))
		LDMXCSR(mode.Offset(4))
	}

	steps := Load(Param("steps"), GP64())
	as := Load(Param("as"), GP64())
	// Three rows of a to a pointer: base, base+as, base+2·as.
	var a []reg.Register
	for i := 0; i < mr; i += 3 {
		p := GP64()
		if i == 0 {
			Load(Param("a"), p)
		} else {
			LEAQ(Mem{Base: a[len(a)-1], Index: as, Scale: 2}, p)
			ADDQ(as, p)
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
	vector := d.lanes() * d.columnBytes // bytes of b in a vector of columns
	TESTQ(steps, steps)
	JZ(LabelRef("store"))

	Label("loop")
	element := func(i, off int) Mem {
		m := Mem{Base: a[i/3], Disp: off}
		if i%3 > 0 {
			m.Index, m.Scale = as, uint8(i%3)
		}
		return m
	}
	column := func(j int) Mem { return Mem{Base: b[j/2], Disp: j % 2 * vector} }
	d.step(acc, element, column)
	for _, p := range a {
		ADDQ(Imm(uint64(d.rowBytes)), p)
	}
	for _, p := range b {
		ADDQ(Imm(uint64(2*vector)), p)
	}
	DECQ(steps)
	JNZ(LabelRef("loop"))

	Label("store")
	if flush {
		LDMXCSR(mode)
	}
	c, cs := Load(Param("c"), GP64()), Load(Param("cs"), GP64())
	var rows, columns reg.Register
	if d.ints {
		rows, columns = Load(Param("rows"), GP64()), Load(Param("columns"), GP64())
	}
	for i := range acc {
		var scale reg.VecVirtual
		if d.ints {
			scale = d.broadcast(Mem{Base: rows, Disp: 4 * i})
		}
		for j := range acc[i] {
			if d.ints {
				s := d.reg()
				VMULPS(Mem{Base: columns, Disp: j * d.bytes}, scale, s)
				VCVTDQ2PS(acc[i][j], acc[i][j])
				VMULPS(s, acc[i][j], acc[i][j])
			}
			VMOVUPS(acc[i][j], Mem{Base: c, Disp: j * d.bytes})
		}
		ADDQ(cs, c)
	}
	VZEROUPPER()
	RET()
}

// start makes the sums: zero, or where bytes of a are offset, what takes the
// offset back.
func (d dotKind) start(mr, nv int) [][]reg.Register {
	var from reg.Register
	if d == int8VNNI {
		from = Load(Param("start"), GP64())
	}
	acc := make([][]reg.Register, mr)
	for i := range acc {
		for j := range nv {
			var r reg.Register = d.reg()
			if d == bf16Pairs {
				r = zmm(i*nv + j) // see dotPairs
			}
			if from != nil {
				VMOVDQU32(Mem{Base: from, Disp: j * d.bytes}, r)
			} else {
				d.zero(r)
			}
			acc[i] = append(acc[i], r)
		}
	}
	return acc
}

// step adds the products of one step to the sums.
func (d dotKind) step(acc [][]reg.Register, element func(i, off int) Mem, column func(j int) Mem) {
	switch d {
	case int8VNNI:
		eachProduct(acc, func(j int) reg.Register {
			w := d.reg()
			VMOVDQU32(column(j), w)
			return w
		}, func(i int) reg.Register {
			x := d.reg()
			VPBROADCASTD(element(i, 0), x)
			return x
		}, func(w, x, sum reg.Register) { VPDPBUSD(w, x, sum) })
	case int8Words:
		eachProduct(acc, func(j int) reg.Register {
			w := d.reg()
			VPMOVSXBW(column(j), w)
			return w
		}, func(i int) reg.Register {
			x := d.reg()
			VPBROADCASTD(element(i, 0), x)
			return x
		}, func(w, x, sum reg.Register) {
			t := d.reg()
			VPMADDWD(w, x, t)
			VPADDD(t, sum, sum)
		})
	case bf16Pairs:
		nv := len(acc[0])
		eachProduct(acc, func(j int) reg.Register {
			w := zmm(31 - j)
			VMOVDQU32(column(j), w)
			return w
		}, func(i int) reg.Register {
			x := zmm(31 - nv - i%2)
			VPBROADCASTD(element(i, 0), x)
			return x
		}, dotPairs)
	default:
		for _, second := range []bool{true, false} {
			eachProduct(acc, func(j int) reg.Register {
				w := d.reg()
				switch {
				case second && d.bytes == 64:
					VMOVDQU32(column(j), w)
					VPANDD(constant("upperhalf", 0xffff0000), w, w)
				case second:
					VMOVUPS(column(j), w)
					VPAND(constant("upperhalf", 0xffff0000), w, w)
				default:
					VMOVUPS(column(j), w)
					VPSLLD(Imm(16), w, w)
				}
				return w
			}, func(i int) reg.Register {
				if second {
					return d.broadcast(element(i, 4))
				}
				return d.broadcast(element(i, 0))
			}, func(w, x, sum reg.Register) { VFMADD231PS(w, x, sum) })
		}
	}
}

// eachProduct emits the products of rows and columns. With one row no vector of
// columns has to stay in a register.
func eachProduct(acc [][]reg.Register, column, row func(int) reg.Register, add func(w, x, sum reg.Register)) {
	if len(acc) == 1 {
		x := row(0)
		for j, sum := range acc[0] {
			add(column(j), x, sum)
		}
		return
	}
	var w []reg.Register
	for j := range acc[0] {
		w = append(w, column(j))
	}
	for i := range acc {
		x := row(i)
		for j, sum := range acc[i] {
			add(w[j], x, sum)
		}
	}
}

func zmm(i int) reg.Register { return reg.Vector.Lookup(reg.Index(i), reg.S512) }

// dotPairs is VDPBF16PS w, x, sum, which neither avo nor Go's assembler knows: it
// is written as bytes, so its registers are fixed ones.
// EVEX.512.F3.0F38.W0 52 /r.
func dotPairs(w, x, sum reg.Register) {
	id := func(r reg.Register) uint32 { return uint32(r.(reg.Physical).PhysicalIndex()) }
	rm, v, r := id(w), id(x), id(sum)
	not := func(n, bit, at uint32) uint32 { return (^n >> bit & 1) << at }
	p0 := not(r, 3, 7) | not(rm, 4, 6) | not(rm, 3, 5) | not(r, 4, 4) | 2
	p1 := (^v&15)<<3 | 1<<2 | 2
	p2 := 2<<5 | not(v, 4, 3)
	in, out := []Op{w, x, sum}, []Op{sum}
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(0x62 | p0<<8 | p1<<16 | p2<<24)}, Inputs: in, Outputs: out})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(0x52 | (0xc0|r&7<<3|rm&7)<<8)}, Inputs: in, Outputs: out})
}
