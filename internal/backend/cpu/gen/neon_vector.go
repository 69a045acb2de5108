package main

import "math"

// clamp limits x; NaN stays.
func (a *neon) clamp(x *vreg, low, high float64) *vreg {
	return a.new("fmax", a.new("fmin", x, a.here(high)), a.here(low))
}

// polynomial gives c[0]·zⁿ + … + c[n], by FMA.
func (a *neon) polynomial(z *vreg, c ...float64) *vreg {
	p := a.here(c[0])
	for _, value := range c[1:] {
		next := a.here(value)
		a.three("fmla", next, p, z)
		p = next
	}
	return p
}

// below gives yes where x < limit, otherwise no.
func (a *neon) below(x *vreg, limit float64, yes, no *vreg) *vreg {
	r := a.copyOf(no)
	a.choose(a.new("fcmgt", a.here(limit), x), yes, r) // false for NaN
	return r
}

// copysign gives y, which is not negative, the sign of x.
func (a *neon) copysign(y, x *vreg) *vreg {
	return a.bitwise("VORR", y, a.bitwise("VAND", x, a.bits(1<<31)))
}

// round gives n, the integer nearest to x·factor, in the low bits of t and as a
// number.
func (a *neon) round(x *vreg, factor float64) (t, n *vreg) {
	magic := a.float(3 << 22)
	t = a.fma(x, a.here(factor), magic)
	return t, a.sub(t, magic)
}

// expParts gives p, r and scale: see f32.Exp.
func (a *neon) expParts(x *vreg) (p, r, scale *vreg) {
	x = a.clamp(x, expLow, expTop)
	t, n := a.round(x, math.Log2E)
	r = a.copyOf(x)
	a.three("fmla", r, n, a.here(-expHigh))
	a.three("fmla", r, n, a.here(-expRest))
	p = a.polynomial(r, expTerms...)
	a.ins("VSHL $23, {0}.S4, {0}.S4", t)
	a.ins("VADD {0}.S4, {1}.S4, {1}.S4", a.float(1), t)
	return p, r, t
}

// exp gives f32.Exp(x).
func (a *neon) exp(x *vreg) *vreg {
	p, r, scale := a.expParts(x)
	return a.mul(a.fma(p, r, a.float(1)), scale)
}

// expm1 gives f32.Expm1(x).
func (a *neon) expm1(x *vreg) *vreg {
	p, r, scale := a.expParts(x)
	return a.fma(a.mul(p, r), scale, a.sub(scale, a.float(1)))
}

// sin gives f32.Sin(x).
func (a *neon) sin(x *vreg) *vreg {
	x = a.clamp(x, -trigTop, trigTop)
	quarters, n := a.round(x, 2/math.Pi)
	r := a.copyOf(x)
	for _, part := range quarterTurn {
		a.three("fmla", r, n, a.here(part))
	}
	z := a.mul(r, r)
	s := a.polynomial(z, sinTerms...)
	s = a.fma(a.mul(s, z), r, r)
	c := a.polynomial(z, cosTerms...)
	// Bit 0 chooses, bit 1 is the sign.
	odd := a.vec()
	a.ins("VSHL $31, {0}.S4, {1}.S4", quarters, odd)
	a.choose(a.new("cmgt", a.bits(0), odd), c, s)
	a.ins("VUSHR $1, {0}.S4, {0}.S4", quarters)
	a.ins("VSHL $31, {0}.S4, {0}.S4", quarters)
	return a.bitwise("VEOR", s, quarters)
}

// tanh gives f32.Tanh(x).
func (a *neon) tanh(x *vreg) *vreg {
	m := a.two("fabs", x)
	z := a.mul(x, x)
	small := a.polynomial(z, tanhTerms...)
	small = a.fma(a.mul(small, z), x, x)
	large := a.add(a.exp(a.add(m, m)), a.float(1))
	large = a.sub(a.float(1), a.div(a.here(2), large))
	return a.below(m, 0.625, small, a.copysign(large, x))
}

