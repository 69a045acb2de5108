package scratch

import (
	"math"
	"sync"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
)

const nr, mrMax = 32, 12

type kernel func(k int, a *float32, ars, acs int, b *float32, bs int, c *float32, cs int, load int)

var kernels = [mrMax + 1]kernel{nil, gemm512x1, gemm512x2, gemm512x3, gemm512x4, gemm512x5, gemm512x6, gemm512x7, gemm512x8, gemm512x9, gemm512x10, gemm512x11, gemm512x12}

// Fast is the stand-in with AVX-512 kernels.
type Fast struct {
	B
	threads int
	mu      sync.Mutex
	buf     []float32
}

func NewFast(threads int) *Fast { return &Fast{threads: threads} }

func (f *Fast) par(n int, run func(a, b int)) {
	if f.threads == 1 || n < 2 {
		run(0, n)
		return
	}
	var wg sync.WaitGroup
	for t := 1; t < f.threads; t++ {
		wg.Add(1)
		go func() { defer wg.Done(); run(n*t/f.threads, n*(t+1)/f.threads) }()
	}
	run(0, n/f.threads)
	wg.Wait()
}

func (f *Fast) pack(dst, w []float32, k, n, ld int) {
	f.par((n+nr-1)/nr, func(p0, p1 int) {
		for p := p0; p < p1; p++ {
			cols := min(nr, n-p*nr)
			d := dst[p*k*nr:]
			for i := range k {
				copy(d[i*nr:i*nr+cols], w[i*ld+p*nr:i*ld+p*nr+cols])
				clear(d[i*nr+cols : i*nr+nr])
			}
		}
	})
}

func (f *Fast) packT(dst, w []float32, n, k int) {
	f.par((n+nr-1)/nr, func(p0, p1 int) {
		for p := p0; p < p1; p++ {
			d := dst[p*k*nr : (p+1)*k*nr]
			for j := range nr {
				if p*nr+j >= n {
					for i := range k {
						d[i*nr+j] = 0
					}
					continue
				}
				for i, v := range w[(p*nr+j)*k : (p*nr+j+1)*k] {
					d[i*nr+j] = v
				}
			}
		}
	})
}

func panels(k, n int) []float32 { return make([]float32, (n+nr-1)/nr*nr*k) }

func (f *Fast) Pack(w []float32, k, n int) *backend.Weights {
	p := panels(k, n)
	f.pack(p, w, k, n, n)
	return &backend.Weights{K: k, N: n, Packed: p}
}
func (f *Fast) PackT(w []float32, n, k int) *backend.Weights {
	p := panels(k, n)
	f.packT(p, w, n, k)
	return &backend.Weights{K: k, N: n, Packed: p}
}
func (f *Fast) Repack(d *backend.Weights, w []float32, t bool) {
	if t {
		f.packT(d.Packed.([]float32), w, d.N, d.K)
	} else {
		f.pack(d.Packed.([]float32), w, d.K, d.N, d.N)
	}
}

func (f *Fast) gemm(m, k, n int, a []float32, ars, acs int, pan []float32, c []float32, ldc int, load bool) {
	if m == 0 {
		return
	}
	flag := 0
	if load {
		flag = 1
	}
	f.par((n+nr-1)/nr, func(p0, p1 int) {
		var tile [mrMax * nr]float32
		for p := p0; p < p1; p++ {
			b := &pan[p*k*nr]
			cols := min(nr, n-p*nr)
			for i := 0; i < m; i += mrMax {
				rows := min(mrMax, m-i)
				ap := (*float32)(unsafe.Add(unsafe.Pointer(&a[0]), i*ars*4))
				if cols == nr {
					kernels[rows](k, ap, ars*4, acs*4, b, nr*4, &c[i*ldc+p*nr], ldc*4, flag)
					continue
				}
				if load {
					for r := range rows {
						copy(tile[r*nr:r*nr+cols], c[(i+r)*ldc+p*nr:])
					}
				}
				kernels[rows](k, ap, ars*4, acs*4, b, nr*4, &tile[0], nr*4, flag)
				for r := range rows {
					copy(c[(i+r)*ldc+p*nr:(i+r)*ldc+p*nr+cols], tile[r*nr:])
				}
			}
		}
	})
}

