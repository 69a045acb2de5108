package cpu

import (
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Peak measures the rate of multiply-adds of one core in this moment, in
// floating-point operations a second (an FMA counts two): the best of several
// short runs. It is 0 on the portable path.
func (b *Backend) Peak() float64 {
	if b.kernels.peak == nil {
		return 0
	}
	const n = 20_000
	return best(float64(n*b.kernels.peakFlops), func() { b.kernels.peak(n) })
}

// GEMMRate measures MatMul of [m, k] by [k, n] in floating-point operations a
// second: the best of several runs.
func (b *Backend) GEMMRate(m, k, n int) float64 { return b.MatMulRate(backend.Float32, m, k, n) }

// MatMulRate is GEMMRate with weights of precision p.
func (b *Backend) MatMulRate(p backend.Precision, m, k, n int) float64 {
	x, y := b.New(m, k), b.New(m, n)
	for i := range x.Data {
		x.Data[i] = float32(i%13 - 6)
	}
	w := b.PackReduced(make([]float32, k*n), k, n, p)
	return best(2*float64(m)*float64(k)*float64(n), func() { b.MatMul(y, x, w, noEpilogue) })
}

func best(work float64, f func()) float64 {
	f()
	shortest := time.Duration(1 << 62)
	for range 20 {
		start := time.Now()
		f()
		shortest = min(shortest, time.Since(start))
	}
	return work / shortest.Seconds()
}
