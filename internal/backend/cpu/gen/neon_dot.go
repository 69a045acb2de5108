package main

import (
	"fmt"
	"math"
)

// neonDot is an arithmetic of products of reduced precision. A step takes a few
// values of a row and of each column; a panel is 16 columns wide.
type neonDot struct {
	name        string
	rowBytes    int // of a step, in a row of a
	columnBytes int // of a step, in a column of b
	ints        bool
}

var (
	// neonSDOT multiplies 4 signed bytes of a and of each column by one instruction,
	// which later processors have.
	neonSDOT = neonDot{"dotInt8NEON", 4, 4, true}
	// neonPairs multiplies 2 of them: a product is a word, two make a sum.
	neonPairs = neonDot{"dotInt8WordsNEON", 2, 2, true}
	// neonBF16 multiplies float32 values of a with pairs of bfloat16 of b.
	neonBF16 = neonDot{"dotBF16NEON", 8, 4, false}
)

// The bits of the control and status registers of floating-point arithmetic that
// make denormal results zeros, and that tell that there was one.
const (
	flushToZero = 1 << 24
	underflowAt = 3
)

// tile writes the kernel for a tile of mr rows and np column panels.
func (d neonDot) tile(f *neonFile, mr, np int) {
	doc := "sets c[%d, %d] to a·b."
	if d.ints {
		doc = "sets c[%d, %d] to (start + a·b)·(rows·columns); start is 0."
	}
	f.function(fmt.Sprintf("%s_%dx%d", d.name, mr, np),
		"(steps int, a *byte, as uintptr, b *byte, bps uintptr, start *int32, rows, columns *float32, c *float32, cs uintptr)",
		fmt.Sprintf(doc, mr, np*group), func(a *neon) {
			t := &neonTile{neon: a, mr: mr, np: np, acc: a.accumulators(mr, np)}
			a.clear(t.acc)
			steps := a.param("steps")
			t.a = a.rows(a.param("a"), a.param("as"), mr)
			t.b = a.rows(a.param("b"), a.param("bps"), np)
			var mode *vreg
			if !d.ints {
				mode = a.reg()
				now := a.reg()
				a.ins("MRS FPCR, {0}", mode)
				a.ins(fmt.Sprintf("ORR $%d, {0}, {1}", flushToZero), mode, now)
				a.ins("MSR {0}, FPCR", now)
				a.ins("MSR ZR, FPSR")
			}
			a.loop(steps, func() { d.step(t) })
			c, cs := a.param("c"), a.param("cs")
			if d.ints {
				t.scale()
			}
			status := a.reg()
			if !d.ints {
				a.ins("MRS FPSR, {0}", status)
				a.ins("MSR {0}, FPCR", mode)
			}
			for i := range t.acc {
				a.sums("FSTPQ", c, t.acc[i])
				a.ins("ADD {0}, {1}", cs, c)
			}
			if !d.ints {
				end := a.label("exact")
				a.branch(fmt.Sprintf("TBZ $%d, {0}, ", underflowAt), end, status)
				neonFlushed(a, mr, np)
				a.place(end)
			}
		})
}

// step adds the products of one step to the sums.
func (d neonDot) step(t *neonTile) {
	a := t.neon
	switch d {
	case neonSDOT:
		t.products(func(p int) []*vreg { return a.panel(t.b[p]) }, func(i int) *vreg {
			x := a.vec()
			a.ins("FMOVS.P 4({0}), {1f}", t.a[i], x)
			return x
		}, a.addLanes("sdot"))
	case neonPairs:
		// A vector of b has the pairs of 8 columns.
		t.products(func(p int) []*vreg {
			w := []*vreg{a.vec(), a.vec()}
			a.ins("FLDPQ.P 32({0}), ({1f}, {2f})", t.b[p], w[0], w[1])
			return w
		}, func(i int) *vreg {
			x := a.vec()
			a.ins("VLD1R.P 2({0}), [{1}.H8]", t.a[i], x)
			return x
		}, func(sums, w []*vreg, x *vreg) {
			for j, pairs := range w {
				low, high := a.vec(), a.vec()
				a.word("smull v%d.8h, v%d.8b, v%d.8b", 0x0e20c000, low, pairs, x)
				a.word("smull2 v%d.8h, v%d.16b, v%d.16b", 0x4e20c000, high, pairs, x)
				a.word("sadalp v%d.4s, v%d.8h", 0x4e606800, sums[2*j], low, nil)
				a.word("sadalp v%d.4s, v%d.8h", 0x4e606800, sums[2*j+1], high, nil)
			}
		})
	default:
		// The second value of the pair comes first.
		for _, second := range []bool{true, false} {
			t.products(func(p int) []*vreg {
				w := []*vreg{a.vec(), a.vec(), a.vec(), a.vec()}
				for j := 0; j < len(w); j += 2 {
					if second {
						a.ins(fmt.Sprintf("FLDPQ %d({0}), ({1f}, {2f})", 16*j), t.b[p], w[j], w[j+1])
					} else {
						a.ins("FLDPQ.P 32({0}), ({1f}, {2f})", t.b[p], w[j], w[j+1])
					}
				}
				for _, r := range w {
					a.half(r, second)
				}
				return w
			}, func(i int) *vreg {
				x := a.vec()
				if second {
					a.ins("FMOVS 4({0}), {1f}", t.a[i], x)
				} else {
					a.ins("FMOVS.P 8({0}), {1f}", t.a[i], x)
				}
				return x
			}, a.addLanes("fmla"))
		}
	}
}

