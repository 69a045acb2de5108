package main

import "fmt"

// neonTile are the rows of a and column panels of b of a product: a vector of the
// panels holds 4 columns, a panel 4 vectors.
type neonTile struct {
	*neon
	mr, np int
	a, b   []*vreg
	acc    [][]*vreg // [row][vector]
}

// rows gives pointers to rows that lie stride apart.
func (a *neon) rows(first, stride *vreg, n int) []*vreg {
	p := []*vreg{first}
	for len(p) < n {
		p = append(p, a.sum(p[len(p)-1], stride))
	}
	return p
}

// products writes the multiplications of one step: column gives the vectors of a
// panel, row the value of a row, and add their products to the sums of 16 columns.
// Both are there a little before they are needed, which processors like that do
// not reorder instructions.
func (t *neonTile) products(column func(panel int) []*vreg, row func(i int) *vreg, add func(sums, w []*vreg, x *vreg)) {
	const ahead = 2
	var w [][]*vreg
	var x []*vreg
	for p := range t.np {
		for len(w) < min(p+2, t.np) {
			w = append(w, column(len(w)))
		}
		for i := range t.mr {
			for len(x) < min(i+1+ahead, t.mr) {
				x = append(x, row(len(x)))
			}
			add(t.acc[i][p*parts64:][:parts64], w[p], x[i])
		}
	}
}

// addLanes adds products of vectors by one value.
func (a *neon) addLanes(op string) func(sums, w []*vreg, x *vreg) {
	return func(sums, w []*vreg, x *vreg) {
		for j, sum := range sums {
			a.lane(op, sum, w[j], x, 0)
		}
	}
}

// panel loads the 4 vectors of a panel at b and goes to the next 4.
func (a *neon) panel(b *vreg) []*vreg {
	w := []*vreg{a.vec(), a.vec(), a.vec(), a.vec()}
	a.ins("FLDPQ.P 32({0}), ({1f}, {2f})", b, w[0], w[1])
	a.ins("FLDPQ.P 32({0}), ({1f}, {2f})", b, w[2], w[3])
	return w
}

// sums loads or stores the sums of a row.
func (a *neon) sums(ins string, c *vreg, acc []*vreg) {
	for j := 0; j < len(acc); j += 2 {
		if ins == "FLDPQ" {
			a.ins(fmt.Sprintf("FLDPQ %d({0}), ({1f}, {2f})", 16*j), c, acc[j], acc[j+1])
		} else {
			a.ins(fmt.Sprintf("FSTPQ ({1f}, {2f}), %d({0})", 16*j), c, acc[j], acc[j+1])
		}
	}
}

// accumulators gives the sums of a tile, not yet set.
func (a *neon) accumulators(mr, np int) [][]*vreg {
	acc := make([][]*vreg, mr)
	for i := range acc {
		for range parts64 * np {
			acc[i] = append(acc[i], a.vec())
		}
	}
	return acc
}

func (a *neon) clear(acc [][]*vreg) {
	for _, row := range acc {
		for _, r := range row {
			a.ins("VEOR {0}.B16, {0}.B16, {0}.B16", r)
		}
	}
}