// erf gives f32.Erf(x).
func (a *neon) erf(x *vreg) *vreg {
	m := a.two("fabs", x)
	small := a.mul(a.polynomial(a.mul(x, x), erfTerms...), x)
	large := a.polynomial(a.new("fmin", m, a.here(4)), erfcTerms...)
	large = a.sub(a.float(1), a.exp(large))
	return a.below(m, 1, small, a.copysign(large, x))
}

// normal gives erf(x/√2).
func (a *neon) normal(x *vreg) *vreg { return a.erf(a.mul(x, a.here(rootHalf))) }

// gate gives the denominator 1 + exp(−u) of an activation of x, and x².
func (a *neon) gate(x *vreg, gelu bool) (d, xx *vreg) {
	if gelu {
		xx = a.mul(x, x)
		d = a.mul(x, a.fma(xx, a.here(-geluC3), a.here(-geluC1)))
	} else {
		d = a.two("fneg", x)
	}
	return a.add(a.exp(d), a.float(1)), xx
}

// activate gives the activation of x.
func (a *neon) activate(x *vreg, act string) *vreg {
	switch act {
	case "gelu", "silu":
		d, _ := a.gate(x, act == "gelu")
		return a.div(x, d)
	case "sigmoid":
		d, _ := a.gate(x, false)
		return a.div(a.float(1), d)
	case "geluerf":
		h := a.mul(x, a.here(0.5))
		return a.fma(h, a.normal(x), h)
	case "relu":
		return a.below(x, 0, a.bits(0), x)
	case "leaky", "leaky100":
		return a.below(x, 0, a.mul(x, a.here(leaks[act])), x)
	case "elu":
		return a.below(x, 0, a.expm1(x), x)
	case "tanh":
		return a.tanh(x)
	}
	return x
}

// slope gives the derivative of the activation at x.
func (a *neon) slope(x *vreg, act string) *vreg {
	one := a.float(1)
	switch act {
	case "geluerf":
		density := a.mul(a.exp(a.mul(a.mul(x, x), a.here(-0.5))), a.here(normalTop))
		half := a.here(0.5)
		return a.fma(x, density, a.fma(a.normal(x), half, half))
	case "relu":
		return a.below(x, 0, a.bits(0), one)
	case "leaky", "leaky100":
		return a.below(x, 0, a.here(leaks[act]), one)
	case "elu":
		return a.below(x, 0, a.exp(x), one)
	case "tanh":
		t, r := a.tanh(x), a.copyOf(one)
		a.three("fmls", r, t, t)
		return r
	case "sigmoid":
		s := a.activate(x, act)
		return a.mul(s, a.sub(one, s))
	}
	d, xx := a.gate(x, act == "gelu")
	s := a.div(one, d)
	t := a.sub(one, s)
	r := a.mul(x, s)
	if act == "gelu" {
		r = a.mul(r, t)
		t = a.fma(xx, a.here(3*geluC3), a.here(geluC1))
	}
	return a.fma(r, t, s)
}

// neonPointwise writes the epilogue kernel of an activation.
func neonPointwise(f *neonFile, act string) {
	f.function("pointwiseNEON_"+act,
		"(rows, cols int, dst *float32, ds uintptr, src *float32, ss uintptr, bias, alpha, inverse, scale, res *float32, rs uintptr)",
		"sets dst = res + scale·act(src + bias), without the steps whose operand is nil.", func(a *neon) {
			n, cols := a.param("rows"), a.param("cols")
			dst, src, bias, scale, res := a.param("dst"), a.param("src"), a.param("bias"), a.param("scale"), a.param("res")
			var alpha, inverse *vreg
			if act == "snake" {
				alpha, inverse = a.param("alpha"), a.param("inverse")
			}
			rest := a.rest(cols)
			a.loop(n, func() {
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from := a.sum(src, off)
					x := make([]*vreg, parts64)
					for p := range x {
						x[p] = a.load(from, p, rest)
					}
					// each does op to x with a vector of the columns, or of a row.
					each := func(op string, base *vreg) {
						a.ifSet(base, func() {
							from := a.sum(base, off)
							for p := range x {
								a.three(op, x[p], x[p], a.load(from, p, rest))
							}
						})
					}
					each("fadd", bias)
					for p := range x {
						if act == "snake" {
							s := a.sin(a.mul(x[p], a.load(a.sum(alpha, off), p, rest)))
							a.three("fmla", x[p], a.mul(s, s), a.load(a.sum(inverse, off), p, rest))
							continue
						}
						x[p] = a.activate(x[p], act)
					}
					each("fmul", scale)
					each("fadd", res)
					to := a.sum(dst, off)
					for p := range x {
						a.store(x[p], to, p, rest)
					}
				})
				a.addParam("ds", dst)
				a.addParam("ss", src)
				a.ifSet(res, func() { a.addParam("rs", res) })
			})
		})
}

