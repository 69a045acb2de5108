package se

import (
	"errors"
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/rvq"
)

// Sums is the node game on what clusters sum up to: one matrix product and some
// arithmetic for each cluster, instead of the similarities to all members.
//
// With s_e the sum of a cluster's unit vectors, n_e their number and m_e = s_e/n_e,
// an edge of cosine weighs max(0, x·s_e): all members count, also those below the
// threshold, as long as they agree on the whole. A soft one weighs
// n_e·exp(β·(x·m_e − 1) + β²·v_e/2), the mean of the exponential over a normal
// distribution of the members with the variance v_e = (1 − |m_e|²)/dim that they have
// in a direction.
//
// Entropy differences do not depend on the unit of weights; here a mean cluster has
// volume 1.
type Sums struct {
	Clusters, Dim int
	Soft          bool
	Vectors       []float32 // [Clusters, Dim]; x·Vectors + Bias is the weight of an edge, or its logarithm to base 2
	Bias          []float32
	Inside        []float32 // V_e − g_e
	Volume        []float32 // V_e
	Total         float32   // V
}

var _ rvq.Game = (*Sums)(nil)

// smallestVolume keeps clusters without edges finite.
const smallestVolume = 0x1p-20

// NewSums sums up clusters of frames, measured in the frames' graph.
func NewSums(f *Frames, clusters [][]int32) (*Sums, error) {
	p := Measure(f, clusters)
	if !(p.Total > 0) {
		return nil, errors.New("se: the graph has no edges: lower the threshold")
	}
	scale := float64(len(clusters)) / p.Total
	s := &Sums{Clusters: len(clusters), Dim: f.Dim, Soft: f.Soft > 0, Vectors: make([]float32, len(clusters)*f.Dim), Total: float32(len(clusters))}
	sum := make([]float64, f.Dim)
	for e, members := range clusters {
		clear(sum)
		for _, i := range members {
			for k, v := range f.unit[int(i)*f.Dim:][:f.Dim] {
				sum[k] += float64(v)
			}
		}
		factor, bias := scale, 0.0
		if s.Soft {
			n, beta := float64(len(members)), float64(f.Soft)
			var square float64
			for _, v := range sum {
				square += float64(v/n) * float64(v/n)
			}
			factor = beta / n * math.Log2E
			bias = log2(scale*n) + math.Log2E*(beta*beta*(1-square)/float64(2*f.Dim)-beta)
		}
		for k, v := range sum {
			s.Vectors[e*f.Dim+k] = float32(factor * v)
		}
		s.Bias = append(s.Bias, float32(bias))
		s.Volume = append(s.Volume, float32(scale*p.Volume[e]))
		s.Inside = append(s.Inside, float32(scale*(p.Volume[e]-p.Cut[e])))
	}
	return s, s.Validate()
}

// Validate reports clusters that cannot be.
func (s *Sums) Validate() error {
	if s.Clusters < 1 || s.Dim < 1 || len(s.Vectors) != s.Clusters*s.Dim || len(s.Bias) != s.Clusters || len(s.Inside) != s.Clusters || len(s.Volume) != s.Clusters {
		return fmt.Errorf("se: sums of %d clusters of %d values hold %d, %d, %d and %d", s.Clusters, s.Dim, len(s.Vectors), len(s.Bias), len(s.Inside), len(s.Volume))
	}
	sound := func(v float32, low, high float32) bool { return v >= low && v <= high }
	for e := range s.Clusters {
		var square float64
		for _, v := range s.Vectors[e*s.Dim : (e+1)*s.Dim] {
			square += float64(float64(v) * float64(v))
		}
		if !(square <= 1e18) || s.Soft && !(math.Sqrt(square)+float64(s.Bias[e]) <= 120) {
			return fmt.Errorf("se: cluster %d has a vector of length %g", e, math.Sqrt(square))
		}
		// A cluster's volume is no less than what lies inside, but for rounding.
		if !sound(s.Bias[e], -1e3, 120) || !sound(s.Volume[e], 0, 1e9) || !sound(s.Inside[e], 0, s.Volume[e]*1.01) {
			return fmt.Errorf("se: cluster %d has bias %g, volume %g, inside %g", e, s.Bias[e], s.Volume[e], s.Inside[e])
		}
	}
	if !sound(s.Total, 1e-6, 1e12) {
		return fmt.Errorf("se: the graph has volume %g", s.Total)
	}
	return nil
}

// On prepares the game for a device.
func (s *Sums) On(device rvq.Device) rvq.Player {
	g := &backend.Game{Bias: s.Bias, Soft: s.Soft, Inside: s.Inside, Total: s.Total}
	for _, v := range s.Volume {
		v = max(v, smallestVolume)
		g.Inverse = append(g.Inverse, 1/v)
		g.Bits = append(g.Bits, float32(log2(float64(v))))
	}
	d := cpu.Of(device)
	joiner, ok := d.(backend.Joiner)
	if !ok { // the host plays
		host := cpu.New(0)
		joiner, d = host, host
	}
	return &sumsPlayer{device: joiner, sums: d.PackT(s.Vectors, s.Clusters, s.Dim), game: g}
}

type sumsPlayer struct {
	device backend.Joiner
	sums   *backend.Weights
	game   *backend.Game
	x      backend.Tensor
}

func (p *sumsPlayer) Play(codes []int32, x []float32, stride int) {
	p.x = backend.Tensor{Rows: len(codes), Cols: p.sums.K, Stride: stride, Data: x}
	p.device.Join(codes, &p.x, p.sums, p.game)
}

func (p *sumsPlayer) Fork() rvq.Player {
	return &sumsPlayer{device: p.device, sums: p.sums, game: p.game}
}
