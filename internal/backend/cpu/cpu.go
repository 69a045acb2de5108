// Package cpu is the backend for processors: AVX-512, AVX2 or NEON kernels chosen
// when it starts, or portable Go. All of them give the bits of package ref.
package cpu

import (
	"runtime"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Backend runs operations on the processor. A call returns when its work is
// done; the work of large calls is shared by several goroutines.
type Backend struct {
	threads int
	kernels *kernels
	pool    pool
	serial  *Backend // the same kernels on the goroutine of the caller
}

var _ backend.Backend = (*Backend)(nil)

// Option changes how a Backend is made.
type Option func(*Backend)

// Path selects the kernels by name, "avx2", "neon" or another of Paths, instead of
// the best ones of this machine. An unknown or unavailable one panics.
func Path(name string) Option {
	return func(b *Backend) {
		for _, k := range available() {
			if k.name == name {
				b.kernels = k
				return
			}
		}
		panic("cpu: no kernels named " + name + " on this machine")
	}
}

// Paths lists the kernels that this machine can run, best first.
func Paths() []string {
	var names []string
	for _, k := range available() {
		names = append(names, k.name)
	}
	return names
}

// New makes a backend that uses up to the given number of threads, all
// processors where it is 0.
func New(threads int, opts ...Option) *Backend {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	b := &Backend{threads: threads, kernels: available()[0]}
	b.pool.busy = make([]bool, threads)
	b.pool.busy[0] = true
	b.pool.start = b.pool.help
	b.pool.anyOpen = func() bool { return b.pool.count.Load() > 0 }
	for _, o := range opts {
		o(b)
	}
	b.serial = b
	if threads > 1 {
		b.serial = &Backend{threads: 1, kernels: b.kernels}
		b.serial.serial = b.serial
	}
	return b
}

// Name is "cpu (avx512)" or the like.
func (b *Backend) Name() string { return "cpu (" + b.kernels.name + ")" }

// New gives a zeroed dense tensor.
func (b *Backend) New(rows, cols int) *backend.Tensor {
	return backend.Host(aligned(rows*cols), rows, cols)
}

// Upload copies host values into a dense tensor.
func (b *Backend) Upload(dst *backend.Tensor, src []float32) { copy(dst.Data, src) }

// Download copies a tensor to the host.
func (b *Backend) Download(dst []float32, src *backend.Tensor) {
	for r := range src.Rows {
		copy(dst[r*src.Cols:], src.Row(r))
	}
}

// aligned makes n zeros that start at a cache line, which vector loads like.
func aligned(n int) []float32 {
	const line = 64
	s := make([]float32, n+line/4)
	off := 0
	if r := uintptr(unsafe.Pointer(&s[0])) % line; r != 0 {
		off = int(line-r) / 4
	}
	return s[off : off+n : off+n]
}