// neonSlopes writes the kernel of the gradient of an activation.
func neonSlopes(f *neonFile, act string) {
	f.function("slopesNEON_"+act,
		"(rows, cols int, dx *float32, dxs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr)",
		"sets dx = dy·act'(x).", func(a *neon) {
			n, cols := a.param("rows"), a.param("cols")
			dx, x, dy := a.param("dx"), a.param("x"), a.param("dy")
			rest := a.rest(cols)
			a.loop(n, func() {
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, with, to := a.sum(x, off), a.sum(dy, off), a.sum(dx, off)
					for p := range parts64 {
						s := a.slope(a.load(from, p, rest), act)
						a.store(a.mul(a.load(with, p, rest), s), to, p, rest)
					}
				})
				a.addParam("dxs", dx)
				a.addParam("xs", x)
				a.addParam("dys", dy)
			})
		})
}

// neonAdamW writes the kernel of the optimiser. See f32.AdamW for the constants.
func neonAdamW(f *neonFile) {
	f.function("adamwNEON", "(n int, w, grad, m, v, c *float32)",
		"updates weights w and moments m, v by gradient grad; c are the fields of f32.AdamW.", func(a *neon) {
			n := a.param("n")
			wp, gp, mp, vp, cp := a.param("w"), a.param("grad"), a.param("m"), a.param("v"), a.param("c")
			var c [9]*vreg
			for i := range c {
				c[i] = a.vec()
				a.ins("VLD1R.P 4({0}), [{1}.S4]", cp, c[i])
			}
			a.eachGroup(n, a.rest(n), []int{1}, func(off *vreg, _ int, rest *vreg) {
				ws, gs, ms, vs := a.sum(wp, off), a.sum(gp, off), a.sum(mp, off), a.sum(vp, off)
				for p := range parts64 {
					w, g := a.load(ws, p, rest), a.load(gs, p, rest)
					m := a.mul(c[1], g)
					a.three("fmla", m, c[0], a.load(ms, p, rest)) // m = beta1·m + rest1·g
					a.store(m, ms, p, rest)
					s := a.mul(a.mul(c[3], g), g)
					a.three("fmla", s, c[2], a.load(vs, p, rest))
					a.store(s, vs, p, rest)
					step := a.div(a.mul(m, c[4]), a.add(a.two("fsqrt", a.mul(s, c[5])), c[6]))
					a.three("fmla", step, c[7], w)
					a.three("fmla", w, c[8], step)
					a.store(w, ws, p, rest)
				}
			})
		})
}

// neonColumnSum writes the kernel of sums along time.
func neonColumnSum(f *neonFile) {
	f.function("columnSumNEON", "(rows, cols int, sum *float32, x *float32, xs uintptr, z *float32, zs uintptr)",
		"adds each column of x, or of x·z by FMA where z is not nil, to sum.", func(a *neon) {
			cols, sum := a.param("cols"), a.param("sum")
			x, z := a.param("x"), a.param("z")
			xs, zs := a.param("xs"), a.param("zs")
			a.eachGroup(cols, a.rest(cols), []int{4, 1}, func(off *vreg, groups int, rest *vreg) {
				at := a.sum(sum, off)
				acc := make([]*vreg, groups*parts64)
				for i := range acc {
					acc[i] = a.load(at, i, rest)
				}
				plain, done := a.label("plain"), a.label("done")
				xp, left := a.sum(x, off), a.param("rows")
				a.branch("CBZ {0}, ", plain, z)
				zp := a.sum(z, off)
				a.loop(left, func() {
					for i := range acc {
						a.three("fmla", acc[i], a.load(xp, i, rest), a.load(zp, i, rest))
					}
					a.ins("ADD {0}, {1}", xs, xp)
					a.ins("ADD {0}, {1}", zs, zp)
				})
				a.branch("JMP ", done)
				a.place(plain)
				a.loop(left, func() {
					for i := range acc {
						a.three("fadd", acc[i], acc[i], a.load(xp, i, rest))
					}
					a.ins("ADD {0}, {1}", xs, xp)
				})
				a.place(done)
				for i := range acc {
					a.store(acc[i], at, i, rest)
				}
			})
		})
}

