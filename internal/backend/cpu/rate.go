package cpu

import "time"

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
