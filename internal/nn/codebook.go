package nn

import (
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// Codebook finds the nearest of its entries to a row, and gives entries back.
type Codebook struct {
	Size, Dim int
	Entries   *Param // [Size, Dim]
	// Cosine compares directions: rows and entries are divided by their length,
	// which is at least 1e-12, before the search (Yu et al. 2022, ViT-VQGAN, section
	// 3.2; DAC). Lookup gives entries as they are.
	Cosine bool

	mu      sync.Mutex
	device  backend.Backend
	version uint64
	packed  *backend.Weights
	half    []float32 // |e|²/2
}

// NewCodebook makes a codebook of zeros, called name.
func NewCodebook(name string, size, dim int) *Codebook {
	return &Codebook{Size: size, Dim: dim, Entries: NewParam(name, size, dim)}
}

// Params lists the entries.
func (l *Codebook) Params() []*Param { return []*Param{l.Entries} }

// Nearest sets codes to the entries nearest to the rows of x, the lowest on a tie.
func (l *Codebook) Nearest(s *Stream, codes []int32, x *backend.Tensor) {
	packed, half := l.prepare(s.Backend)
	if l.Cosine {
		y := s.Tensor(x.Rows, x.Cols)
		s.Wait()
		for t := range x.Rows {
			normalize(y.Row(t), x.Row(t))
		}
		s.Backend.Nearest(codes, y, packed, half)
		s.Release(y)
		return
	}
	s.Backend.Nearest(codes, x, packed, half)
}

// Lookup gives the entries of codes, which lie within the codebook.
func (l *Codebook) Lookup(s *Stream, codes []int32) *backend.Tensor {
	y := s.Tensor(len(codes), l.Dim)
	s.Gather(y, backend.Host(l.Entries.Data, l.Size, l.Dim), codes)
	return y
}

func (l *Codebook) prepare(b backend.Backend) (*backend.Weights, []float32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.device != b || l.version != l.Entries.version {
		entries := l.Entries.Data
		if l.Cosine {
			entries = make([]float32, len(entries))
			for i := range l.Size {
				normalize(entries[i*l.Dim:(i+1)*l.Dim], l.Entries.Data[i*l.Dim:(i+1)*l.Dim])
			}
		}
		l.packed = b.PackT(entries, l.Size, l.Dim)
		l.half = make([]float32, l.Size)
		for i := range l.half {
			l.half[i] = 0.5 * squares(entries[i*l.Dim:(i+1)*l.Dim])
		}
		l.device, l.version = b, l.Entries.version
	}
	return l.packed, l.half
}

// normalize sets y to x divided by its length.
func normalize(y, x []float32) {
	r := max(f32.Sqrt(squares(x)), 1e-12)
	for i, v := range x {
		y[i] = v / r
	}
}

// squares adds up squares in their order.
func squares(x []float32) float32 {
	var s float32
	for _, v := range x {
		s += float32(v * v)
	}
	return s
}
