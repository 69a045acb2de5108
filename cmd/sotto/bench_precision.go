package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
)

// precisionReport is the speed of one precision.
type precisionReport struct {
	Precision string  `json:"precision"`
	GFLOPS    float64 `json:"gemm_gflops"` // conversion of the rows included
	DecodeRTF float64 `json:"decode_rtf"`
}

// benchPrecisions measures each precision that the model decodes in, side by side.
func benchPrecisions(ctx context.Context, dev backend.Backend, model codec.Codec, tokens *codec.Tokens) ([]precisionReport, error) {
	native, ok := model.(*sotto.Model)
	if !ok {
		return nil, nil
	}
	var reports []precisionReport
	var models []*sotto.Model
	for _, p := range backend.Precisions {
		if p == backend.TF32 && !tensor(dev) {
			continue // it is Float32
		}
		m, err := native.In(sotto.Precision(p.String()))
		if err != nil {
			return nil, err
		}
		models = append(models, m)
		reports = append(reports, precisionReport{Precision: p.String(), GFLOPS: matmulRate(dev, p)})
	}
	info := native.Info()
	seconds := float64(tokens.Frames) / info.FrameRate
	runs := 8
	if software(dev) {
		runs = 2
	}
	for range runs {
		for i, m := range models {
			start := time.Now()
			if _, err := m.Decode(ctx, tokens); err != nil {
				return nil, err
			}
			reports[i].DecodeRTF = max(reports[i].DecodeRTF, seconds/time.Since(start).Seconds())
		}
	}
	return reports, nil
}

// software says that the processor stands in for a device.
func software(dev backend.Backend) bool {
	d, ok := dev.(interface{ Software() bool })
	return ok && d.Software()
}

// tensor says that a device has units for products of reduced precision.
func tensor(dev backend.Backend) bool {
	d, ok := dev.(interface{ Tensor() bool })
	return ok && d.Tensor()
}

// matmulRate is the best rate of a product of square matrices in GFLOP/s.
func matmulRate(dev backend.Backend, p backend.Precision) float64 {
	n := gemmSize
	if backend.Wide(dev) {
		n = 8 * gemmSize // a graphics processor is wide
	}
	w := make([]float32, n*n)
	for i := range w {
		w[i] = float32(i%7) - 3
	}
	x, y, packed := dev.New(n, n), dev.New(n, n), dev.PackReduced(w, n, n, p)
	dev.Upload(x, w)
	return 2 * float64(n) * float64(n) * float64(n) / quickest(dev, func() { dev.MatMul(y, x, packed, backend.Epilogue{}) }) / 1e9
}

// quickest is the shortest time in seconds of an operation in twenty runs, or in a second
// on a device that something stands in for.
func quickest(dev backend.Backend, run func()) float64 {
	best := math.Inf(1)
	begin := time.Now()
	for i := 0; i < 20 && (i < 2 || time.Since(begin) < time.Second); i++ {
		backend.Wait(dev)
		start := time.Now()
		run()
		backend.Wait(dev)
		best = min(best, time.Since(start).Seconds())
	}
	return best
}

// printPrecisions writes rows of a table: rates, and their ratios to the first.
func printPrecisions(w io.Writer, reports []precisionReport) {
	for _, r := range reports {
		fmt.Fprintf(w, "%s\tmatrix products %.0f GFLOP/s (x %.2f), decode %.0f x real time (x %.2f)\n", r.Precision,
			r.GFLOPS, r.GFLOPS/reports[0].GFLOPS, r.DecodeRTF, r.DecodeRTF/reports[0].DecodeRTF)
	}
}