// neonGEMM writes the kernel for a tile of mr rows and np column panels. Every
// output is one accumulator with one chain of FMA over k.
func neonGEMM(f *neonFile, mr, np int) {
	f.function(fmt.Sprintf("gemmNEON_%dx%d", mr, np),
		"(kc, taps int, a *float32, ars, aks, atap uintptr, more int, a2, b *float32, bps uintptr, from *float32, fs uintptr, c *float32, cs uintptr)",
		fmt.Sprintf("sets c[%d, %d] to from + a·b over kc products of each tap; from may be nil.", mr, np*group),
		func(a *neon) {
			t := neonTile{neon: a, mr: mr, np: np, acc: a.accumulators(mr, np)}
			row, fs := a.param("from"), a.param("fs")
			zero, start, store := a.label("zero"), a.label("start"), a.label("store")
			a.branch("CBZ {0}, ", zero, row)
			for i := range t.acc {
				a.sums("FLDPQ", row, t.acc[i])
				a.ins("ADD {0}, {1}", fs, row)
			}
			a.branch("JMP ", start)
			a.place(zero)
			a.clear(t.acc)
			a.place(start)
			kc, aks, taps, atap := a.param("kc"), a.param("aks"), a.param("taps"), a.param("atap")
			t.a = a.rows(a.param("a"), a.param("ars"), mr)
			t.b = a.rows(a.param("b"), a.param("bps"), np)
			next := a.param("a2")
			off, begin, left := a.reg(), a.reg(), a.reg()
			a.ins("MOVD ZR, {0}", begin)
			a.branch("CBZ {0}, ", store, kc)
			tap, top := a.label("tap"), a.label("loop")
			a.place(tap)
			a.ins("MOVD {0}, {1}", begin, off)
			a.ins("MOVD {0}, {1}", kc, left)
			a.place(top)
			t.products(func(p int) []*vreg { return a.panel(t.b[p]) }, func(i int) *vreg {
				x := a.vec()
				a.ins("FMOVS ({0})({1}), {2f}", t.a[i], off, x)
				return x
			}, a.addLanes("fmla"))
			a.ins("ADD {0}, {1}", aks, off)
			a.ins("SUB $1, {0}", left)
			a.branch("CBNZ {0}, ", top, left)
			a.ins("ADD {0}, {1}", atap, begin)
			a.ins("SUB $1, {0}", taps)
			a.branch("CBNZ {0}, ", tap, taps)
			a.branch("CBZ {0}, ", store, next)
			a.ins("SUB {0}, {1}, {2}", t.a[0], next, begin)
			a.ins("MOVD ZR, {0}", next)
			more := a.param("more")
			a.ins("MOVD {0}, {1}", more, taps)
			a.branch("JMP ", tap)
			a.place(store)
			c, cs := a.param("c"), a.param("cs")
			for i := range t.acc {
				a.sums("FSTPQ", c, t.acc[i])
				a.ins("ADD {0}, {1}", cs, c)
			}
		})
}

// neonPeakChains is the number of independent FMA chains of the peak kernel:
// enough for four units of four cycles.
const neonPeakChains = 24

// neonPeak writes a kernel that does nothing but multiply and add.
func neonPeak(f *neonFile) {
	f.function("peakNEON", "(n int)", fmt.Sprintf("runs n times %d vector FMA.", neonPeakChains), func(a *neon) {
		n, x := a.param("n"), a.zeros()
		acc := make([]*vreg, neonPeakChains)
		for i := range acc {
			acc[i] = a.zeros()
		}
		a.loop(n, func() {
			for _, s := range acc {
				a.lane("fmla", s, x, x, 0)
			}
		})
	})
}

// neonTranspose writes the kernel that turns 8 rows into 8 columns, in squares of
// 4 by 4.
func neonTranspose(f *neonFile) {
	f.function("transposeNEON", "(n int, dst *float32, ds uintptr, src *float32, ss uintptr)",
		"copies 8 rows of n squares of 8 columns to n·8 rows of 8 columns.", func(a *neon) {
			n, dst, ds, src, ss := a.param("n"), a.param("dst"), a.param("ds"), a.param("src"), a.param("ss")
			in := a.rows(src, ss, 8)
			// two interleaves lanes of two registers.
			two := func(op, kind string, x, y *vreg) *vreg {
				r := a.vec()
				a.ins(op+" {0}."+kind+", {1}."+kind+", {2}."+kind, y, x, r)
				return r
			}
			a.loop(n, func() {
				for range 2 { // halves of the columns of src
					var out [2][4]*vreg // [half of its rows][row of dst]
					for i := range out {
						var r [4]*vreg
						for k := range r {
							r[k] = a.vec()
							a.ins("FMOVQ.P 16({0}), {1f}", in[4*i+k], r[k])
						}
						even0, odd0 := two("VTRN1", "S4", r[0], r[1]), two("VTRN2", "S4", r[0], r[1])
						even1, odd1 := two("VTRN1", "S4", r[2], r[3]), two("VTRN2", "S4", r[2], r[3])
						out[i] = [4]*vreg{two("VTRN1", "D2", even0, even1), two("VTRN1", "D2", odd0, odd1),
							two("VTRN2", "D2", even0, even1), two("VTRN2", "D2", odd0, odd1)}
					}
					for k := range 4 {
						a.ins("FSTPQ ({1f}, {2f}), ({0})", dst, out[0][k], out[1][k])
						a.ins("ADD {0}, {1}", ds, dst)
					}
				}
			})
		})
}