// neonDepthwise writes the kernel of the depthwise convolution.
func neonDepthwise(f *neonFile) {
	f.function("depthwiseNEON",
		"(rows, cols, taps int, y *float32, ys uintptr, x *float32, xs, xtap uintptr, w *float32, wtap uintptr, bias *float32)",
		"convolves each column: x of the next tap is xtap bytes on, its weights wtap bytes.", func(a *neon) {
			n, cols := a.param("rows"), a.param("cols")
			y, x, w, bias := a.param("y"), a.param("x"), a.param("w"), a.param("bias")
			xtap, wtap := a.param("xtap"), a.param("wtap")
			rest := a.rest(cols)
			a.loop(n, func() {
				a.eachGroup(cols, rest, []int{4, 1}, func(off *vreg, groups int, rest *vreg) {
					acc := make([]*vreg, groups*parts64)
					for i := range acc {
						acc[i] = a.zeros()
					}
					a.ifSet(bias, func() {
						from := a.sum(bias, off)
						for i := range acc {
							a.ins("VMOV {0}.B16, {1}.B16", a.load(from, i, rest), acc[i])
						}
					})
					xp, wp, left := a.sum(x, off), a.sum(w, off), a.param("taps")
					a.loop(left, func() {
						for i := range acc {
							a.three("fmla", acc[i], a.load(xp, i, rest), a.load(wp, i, rest))
						}
						a.ins("ADD {0}, {1}", xtap, xp)
						a.ins("ADD {0}, {1}", wtap, wp)
					})
					to := a.sum(y, off)
					for i := range acc {
						a.store(acc[i], to, i, rest)
					}
				})
				a.addParam("ys", y)
				a.addParam("xs", x)
			})
		})
}

// neonSmallest writes the kernel of the search of the least distance.
func neonSmallest(f *neonFile) {
	f.function("smallestNEON", "(n int, p, half, best *float32, code *int32)",
		"finds, for each of 16 lanes, the least half − p and its index, over whole groups.", func(a *neon) {
			n, pp, hp := a.param("n"), a.param("p"), a.param("half")
			least := a.newLeast(a.float(inf))
			a.ins("LSR $4, {0}", n)
			a.loop(n, func() {
				for i := range parts64 {
					least.take(a, i, a.sub(a.load(hp, i, nil), a.load(pp, i, nil)))
				}
				least.next(a)
				a.ins("ADD $64, {0}", pp)
				a.ins("ADD $64, {0}", hp)
			})
			least.store(a, "best")
		})
}

// partial gives the 16 partial sums of a canonical row sum.
func (a *neon) partial() []*vreg {
	s := make([]*vreg, parts64)
	for i := range s {
		s[i] = a.zeros()
	}
	return s
}

// tree adds up the partial sums: i += i+8, then i+4, i+2, i+1.
func (a *neon) tree(s []*vreg) *vreg {
	y := a.add(a.add(s[0], s[2]), a.add(s[1], s[3]))
	t := a.vec()
	a.ins("VEXT $8, {0}.B16, {0}.B16, {1}.B16", y, t)
	y = a.add(y, t)
	t = a.vec()
	a.ins("VDUP {0}.S[1], {1}.S4", y, t)
	return a.add(y, t)
}

