package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// columnUnroll is the number of groups that column kernels take at a time, to
// hide the latency of their chains.
func (v isa) columnUnroll() []int {
	if v.bytes == 64 {
		return []int{8, 1}
	}
	return []int{4, 1}
}

// columnSum writes the kernel of sums along time.
func columnSum(v isa) {
	TEXT("columnSum"+v.suffix, NOSPLIT,
		"func(rows, cols int, sum *float32, x *float32, xs uintptr, z *float32, zs uintptr)")
	Doc("columnSum" + v.suffix + " adds each column of x, or of x·z by FMA where z is not nil, to sum.")
	Pragma("noescape")
	cols, sum := ptr("cols"), ptr("sum")
	x, z := ptr("x"), ptr("z")
	xs, zs := ptr("xs"), ptr("zs")
	tail := v.tailMask(cols)
	eachGroup(cols, tail, v.columnUnroll(), func(off reg.Register, groups int, k mask) {
		n := groups * v.parts()
		acc := make([]reg.VecVirtual, n)
		for i := range acc {
			acc[i] = v.load(at(sum, off), i, k)
		}
		plain, done := label("plain"), label("done")
		xp, left := GP64(), Load(Param("rows"), GP64())
		LEAQ(at(x, off), xp)
		TESTQ(z, z)
		JZ(LabelRef(plain))
		zp := GP64()
		LEAQ(at(z, off), zp)
		loop(left, func() {
			for i := range acc {
				a, b := v.load(Mem{Base: xp}, i, k), v.load(Mem{Base: zp}, i, k)
				VFMADD231PS(a, b, acc[i])
			}
			ADDQ(xs, xp)
			ADDQ(zs, zp)
		})
		JMP(LabelRef(done))
		Label(plain)
		loop(left, func() {
			for i := range acc {
				a := v.load(Mem{Base: xp}, i, k)
				VADDPS(a, acc[i], acc[i])
			}
			ADDQ(xs, xp)
		})
		Label(done)
		for i := range acc {
			v.store(acc[i], at(sum, off), i, k)
		}
	})
	VZEROUPPER()
	RET()
}

// depthwise writes the kernel of the depthwise convolution.
func depthwise(v isa) {
	TEXT("depthwise"+v.suffix, NOSPLIT,
		"func(rows, cols, taps int, y *float32, ys uintptr, x *float32, xs, xtap uintptr, w *float32, wtap uintptr, bias *float32)")
	Doc("depthwise" + v.suffix + " convolves each column: x of the next tap is xtap bytes on, its weights wtap bytes.")
	Pragma("noescape")
	n, cols := ptr("rows"), ptr("cols")
	y, x, w, bias := ptr("y"), ptr("x"), ptr("w"), ptr("bias")
	xtap, wtap := ptr("xtap"), ptr("wtap")
	tail := v.tailMask(cols)
	unroll := []int{4, 1}
	if v.bytes == 32 {
		unroll = []int{2, 1}
	}
	loop(n, func() {
		eachGroup(cols, tail, unroll, func(off reg.Register, groups int, k mask) {
			acc := make([]reg.VecVirtual, groups*v.parts())
			for i := range acc {
				acc[i] = v.reg()
				v.zero(acc[i])
			}
			ifSet(bias, func() {
				for i := range acc {
					VMOVAPS(v.load(at(bias, off), i, k), acc[i])
				}
			})
			xp, wp, left := GP64(), GP64(), Load(Param("taps"), GP64())
			LEAQ(at(x, off), xp)
			LEAQ(at(w, off), wp)
			loop(left, func() {
				for i := range acc {
					a, b := v.load(Mem{Base: xp}, i, k), v.load(Mem{Base: wp}, i, k)
					VFMADD231PS(a, b, acc[i])
				}
				ADDQ(xtap, xp)
				ADDQ(wtap, wp)
			})
			for i := range acc {
				v.store(acc[i], at(y, off), i, k)
			}
		})
		addParam("ys", y)
		addParam("xs", x)
	})
	VZEROUPPER()
	RET()
}

// adamw writes the kernel of the optimiser. See f32.AdamW for the constants.
func adamw(v isa) {
	TEXT("adamw"+v.suffix, NOSPLIT, "func(n int, w, grad, m, v, c *float32)")
	Doc("adamw" + v.suffix + " updates weights w and moments m, v by gradient grad; c are the fields of f32.AdamW.")
	Pragma("noescape")
	n := ptr("n")
	wp, gp, mp, vp, cp := ptr("w"), ptr("grad"), ptr("m"), ptr("v"), ptr("c")
	tail := v.tailMask(n)
	eachGroup(n, tail, []int{1}, func(off reg.Register, _ int, k mask) {
		c := func(i int) reg.Register { return v.broadcast(Mem{Base: cp, Disp: 4 * i}) }
		for p := range v.parts() {
			w, g := v.load(at(wp, off), p, k), v.load(at(gp, off), p, k)
			m, s := v.load(at(mp, off), p, k), v.load(at(vp, off), p, k)
			t := c(1)
			VMULPS(g, t, t)
			VFMADD132PS(c(0), t, m) // m = beta1·m + rest1·g
			v.store(m, at(mp, off), p, k)
			t = c(3)
			VMULPS(g, t, t)
			VMULPS(g, t, t)
			VFMADD132PS(c(2), t, s)
			v.store(s, at(vp, off), p, k)
			VMULPS(c(4), m, m)
			VMULPS(c(5), s, s)
			VSQRTPS(s, s)
			VADDPS(c(6), s, s)
			VDIVPS(s, m, m)
			VFMADD231PS(c(7), w, m)
			VFMADD231PS(c(8), m, w)
			v.store(w, at(wp, off), p, k)
		}
	})
	VZEROUPPER()
	RET()
}

// smallest writes the kernel of the search of the least distance.
func smallest(v isa) {
	TEXT("smallest"+v.suffix, NOSPLIT, "func(n int, p, half, best *float32, code *int32)")
	Doc("smallest" + v.suffix + " finds, for each of 16 lanes, the least half − p and its index, over whole groups.")
	Pragma("noescape")
	n, pp, hp := ptr("n"), ptr("p"), ptr("half")
	least := v.newLeast(float("infinity", inf))
	SHRQ(Imm(4), n)
	loop(n, func() {
		for i := range v.parts() {
			d, p := v.load(Mem{Base: hp}, i, nil), v.load(Mem{Base: pp}, i, nil)
			VSUBPS(p, d, d)
			least.take(i, d)
		}
		least.next()
		ADDQ(U32(4*group), pp)
		ADDQ(U32(4*group), hp)
	})
	least.store("best")
	VZEROUPPER()
	RET()
}

// lanes is the vector 0, 1, 2, ….
func lanes() Mem {
	if m, ok := statics["lanes"]; ok {
		return m
	}
	m := GLOBL("lanes", RODATA|NOPTR)
	for i := range group {
		DATA(4*i, U32(uint32(i)))
	}
	statics["lanes"] = m
	return m
}
