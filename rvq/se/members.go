package se

import (
	"fmt"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/rvq"
)

// Members is the node game as it is defined: a frame has an edge to each member of
// a cluster that its graph gives it. It costs the similarities to all of them.
type Members struct {
	Dim int
	Edges
	Sizes     []int32   // members of each cluster
	Vectors   []float32 // [members, Dim], of length 1 or 0, those of the first cluster first
	Partition *Partition
}

var _ rvq.Game = (*Members)(nil)

// NewMembers keeps the members of clusters of frames.
func NewMembers(f *Frames, clusters [][]int32) *Members {
	m := &Members{Dim: f.Dim, Edges: f.Edges, Partition: Measure(f, clusters)}
	for _, members := range clusters {
		m.Sizes = append(m.Sizes, int32(len(members)))
		for _, i := range members {
			m.Vectors = append(m.Vectors, f.unit[int(i)*f.Dim:][:f.Dim]...)
		}
	}
	return m
}

// Validate reports clusters that cannot be.
func (m *Members) Validate() error {
	n := 0
	for e, size := range m.Sizes {
		if size < 1 || int(size) > len(m.Vectors) {
			return fmt.Errorf("se: cluster %d has %d members", e, size)
		}
		n += int(size)
	}
	if p := m.Partition; m.Dim < 1 || n*m.Dim != len(m.Vectors) || len(p.Volume) != len(m.Sizes) || len(p.Cut) != len(m.Sizes) {
		return fmt.Errorf("se: %d clusters of %d members of %d values hold %d, with %d volumes and %d cuts", len(m.Sizes), n, m.Dim, len(m.Vectors), len(p.Volume), len(p.Cut))
	}
	for e, v := range m.Partition.Volume {
		if cut := m.Partition.Cut[e]; !(v >= 0 && v <= 1e12 && cut >= 0 && cut <= v*1.01) {
			return fmt.Errorf("se: cluster %d has volume %g and cut %g", e, v, cut)
		}
	}
	for _, v := range m.Vectors {
		if !(math.Abs(float64(v)) <= 1.01) {
			return fmt.Errorf("se: a member has the value %g: it should have length 1", v)
		}
	}
	return m.Edges.Validate()
}

// On prepares the game for a device.
func (m *Members) On(device rvq.Device) rvq.Player {
	d := cpu.Of(device)
	return &membersPlayer{m: m, device: d, members: d.PackT(m.Vectors, len(m.Vectors)/m.Dim, m.Dim)}
}

// playBlock is the number of frames whose similarities are worked out at once.
const playBlock = 16

type membersPlayer struct {
	m       *Members
	device  backend.Backend
	members *backend.Weights

	x, y    *backend.Tensor // on the device
	xs, ys  backend.Tensor  // their rows in use
	frames  []float32
	cosines []float32
	weights []float64
}

func (p *membersPlayer) Fork() rvq.Player {
	return &membersPlayer{m: p.m, device: p.device, members: p.members}
}

func (p *membersPlayer) Play(codes []int32, x []float32, stride int) {
	n, dim := p.members.N, p.m.Dim
	if p.x == nil {
		p.x, p.y = p.device.New(playBlock, dim), p.device.New(playBlock, n)
		p.frames = make([]float32, playBlock*dim)
		p.cosines, p.weights = make([]float32, playBlock*n), make([]float64, len(p.m.Sizes))
	}
	for from := 0; from < len(codes); from += playBlock {
		rows := min(playBlock, len(codes)-from)
		p.xs, p.ys = *p.x, *p.y
		p.xs.Rows, p.ys.Rows = rows, rows
		for r := range rows {
			copy(p.frames[r*dim:(r+1)*dim], x[(from+r)*stride:])
		}
		p.device.Upload(&p.xs, p.frames[:rows*dim])
		p.device.MatMul(&p.ys, &p.xs, p.members, backend.Epilogue{})
		p.device.Download(p.cosines, &p.ys)
		for r := range rows {
			codes[from+r] = int32(p.join(p.cosines[r*n:(r+1)*n], f32.InverseLength(p.frames[r*dim:(r+1)*dim])))
		}
	}
}

// join is Partition.Best of the edges that cosines, still to be scaled, give.
func (p *membersPlayer) join(cosines []float32, scale float32) int {
	for e, size := range p.m.Sizes {
		var w float64
		for _, c := range cosines[:size] {
			if c := float32(c * scale); c > p.m.Threshold {
				w += p.m.weight(c)
			}
		}
		p.weights[e] = w
		cosines = cosines[size:]
	}
	return p.m.Partition.Best(p.weights)
}
