package cpu

import "github.com/sotto-audio/sotto/internal/backend"

// maxTile is the largest number of floats in a tile of any kernel.
const maxTile = 12 * 32

// kernels is one set of kernels of equal results. Strides are in bytes, and
// vectors may be nil where the operation allows it.
type kernels struct {
	name string
	// nr is the width of a column panel of packed weights.
	nr int
	// tile[mr] is the kernel of mr rows and one panel, half[mr] that of the first half
	// of its columns; nil where there is none.
	tile, half []gemmFunc
	// wide[mr], where not nil, is the kernel of mr rows and wideBy[mr] panels,
	// which hides the latency of FMA where rows are few.
	wide   []gemmFunc
	wideBy []int
	// peak runs n rounds of peakFlops floating-point operations.
	peak      func(n int)
	peakFlops int
	// vector holds the kernels of the other operations, nil in portable Go.
	vector *vectorKernels
	// dot holds the kernels of each precision but Float32, nil for portable Go.
	dot [3]*dotKernels
}

// mr is the largest number of rows of a tile.
func (k *kernels) mr() int { return len(k.tile) - 1 }

// gemmFunc sets the tile c to from + a·b, from may be nil, over kc products of each of
// so many taps, and then of more of them from a2 on where that is not nil: ars lies
// between rows of a, aks between products, atap between taps, bps between column
// panels of b, fs and cs between rows of from and c.
type gemmFunc func(kc, taps int, a *float32, ars, aks, atap uintptr, more int, a2, b *float32, bps uintptr, from *float32, fs uintptr, c *float32, cs uintptr)

type (
	pointwiseFunc func(rows, cols int, dst *float32, ds uintptr, src *float32, ss uintptr, bias, alpha, inverse, scale, res *float32, rs uintptr)
	slopesFunc    func(rows, cols int, dx *float32, dxs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr)
)

// vectorKernels are the kernels of the operations on rows and columns. The
// tables are by activation.
type vectorKernels struct {
	pointwise        [backend.Activations]pointwiseFunc
	slopes           [backend.Activations]slopesFunc
	columnSum        func(rows, cols int, sum, x *float32, xs uintptr, z *float32, zs uintptr)
	depthwise        func(rows, cols, taps int, y *float32, ys uintptr, x *float32, xs, xtap uintptr, w *float32, wtap uintptr, bias *float32)
	adamw            func(n int, w, grad, m, v, c *float32)
	smallest         func(n int, p, half, best *float32, code *int32)
	edges, softEdges func(n int, p *float32, scale float32, bias, sum, most *float32, code *int32)
	joins            func(n int, w, inside, inverse, bits *float32, d, total, bound float32, best *float32, code *int32)
	layerNorm        func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma, beta *float32, n, eps float32)
	rmsNorm          func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, gamma *float32, n, eps float32)
	layerNormGrad    func(rows, cols int, dx *float32, dxs uintptr, xhat *float32, hs uintptr, x *float32, xs uintptr, dy *float32, dys uintptr, gamma *float32, n, eps float32)
	compress         func(rows, cols int, y *float32, ys uintptr, m *float32, ms uintptr, x *float32, xs uintptr, eps float32)
	expand           func(rows, cols int, y *float32, ys uintptr, x *float32, xs uintptr, eps float32)
	polar            func(groups int, y, magnitude, phase *float32, most float32) // may be nil
	softmax          func(n int, x, sum *float32, scale float32)
	softmaxGrad      func(n int, g, e *float32, delta float32)
	transpose        func(n int, dst *float32, ds uintptr, src *float32, ss uintptr)
}

// dotKernels are the kernels of products of one reduced precision.
type dotKernels struct {
	// nr is the width of a column panel, step the number of values of K that a
	// kernel takes at a time.
	nr, step int
	// rowBytes and columnBytes are the size of a value of x once it is converted
	// and of w.
	rowBytes, columnBytes int
	// offset is what converted integers have too much.
	offset int32
	// convert turns rows of x into what the kernels read, and gives their scales.
	convert func(rows, cols int, q *byte, qs uintptr, x *float32, xs uintptr, scale *float32)
	// tile and wide are those of type kernels.
	tile, wide []dotFunc
	wideBy     []int
}

// dotFunc sets the tile c to the products of a and b over steps; integers to
// (start + product)·(rows·columns). as lies between rows of a, bps between column
// panels of b, cs between rows of c.
type dotFunc func(steps int, a *byte, as uintptr, b *byte, bps uintptr, start *int32, rows, columns *float32, c *float32, cs uintptr)

var portable = &kernels{name: "portable", nr: 16, tile: make([]gemmFunc, 5)}

// at gives the address of element i of a slice, nil where the slice ends
// before it.
func at[T any](s []T, i int) *T {
	if i >= len(s) {
		return nil
	}
	return &s[i]
}
