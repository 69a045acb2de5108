// Package blas compares our matrix products with OpenBLAS's in one run.
package blas

import (
	"context"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/bench"
)

// Shape is a product [M, K]·[K, N]: M rows of a signal by a layer's weights.
type Shape struct{ M, K, N int }

// Shapes are square ones, those of published codecs' layers over 1, 2 and 4
// seconds, and those of the native codec's; then one to four rows, as a stream
// has them.
var Shapes = []Shape{
	{512, 512, 512}, {1024, 1024, 1024},
	{75, 1536, 512}, {150, 1536, 512}, {300, 1536, 512},
	{75, 3584, 512}, {150, 3584, 512}, {300, 3584, 512},
	{50, 384, 1152}, {100, 384, 1152}, {400, 384, 1152}, {100, 1152, 384}, {400, 1152, 384}, {100, 64, 1024},
	{1, 1536, 512}, {2, 1536, 512}, {3, 1536, 512}, {4, 1536, 512}, {1, 384, 1152}, {1, 1152, 384}, {1, 4096, 4096},
}

// Row is the result for a shape.
type Row struct {
	Shape
	Threads    int     `json:"threads"`
	Ours, Peer float64 // floating-point operations a second; Peer is 0 without OpenBLAS
	Ratio      float64 `json:"ratio"`
	Peak       float64 `json:"peak_share"` // Ours over the FMA peak of that many cores
}

// Compare measures each shape, ours and OpenBLAS's in turns of a few
// milliseconds, and takes the best turn of each. OpenBLAS may choose the layout of
// its weights and, for one row, its function; ours are packed once. l may be nil.
func Compare(ctx context.Context, l *Library, threads int, shapes []Shape) ([]Row, error) {
	device := cpu.New(threads)
	if l != nil {
		l.Threads(threads)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	var rows []Row
	for _, s := range shapes {
		x, w, y := values(s.M*s.K), values(s.K*s.N), make([]float32, s.M*s.N)
		packed := device.Pack(w, s.K, s.N)
		tx, ty := backend.Host(x, s.M, s.K), device.New(s.M, s.N)
		peak := device.Peak()
		runs := []func(){func() { device.MatMul(ty, tx, packed, backend.Epilogue{}) }}
		if l != nil {
			runs = append(runs,
				func() { l.Product(y, x, w, s.M, s.K, s.N, false) },
				func() { l.Product(y, x, w, s.M, s.K, s.N, true) })
		}
		if l != nil && s.M == 1 {
			runs = append(runs,
				func() { l.Vector(y, x, w, s.K, s.N, false) },
				func() { l.Vector(y, x, w, s.K, s.N, true) })
		}
		work := 2 * float64(s.M) * float64(s.K) * float64(s.N)
		times, err := bench.Turns(ctx, threads, runs...)
		if err != nil {
			return nil, err
		}
		peak = max(peak, device.Peak()) * float64(threads)
		r := Row{Shape: s, Threads: threads, Ours: work / times[0]}
		for _, t := range times[1:] {
			r.Peer = max(r.Peer, work/t)
		}
		if r.Peer > 0 {
			r.Ratio = r.Ours / r.Peer
		}
		if peak > 0 {
			r.Peak = r.Ours / peak
		}
		rows = append(rows, r)
	}
	return rows, nil
}