func (f *Fast) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	f.gemm(y.Rows, w.K, w.N, x.Data, x.Stride, 1, w.Packed.([]float32), y.Data, y.Stride, false)
	if ep.Bias != nil || ep.Act != 0 || ep.Scale != nil || ep.Residual != nil {
		f.par(y.Rows, func(a, b int) {
			for m := a; m < b; m++ {
				r := y.Row(m)
				if ep.Bias != nil {
					for n, v := range ep.Bias {
						r[n] += v
					}
				}
				if ep.Act == backend.GELU {
					gelu512(len(r), &r[0], &r[0])
				}
				if ep.Scale != nil {
					for n, v := range ep.Scale {
						r[n] *= v
					}
				}
				if ep.Residual != nil {
					for n, v := range ep.Residual.Row(m) {
						r[n] += v
					}
				}
			}
		})
	}
}

func (f *Fast) MatMulTN(dw, x, dy *backend.Tensor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	need := (dy.Cols + nr - 1) / nr * nr * dy.Rows
	if cap(f.buf) < need {
		f.buf = make([]float32, need)
	}
	buf := f.buf[:need]
	f.pack(buf, dy.Data, dy.Rows, dy.Cols, dy.Stride)
	f.gemm(x.Cols, x.Rows, dy.Cols, x.Data, 1, x.Stride, buf, dw.Data, dw.Stride, true)
}

func (f *Fast) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dil int) {
	var bp *float32
	if bias != nil {
		bp = &bias[0]
	}
	for t := 0; t < y.Rows; t++ {
		dwconv512(y.Cols, &y.Row(t)[0], &x.Row(t)[0], x.Stride*dil*4, &w[0], y.Cols*4, bp, taps)
	}
}
func (f *Fast) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dil int) {
	for j := range taps {
		dotcols512(dy.Cols, &dw[j*dy.Cols], &x.Row(j * dil)[0], x.Stride*4, &dy.Data[0], dy.Stride*4, dy.Rows)
	}
}
func (f *Fast) ColumnSum(sum []float32, x, z *backend.Tensor) {
	if z != nil {
		dotcols512(x.Cols, &sum[0], &x.Data[0], x.Stride*4, &z.Data[0], z.Stride*4, x.Rows)
		return
	}
	for t := 0; t < x.Rows; t++ {
		for c, v := range x.Row(t) {
			sum[c] += v
		}
	}
}
func (f *Fast) Activate(y, x *backend.Tensor, a backend.Activation) {
	if a != backend.GELU {
		f.B.Activate(y, x, a)
		return
	}
	f.par(x.Rows, func(i, j int) {
		for t := i; t < j; t++ {
			gelu512(x.Cols, &y.Row(t)[0], &x.Row(t)[0])
		}
	})
}
func (f *Fast) ActivateGrad(dx, x, dy *backend.Tensor, a backend.Activation) {
	if a != backend.GELU {
		f.B.ActivateGrad(dx, x, dy, a)
		return
	}
	f.par(x.Rows, func(i, j int) {
		for t := i; t < j; t++ {
			geluGrad512(x.Cols, &dx.Row(t)[0], &x.Row(t)[0], &dy.Row(t)[0])
		}
	})
}
func (f *Fast) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	f.par(x.Rows, func(i, j int) { f.B.LayerNorm(y.Slice(i, j), x.Slice(i, j), gamma, beta, eps) })
}
func (f *Fast) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	c1 := 1 - math.Pow(float64(a.Beta1), float64(a.Step))
	c2 := 1 - math.Pow(float64(a.Beta2), float64(a.Step))
	f.par((len(w)+4095)/4096, func(i, j int) {
		i, j = i*4096, min(j*4096, len(w))
		if i < j {
			adamw512(j-i, &w[i], &g[i], &m[i], &v[i], a.Beta1, 1-a.Beta1, a.Beta2, 1-a.Beta2, float32(1/c2), a.Eps, float32(float64(a.LR)/c1), 1-a.LR*a.WeightDecay)
		}
	})
}
func (f *Fast) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	y := f.New(x.Rows, book.N)
	f.MatMul(y, x, book, backend.Epilogue{})
	f.par(x.Rows, func(i, j int) {
		for t := i; t < j; t++ {
			best, at := float32(math.Inf(1)), 0
			for n, v := range y.Row(t) {
				if d := half[n] - v; d < best {
					best, at = d, n
				}
			}
			codes[t] = int32(at)
		}
	})
}