// mean fills a vector with a row sum divided by the parameter n.
func (a *neon) mean(sum *vreg) *vreg {
	n := a.param("n")
	a.ins("FDIVS {0f}, {1f}, {1f}", n, sum)
	return a.fill(sum)
}

// keep clears the lanes outside of the masks of an incomplete group.
func (a *neon) keep(x *vreg, p int, rest *vreg, masks []*vreg) *vreg {
	if rest == nil {
		return x
	}
	return a.bitwise("VAND", x, masks[p])
}

// stats gives the mean of a row and 1/√(var+eps), in all lanes.
func (a *neon) stats(x, cols, rest *vreg, masks []*vreg) (mean, r *vreg) {
	sum := a.partial()
	a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
		from := a.sum(x, off)
		for p := range sum {
			a.three("fadd", sum[p], sum[p], a.load(from, p, rest))
		}
	})
	mean = a.mean(a.tree(sum))
	sum = a.partial()
	a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
		from := a.sum(x, off)
		for p := range sum {
			d := a.keep(a.sub(a.load(from, p, rest), mean), p, rest, masks)
			a.three("fmla", sum[p], d, d)
		}
	})
	return mean, a.inverseRoot(a.tree(sum))
}

// inverseRoot is 1/√(sum/n + eps), in all lanes.
func (a *neon) inverseRoot(s *vreg) *vreg {
	n, eps, q := a.param("n"), a.param("eps"), a.vec()
	a.ins("FDIVS {0f}, {1f}, {1f}", n, s)
	a.ins("FADDS {0f}, {1f}, {1f}", eps, s)
	a.ins("FSQRTS {0f}, {0f}", s)
	a.ins("FMOVS $1.0, {0f}", q)
	a.ins("FDIVS {0f}, {1f}, {1f}", s, q)
	return a.fill(q)
}

func neonRMSNorm(f *neonFile) {
	f.function("rmsNormNEON",
		"(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma *float32, n, eps float32)",
		"divides rows of cols = n columns by their root mean square.", func(a *neon) {
			left, cols := a.param("rows"), a.param("cols")
			y, x, gamma := a.param("y"), a.param("x"), a.param("gamma")
			rest := a.rest(cols)
			a.loop(left, func() {
				sum := a.partial()
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from := a.sum(x, off)
					for p := range sum {
						d := a.load(from, p, rest)
						a.three("fadd", sum[p], sum[p], a.mul(d, d))
					}
				})
				r := a.inverseRoot(a.tree(sum))
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, to := a.sum(x, off), a.sum(y, off)
					d := make([]*vreg, parts64)
					for p := range d {
						d[p] = a.mul(a.load(from, p, rest), r)
					}
					a.ifSet(gamma, func() {
						g := a.sum(gamma, off)
						for p := range d {
							a.three("fmul", d[p], d[p], a.load(g, p, rest))
						}
					})
					for p := range d {
						a.store(d[p], to, p, rest)
					}
				})
				a.addParam("ys", y)
				a.addParam("xs", x)
			})
		})
}

func neonLayerNorm(f *neonFile) {
	f.function("layerNormNEON",
		"(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma, beta *float32, n, eps float32)",
		"normalises rows of cols = n columns.", func(a *neon) {
			left, cols := a.param("rows"), a.param("cols")
			y, x, gamma, beta := a.param("y"), a.param("x"), a.param("gamma"), a.param("beta")
			rest := a.rest(cols)
			masks := a.masks(rest)
			a.loop(left, func() {
				mean, r := a.stats(x, cols, rest, masks)
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, to := a.sum(x, off), a.sum(y, off)
					d := make([]*vreg, parts64)
					for p := range d {
						d[p] = a.mul(a.sub(a.load(from, p, rest), mean), r)
					}
					a.ifSet(gamma, func() {
						plain, done := a.label("plain"), a.label("done")
						g := a.sum(gamma, off)
						a.branch("CBZ {0}, ", plain, beta)
						b := a.sum(beta, off)
						for p := range d {
							v := a.load(b, p, rest)
							a.three("fmla", v, d[p], a.load(g, p, rest))
							a.ins("VMOV {0}.B16, {1}.B16", v, d[p])
						}
						a.branch("JMP ", done)
						a.place(plain)
						for p := range d {
							a.three("fmul", d[p], d[p], a.load(g, p, rest))
						}
						a.place(done)
					})
					for p := range d {
						a.store(d[p], to, p, rest)
					}
				})
				a.addParam("ys", y)
				a.addParam("xs", x)
			})
		})
}

