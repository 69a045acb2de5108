package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lossKernel emits a kernel of package train.
func lossKernel(v isa, name, sig, doc string, body func()) {
	TEXT(name+v.suffix, NOSPLIT, sig)
	Doc(name + v.suffix + " " + doc)
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}

// eachLane emits a loop over n rows of lanes (n stays); off is the offset in bytes.
func eachLane(n reg.Register, body func(off reg.Register)) {
	off, left := GP64(), GP64()
	XORQ(off, off)
	MOVQ(n, left)
	loop(left, func() {
		body(off)
		ADDQ(U32(4*group), off)
	})
}

// squares is re² + im² + eps.
func (v isa) squares(re, im reg.Register, eps string) reg.VecVirtual {
	p := v.mul(re, re)
	VFMADD231PS(im, im, p)
	VADDPS(v.spread(eps), p, p)
	return p
}

// losses writes the kernels of the training losses, on rows of 16 frames.
func losses(v isa) {
	lossKernel(v, "magnitudes", "func(n int, mag, re, im *float32, tiny float32)", "is kernels.magnitudes.", func() {
		n, mag, re, im := ptr("n"), ptr("mag"), ptr("re"), ptr("im")
		eachLane(n, func(off reg.Register) {
			for p := range v.parts() {
				m := v.squares(v.load(at(re, off), p, nil), v.load(at(im, off), p, nil), "tiny")
				VSQRTPS(m, m)
				v.store(m, at(mag, off), p, nil)
			}
		})
	})
	lossKernel(v, "band", "func(n int, slope, mag, target, weights, sum *float32, floor, step float32)", "is kernels.band.", func() {
		n, slope, mag, target, weights := ptr("n"), ptr("slope"), ptr("mag"), ptr("target"), ptr("weights")
		w := GP64()
		MOVQ(weights, w)
		var my, mx []reg.VecVirtual
		for range v.parts() {
			y, x := v.reg(), v.reg()
			v.zero(y)
			v.zero(x)
			my, mx = append(my, y), append(mx, x)
		}
		eachLane(n, func(off reg.Register) {
			f := v.broadcast(Mem{Base: w})
			for p := range v.parts() {
				VFMADD231PS(at(mag, off).Offset(p*v.bytes), f, my[p])
				VFMADD231PS(at(target, off).Offset(p*v.bytes), f, mx[p])
			}
			ADDQ(Imm(4), w)
		})
		sum := ptr("sum")
		for p := range v.parts() {
			VADDPS(v.spread("floor"), my[p], my[p])
			VADDPS(v.spread("floor"), mx[p], mx[p])
			g := v.spread("step")
			VDIVPS(my[p], g, g)
			v.log2(my[p])
			v.log2(mx[p])
			d, sign := v.sub(my[p], mx[p]), v.reg()
			VANDPS(signs(), d, sign)
			VXORPS(sign, d, d)
			VXORPS(sign, g, g)
			total := v.load(Mem{Base: sum}, p, nil)
			VFMADD231PS(float("ln2", expHigh), d, total)
			v.store(total, Mem{Base: sum}, p, nil)
			my[p] = g
		}
		MOVQ(weights, w)
		eachLane(n, func(off reg.Register) {
			f := v.broadcast(Mem{Base: w})
			for p, g := range my {
				s := v.load(at(slope, off), p, nil)
				VFMADD231PS(f, g, s)
				v.store(s, at(slope, off), p, nil)
			}
			ADDQ(Imm(4), w)
		})
	})
	lossKernel(v, "turn", "func(n int, re, im, slope, mag *float32)", "is kernels.turn.", func() {
		n, re, im, slope, mag := ptr("n"), ptr("re"), ptr("im"), ptr("slope"), ptr("mag")
		eachLane(n, func(off reg.Register) {
			for p := range v.parts() {
				g := v.load(at(slope, off), p, nil)
				VDIVPS(at(mag, off).Offset(p*v.bytes), g, g)
				for _, x := range []reg.Register{re, im} {
					z := v.load(at(x, off), p, nil)
					VMULPS(g, z, z)
					v.store(z, at(x, off), p, nil)
				}
			}
		})
	})
	lossKernel(v, "compressed", "func(n int, yr, yi, xr, xi, sums *float32, eps, power float32)", "is kernels.compressed.", func() {
		n, yrp, yip, xrp, xip := ptr("n"), ptr("yr"), ptr("yi"), ptr("xr"), ptr("xi")
		var diff, energy []reg.VecVirtual
		for range v.parts() {
			d, e := v.reg(), v.reg()
			v.zero(d)
			v.zero(e)
			diff, energy = append(diff, d), append(energy, e)
		}
		// factor is p^power.
		factor := func(p reg.VecVirtual) {
			v.log2(p)
			VMULPS(v.spread("power"), p, p)
			v.exp2(p)
		}
		eachLane(n, func(off reg.Register) {
			for p := range v.parts() {
				cr, ci := v.load(at(xrp, off), p, nil), v.load(at(xip, off), p, nil)
				gx := v.squares(cr, ci, "eps")
				factor(gx)
				VMULPS(gx, cr, cr)
				VMULPS(gx, ci, ci)
				VFMADD231PS(cr, cr, energy[p])
				VFMADD231PS(ci, ci, energy[p])
				yr, yi := v.load(at(yrp, off), p, nil), v.load(at(yip, off), p, nil)
				square := v.squares(yr, yi, "eps")
				gy := v.copied(square)
				factor(gy)
				dr, di := cr, ci
				VFMSUB231PS(gy, yr, dr)
				VFMSUB231PS(gy, yi, di)
				VFMADD231PS(dr, dr, diff[p])
				VFMADD231PS(di, di, diff[p])
				along := v.mul(yr, dr)
				VFMADD231PS(yi, di, along)
				VMULPS(gy, along, along)
				VDIVPS(square, along, along)
				VMULPS(v.spread("power"), along, along)
				VADDPS(along, along, along)
				for _, out := range []struct {
					d, y reg.VecVirtual
					at   reg.Register
				}{{dr, yr, yrp}, {di, yi, yip}} {
					VMULPS(gy, out.d, out.d)
					VFMADD231PS(along, out.y, out.d)
					VADDPS(out.d, out.d, out.d)
					v.store(out.d, at(out.at, off), p, nil)
				}
			}
		})
		sums := ptr("sums")
		for p := range v.parts() {
			v.store(diff[p], Mem{Base: sums}, p, nil)
			v.store(energy[p], Mem{Base: sums, Disp: 4 * group}, p, nil)
		}
	})
	lossKernel(v, "add", "func(n int, y, x, squares *float32)", "is kernels.add.", func() {
		n, y, x := ptr("n"), ptr("y"), ptr("x")
		var sums []reg.VecVirtual
		for range v.parts() {
			s := v.reg()
			v.zero(s)
			sums = append(sums, s)
		}
		eachLane(n, func(off reg.Register) {
			for p := range v.parts() {
				s := v.load(at(y, off), p, nil)
				VADDPS(at(x, off).Offset(p*v.bytes), s, s)
				VFMADD231PS(s, s, sums[p])
				v.store(s, at(y, off), p, nil)
			}
		})
		squares := ptr("squares")
		for p := range v.parts() {
			v.store(sums[p], Mem{Base: squares}, p, nil)
		}
	})
}
