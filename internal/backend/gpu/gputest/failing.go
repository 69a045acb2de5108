package gputest

import (
	"errors"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// failing is a driver one of whose calls fails.
type failing struct {
	gpu.Driver
	left int // calls until then
}

// errFailing is what it fails with.
var errFailing = errors.New("out of order")

func (f *failing) fail() error {
	if f.left--; f.left == -1 {
		return errFailing
	}
	return nil
}

func (f *failing) Allocate(size uint64, host bool) (gpu.Memory, error) {
	if err := f.fail(); err != nil {
		return gpu.Memory{}, err
	}
	return f.Driver.Allocate(size, host)
}

func (f *failing) Kernel(name string, constants gpu.Constants) (uint64, error) {
	if err := f.fail(); err != nil {
		return 0, err
	}
	return f.Driver.Kernel(name, constants)
}

func (f *failing) Record(row []gpu.Operation) (gpu.Recording, error) {
	if err := f.fail(); err != nil {
		return 0, err
	}
	return f.Driver.Record(row)
}

func (f *failing) Run(r gpu.Recording) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Driver.Run(r)
}

func (f *failing) Wait() error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Driver.Wait()
}

// Failures lets each call of a driver fail once while two streams take turns on its
// device: an error is that of the stream that called, the other one's values are right all
// the same, and so are both a second time.
func Failures(t *testing.T, open func() gpu.Driver) {
	type stream struct {
		x, y *backend.Tensor
		err  error
	}
	matrix, start := make([]float32, 16*16), make([]float32, 4*16)
	for i := range matrix {
		matrix[i] = float32(i%7) - 3
	}
	for i := range start {
		start[i] = float32(i % 5)
	}
	// turn runs f for a stream that has not failed.
	turn := func(s *stream, f func()) {
		if s.err != nil {
			return
		}
		defer backend.Recover(&s.err)
		f()
	}
	run := func(b *gpu.Backend) (all [2]stream, values [2][]float32) {
		var w *backend.Weights
		for i := range all {
			s := &all[i]
			turn(s, func() {
				w = b.Pack(matrix, 16, 16)
				s.x, s.y = b.New(4, 16), b.New(4, 16)
				b.Upload(s.x, start)
			})
		}
		for round := range 120 { // more than what is collected before it starts
			s := &all[round%2]
			turn(s, func() {
				b.MatMul(s.y, s.x, w, backend.Epilogue{Bias: matrix[:16], Act: backend.Tanh})
				b.LayerNorm(s.x, s.y, nil, nil, 1e-5)
			})
		}
		for i := range all {
			s := &all[i]
			turn(s, func() {
				values[i] = make([]float32, 4*16)
				b.Download(values[i], s.x)
			})
		}
		return all, values
	}
	driver := &failing{Driver: open(), left: 1 << 30}
	b := gpu.New(driver, 1)
	_, want := run(b)
	calls := 1<<30 - driver.left
	b.Close()
	failures := 0
	for n := range calls {
		driver := &failing{Driver: open(), left: n}
		b := gpu.New(driver, 1)
		for again := range 2 {
			all, got := run(b)
			errs := 0
			for i, s := range all {
				switch {
				case s.err == nil && !slices.Equal(got[i], want[i]):
					t.Fatalf("call %d fails: stream %d has other values, run %d", n, i, again)
				case s.err != nil && !errors.Is(s.err, errFailing):
					t.Fatalf("call %d fails: stream %d: %v", n, i, s.err)
				case s.err != nil:
					errs++
				}
			}
			if errs > 1 || again == 1 && errs > 0 {
				t.Fatalf("call %d fails: %d streams have errors in run %d", n, errs, again)
			}
			failures += errs
		}
		b.Close()
	}
	t.Logf("%d failures in %d calls", failures, calls)
}