func neonLayerNormGrad(f *neonFile) {
	f.function("layerNormGradNEON",
		"(rows, cols int, dx *float32, dxs uintptr, xhat *float32, hs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr, gamma *float32, n, eps float32)",
		"sets dx, and xhat to the normalised rows.", func(a *neon) {
			left, cols := a.param("rows"), a.param("cols")
			dx, xhat, x, dy, gamma := a.param("dx"), a.param("xhat"), a.param("x"), a.param("dy"), a.param("gamma")
			rest := a.rest(cols)
			masks := a.masks(rest)
			// scaled loads dy·gamma.
			scaled := func(off *vreg, p int, rest *vreg) *vreg {
				g := a.load(a.sum(dy, off), p, rest)
				a.ifSet(gamma, func() { a.three("fmul", g, g, a.load(a.sum(gamma, off), p, rest)) })
				return g
			}
			a.loop(left, func() {
				mean, r := a.stats(x, cols, rest, masks)
				sg, sh := a.partial(), a.partial()
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, to := a.sum(x, off), a.sum(xhat, off)
					for p := range parts64 {
						h := a.mul(a.sub(a.load(from, p, rest), mean), r)
						a.store(h, to, p, rest)
						g := scaled(off, p, rest)
						a.three("fadd", sg[p], sg[p], g)
						a.three("fmla", sh[p], g, a.keep(h, p, rest, masks))
					}
				})
				gm, slope := a.mean(a.tree(sg)), a.mean(a.tree(sh))
				a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
					from, to := a.sum(xhat, off), a.sum(dx, off)
					for p := range parts64 {
						g := a.sub(scaled(off, p, rest), gm)
						a.three("fmls", g, a.load(from, p, rest), slope) // g −= x̂·slope
						a.store(a.mul(g, r), to, p, rest)
					}
				})
				a.addParam("dxs", dx)
				a.addParam("hs", xhat)
				a.addParam("xs", x)
				a.addParam("dys", dy)
			})
		})
}

// neonComplexRows writes the kernels of package backend's Spectra: compress, or
// expand.
func neonComplexRows(f *neonFile, compress bool) {
	name, signature := "expandNEON", "(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, eps float32)"
	doc := "sets y to the complex numbers of x times their power plus eps."
	if compress {
		name, signature = "compressNEON", "(rows, cols int, y *float32, ys uintptr, m *float32, ms uintptr, x *float32, xs uintptr, eps float32)"
		doc = "sets m to the magnitudes of the complex numbers of x and y to the compressed numbers."
	}
	f.function(name, signature, doc, func(a *neon) {
		n, cols, y, x := a.param("rows"), a.param("cols"), a.param("y"), a.param("x")
		var m *vreg
		if compress {
			m = a.param("m")
		}
		eps, rest := a.fill(a.param("eps")), a.rest(cols)
		a.loop(n, func() {
			a.eachGroup(cols, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
				from, to := a.sum(x, off), a.sum(y, off)
				var magnitudes *vreg
				if compress {
					magnitudes = a.sum(m, off)
				}
				for p := range parts64 {
					s := a.load(from, p, rest)
					g, other := a.mul(s, s), a.vec()
					a.ins("VREV64 {0}.S4, {1}.S4", g, other) // the squares of the other parts
					g = a.add(a.add(g, other), eps)
					if compress {
						mag := a.two("fsqrt", g)
						a.store(mag, magnitudes, p, rest)
						g = a.div(a.two("fsqrt", a.two("fsqrt", mag)), mag)
					}
					a.store(a.mul(s, g), to, p, rest)
				}
			})
			a.addParam("ys", y)
			a.addParam("xs", x)
			if compress {
				a.addParam("ms", m)
			}
		})
	})
}
