package se

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// Edges say which frames have an edge, and of what weight.
type Edges struct {
	// Threshold is what the cosine of the angle between two frames must exceed.
	Threshold float32 `json:"threshold"`
	// Soft edges of sharpness β weigh exp(β·(cosine − 1)), others, with 0, the
	// cosine.
	Soft float32 `json:"soft,omitempty"`
}

// Validate refuses edges that are not positive: the entropy knows no others, so
// that frames at more than a right angle have none, or soft ones.
func (e Edges) Validate() error {
	least := float32(0)
	if e.Soft > 0 {
		least = -1
	}
	if !(e.Threshold >= least && e.Threshold < 1) {
		return fmt.Errorf("se: threshold %g: choose one from %g to below 1", e.Threshold, least)
	}
	if !(e.Soft >= 0 && e.Soft <= 80) {
		return fmt.Errorf("se: sharpness %g of soft edges: choose one up to 80, or 0 for none", e.Soft)
	}
	return nil
}

// weight is that of an edge of the given cosine; codes depend on its bits.
func (e Edges) weight(cosine float32) float64 {
	if e.Soft > 0 {
		return float64(f32.Exp(e.Soft * (cosine - 1)))
	}
	return float64(cosine)
}

// Frames are the nodes of the speech feature graph: two different frames have an
// edge as Edges say. A frame of length 0 has a cosine of 0 to all others. The graph
// itself is never stored.
type Frames struct {
	N, Dim int
	Edges

	unit   []float32 // [N, Dim]
	device backend.Backend
}

// NewFrames makes the graph of frames x [T, dim].
func NewFrames(x []float32, dim int, edges Edges) (*Frames, error) {
	if dim < 1 || len(x)%dim != 0 {
		return nil, fmt.Errorf("se: %d values are not frames of %d", len(x), dim)
	}
	if err := edges.Validate(); err != nil {
		return nil, err
	}
	f := &Frames{N: len(x) / dim, Dim: dim, Edges: edges, unit: make([]float32, len(x)), device: cpu.New(0)}
	for i := range f.N {
		if err := normalise(f.unit[i*dim:(i+1)*dim], x[i*dim:(i+1)*dim]); err != nil {
			return nil, fmt.Errorf("se: frame %d: %w", i, err)
		}
	}
	return f, nil
}

// normalise sets dst to x divided by its length; 0 stays 0.
func normalise(dst, x []float32) error {
	var sum float64
	for _, v := range x {
		sum += float64(float64(v) * float64(v))
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return fmt.Errorf("a value is not finite")
	}
	if sum == 0 {
		clear(dst)
		return nil
	}
	length := math.Sqrt(sum)
	for i, v := range x {
		dst[i] = float32(float64(v) / length)
	}
	return nil
}

// block is the number of frames whose similarities are worked out at once.
const block = 256

// similar calls visit for each pair of the given frames that has an edge, a before
// b in their order, with their places in it and the weight.
func (f *Frames) similar(frames []int32, visit func(a, b int, weight float64)) {
	n := len(frames)
	x := make([]float32, n*f.Dim)
	for i, id := range frames {
		copy(x[i*f.Dim:(i+1)*f.Dim], f.unit[int(id)*f.Dim:])
	}
	y := f.device.New(min(block, n), n)
	for from := 0; from < n; from += block {
		rows := min(block, n-from)
		// Only pairs with b < a are read.
		w := f.device.PackT(x[:(from+rows)*f.Dim], from+rows, f.Dim)
		out := backend.Host(y.Data, rows, from+rows)
		f.device.MatMul(out, backend.Host(x[from*f.Dim:], rows, f.Dim), w, backend.Epilogue{})
		for r := range rows {
			for b, s := range out.Row(r)[:from+r] {
				if s > f.Threshold {
					visit(b, from+r, f.weight(s))
				}
			}
		}
	}
}

// Len is the number of frames.
func (f *Frames) Len() int { return f.N }

// Between gives the weights between and inside clusters of frames, in the graph
// of those frames alone.
func (f *Frames) Between(clusters [][]int32) *Between {
	var frames []int32
	var of []int
	for c, members := range clusters {
		frames = append(frames, members...)
		for range members {
			of = append(of, c)
		}
	}
	b := NewBetween(len(clusters))
	f.similar(frames, func(i, j int, w float64) { b.Add(of[i], of[j], w) })
	return b
}