// half leaves the second or first value of pairs of bfloat16 as float32.
func (a *neon) half(r *vreg, second bool) {
	if second {
		a.ins("VAND {0}.B16, {1}.B16, {1}.B16", a.bits(0xffff0000), r)
	} else {
		a.ins("VSHL $16, {0}.S4, {0}.S4", r)
	}
}

// scale turns the integer sums into floats times the scales of row and column.
func (t *neonTile) scale() {
	a := t.neon
	rows, columns := a.param("rows"), a.param("columns")
	for i := range t.acc {
		row := a.vec()
		a.ins("VLD1R.P 4({0}), [{1}.S4]", rows, row)
		for j, sum := range t.acc[i] {
			s := a.mul(a.load(columns, j, nil), row)
			a.word("scvtf v%d.4s, v%d.4s", 0x4e21d800, sum, sum, nil)
			a.three("fmul", sum, sum, s)
		}
	}
}

// neonFlushed computes a tile again, vector by vector, where a sum fell below the
// least normal number. NEON flushes all of those, but f32.FMAFlush only what is
// still below when it is rounded to 24 bits: that shows on the same sum of numbers
// scaled by 2²⁴, which is normal.
func neonFlushed(a *neon, mr, np int) {
	row, rows := a.param("a"), a.reg()
	out := a.param("c")
	k := flushing{a.here(1 << 12), a.here(1 << 24), a.here(0x1p-126), a.here(0x1p-102), a.here(math.Copysign(0, -1))}
	a.ins(fmt.Sprintf("MOVD $%d, {0}", mr), rows)
	a.loop(rows, func() {
		panel, panels, c := a.param("b"), a.reg(), a.copyOf(out)
		a.ins(fmt.Sprintf("MOVD $%d, {0}", np), panels)
		a.loop(panels, func() {
			first, vectors := a.copyOf(panel), a.reg()
			a.ins(fmt.Sprintf("MOVD $%d, {0}", parts64), vectors)
			a.loop(vectors, func() {
				x, w, steps, sum := a.copyOf(row), a.copyOf(first), a.param("steps"), a.zeros()
				a.loop(steps, func() {
					for _, second := range []bool{true, false} {
						v, pair := a.vec(), a.vec()
						a.ins("FMOVQ ({0}), {1f}", w, pair)
						a.half(pair, second)
						at := a.reg()
						if second {
							a.ins("ADD $4, {0}, {1}", x, at)
						} else {
							a.ins("MOVD {0}, {1}", x, at)
						}
						a.ins("VLD1R ({0}), [{1}.S4]", at, v)
						a.flushed(sum, pair, v, k)
					}
					a.ins("ADD $8, {0}", x)
					a.ins("ADD $64, {0}", w)
				})
				a.store(sum, c, 0, nil)
				a.ins("ADD $16, {0}", c)
				a.ins("ADD $16, {0}", first)
			})
			a.addParam("bps", panel)
		})
		a.addParam("as", row)
		a.addParam("cs", out)
	})
}

// flushing are constants of flushed.
type flushing struct{ half, whole, least, leastWhole, sign *vreg }

// flushed is f32.FMAFlush: sum = x·w + sum.
func (a *neon) flushed(sum, w, x *vreg, k flushing) {
	wide := a.mul(sum, k.whole)
	a.three("fmla", wide, a.mul(x, k.half), a.mul(w, k.half))
	a.three("fmla", sum, x, w)
	small := a.new("fcmge", k.least, a.two("fabs", sum))
	below := a.new("fcmgt", k.leastWhole, a.two("fabs", wide))
	sign := a.bitwise("VAND", sum, k.sign)
	a.choose(a.bitwise("VAND", small, below), sign, sum)
}

