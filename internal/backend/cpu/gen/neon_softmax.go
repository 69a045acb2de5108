package main

// neonSoftmax writes the kernel of a row of attention weights.
func neonSoftmax(f *neonFile) {
	f.function("softmaxNEON", "(n int, x, sum *float32, scale float32)",
		"sets x to exp(scale·x − max) over n > 0 values, and sum to their canonical sum.", func(a *neon) {
			n, x := a.param("n"), a.param("x")
			scale := a.fill(a.param("scale"))
			rest := a.rest(n)
			masks := a.masks(rest)
			first := a.vec()
			a.ins("FMOVS ({0}), {1f}", x, first)
			first = a.mul(a.fill(first), scale)
			top := make([]*vreg, parts64)
			for p := range top {
				top[p] = a.copyOf(first)
			}
			a.eachGroup(n, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
				from := a.sum(x, off)
				for p := range top {
					s := a.mul(a.load(from, p, rest), scale)
					if rest != nil {
						inside := a.copyOf(first)
						a.choose(masks[p], s, inside)
						s = inside
					}
					a.three("fmax", top[p], top[p], s)
				}
			})
			highest := a.highest(top)
			total := a.partial()
			a.eachGroup(n, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
				at := a.sum(x, off)
				for p := range total {
					e := a.exp(a.sub(a.mul(a.load(at, p, rest), scale), highest))
					a.store(e, at, p, rest)
					a.three("fadd", total[p], total[p], a.keep(e, p, rest, masks))
				}
			})
			a.ins("FMOVS {0f}, ({1})", a.tree(total), a.param("sum"))
		})
}

// highest fills a vector with the largest value.
func (a *neon) highest(s []*vreg) *vreg {
	y := a.new("fmax", a.new("fmax", s[0], s[2]), a.new("fmax", s[1], s[3]))
	t := a.vec()
	a.ins("VEXT $8, {0}.B16, {0}.B16, {1}.B16", y, t)
	y = a.new("fmax", y, t)
	t = a.vec()
	a.ins("VDUP {0}.S[1], {1}.S4", y, t)
	return a.fill(a.new("fmax", y, t))
}

// neonSoftmaxGrad writes the kernel of a row of gradients of scores.
func neonSoftmaxGrad(f *neonFile) {
	f.function("softmaxGradNEON", "(n int, ds, e *float32, delta float32)",
		"sets ds to (ds − delta)·e over n values.", func(a *neon) {
			n, ds, e := a.param("n"), a.param("ds"), a.param("e")
			delta := a.fill(a.param("delta"))
			rest := a.rest(n)
			a.eachGroup(n, rest, []int{1}, func(off *vreg, _ int, rest *vreg) {
				to, from := a.sum(ds, off), a.sum(e, off)
				for p := range parts64 {
					a.store(a.mul(a.sub(a.load(to, p, rest), delta), a.load(from, p, rest)), to, p, rest)
				}
			})
		})
}