// neonQuantize writes the kernel that turns rows into bytes and their scales. See
// f32.Int8Scale. It writes whole groups; values past the row are 0.
func neonQuantize(f *neonFile) {
	f.function("quantizeNEON", "(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)",
		"turns rows into bytes, and their scales.", func(a *neon) {
			left, cols := a.param("rows"), a.param("cols")
			q, x, scale := a.param("q"), a.param("x"), a.param("scale")
			rest := a.rest(cols)
			a.loop(left, func() {
				most := a.partial()
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from := a.sum(x, off)
					for p := range most {
						// The order of magnitudes is that of their bits, NaN above all.
						a.three("umax", most[p], most[p], a.two("fabs", a.load(from, p, rest)))
					}
				})
				m := a.new("umax", a.new("umax", most[0], most[1]), a.new("umax", most[2], most[3]))
				a.word("umaxv s%d, v%d.4s", 0x6eb0a800, m, m, nil)
				factor := a.int8Factor(m, scale)
				to := a.copyOf(q)
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from := a.sum(x, off)
					var n [parts64]*vreg
					for p := range n {
						n[p] = a.two("fcvtns", a.mul(a.load(from, p, rest), factor)) // NaN gives 0
					}
					a.word("xtn v%d.4h, v%d.4s", 0x0e612800, n[0], n[0], nil)
					a.word("xtn2 v%d.8h, v%d.4s", 0x4e612800, n[0], n[1], nil)
					a.word("xtn v%d.4h, v%d.4s", 0x0e612800, n[2], n[2], nil)
					a.word("xtn2 v%d.8h, v%d.4s", 0x4e612800, n[2], n[3], nil)
					a.word("xtn v%d.8b, v%d.8h", 0x0e212800, n[0], n[0], nil)
					a.word("xtn2 v%d.16b, v%d.8h", 0x4e212800, n[0], n[2], nil)
					a.ins("FMOVQ.P {1f}, 16({0})", to, n[0])
				})
				a.addParam("qs", q)
				a.addParam("xs", x)
				a.ins("ADD $4, {0}", scale)
			})
		})
}

// int8Factor is f32.Int8Scale of the magnitude in the first lane of m: it writes
// the scale and gives the factor in all lanes.
func (a *neon) int8Factor(m, scale *vreg) *vreg {
	bits, factor, n, s := a.reg(), a.zeros(), a.vec(), a.vec()
	tiny, endless, done := a.label("tiny"), a.label("endless"), a.label("done")
	a.ins("VMOV {0}.S[0], {1}", m, bits)
	limit := func(value uint32, branch, label string) {
		a.ins(fmt.Sprintf("MOVD $%#x, %s", value, scratch64))
		a.ins("CMPW "+scratch64+", {0}", bits)
		a.branch(branch+" ", label)
	}
	limit(27<<23, "BLO", tiny) // 2⁻¹⁰⁰
	limit(0x7f800000, "BHS", endless)
	a.ins("VMOV {0}.B16, {1}.B16", a.float(127), n)
	a.ins("FDIVS {0f}, {1f}, {2f}", n, m, s)
	a.ins("FMOVS {1f}, ({0})", scale, s)
	a.ins("FDIVS {0f}, {1f}, {2f}", m, n, s)
	a.ins("VDUP {0}.S[0], {1}.S4", s, factor)
	a.branch("JMP ", done)
	a.place(endless)
	a.ins("MOVD $0x7fc00000, " + scratch64)
	a.ins("MOVW "+scratch64+", ({0})", scale)
	a.branch("JMP ", done)
	a.place(tiny)
	a.ins("MOVW ZR, ({0})", scale)
	a.place(done)
	return factor
}

// bfloat16 rounds the lanes of x to bfloat16 in the upper half. See f32.BFloat16.
func (a *neon) bfloat16(x *vreg) *vreg {
	r := a.vec()
	a.ins("VUSHR $16, {0}.S4, {1}.S4", x, r)
	a.ins("VAND {0}.B16, {1}.B16, {1}.B16", a.bits(1), r)
	a.three("add", r, r, x)
	a.three("add", r, r, a.bits(0x7fff))
	number := a.new("fcmeq", x, x)
	quiet := a.bitwise("VORR", x, a.bits(1<<22))
	a.choose(number, r, quiet)
	r = a.bitwise("VAND", quiet, a.bits(0xffff0000))
	normal := a.vec()
	a.ins("VCMTST {0}.S4, {1}.S4, {2}.S4", a.bits(0x7f800000), r, normal)
	sign := a.bitwise("VAND", r, a.bits(1<<31))
	a.choose(normal, r, sign)
	return sign
}

// neonRoundValues writes the kernel that turns rows into float32 values that
// bfloat16 holds. It writes whole groups; values past the row are 0.
func neonRoundValues(f *neonFile) {
	f.function("roundValuesNEON", "(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)",
		"rounds rows to values of bfloat16; scale is not used.", func(a *neon) {
			left, cols := a.param("rows"), a.param("cols")
			q, x := a.param("q"), a.param("x")
			rest := a.rest(cols)
			a.loop(left, func() {
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, to := a.sum(x, off), a.sum(q, off)
					for p := range parts64 {
						a.store(a.bfloat16(a.load(from, p, rest)), to, p, nil)
					}
				})
				a.addParam("qs", q)
				a.addParam("xs", x)
			})
		})
}
