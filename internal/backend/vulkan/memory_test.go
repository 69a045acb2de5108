//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/gpu"
	"github.com/sotto-audio/sotto/internal/backend/gpu/gputest"
)

// open opens a device for a test, or skips it where there is none.
func open(t *testing.T) (*gpu.Backend, *device) {
	p, err := choose(-1)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	d, err := openDevice(p)
	if err != nil {
		t.Fatal(err)
	}
	b := gpu.New(d, 1)
	t.Cleanup(b.Close)
	return b, d
}

// settle lets the collector find everything, and gives the bytes that stay in use.
func settle(b *gpu.Backend) (used, taken uint64) {
	for range 5 {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
		b.Wait()
		b.Wait()
	}
	return b.InUse()
}

// TestNoLeak makes and forgets tensors in random order for 10,000 steps, each with an
// operation: memory stays what is held at a time, and comes back in the end.
func TestNoLeak(t *testing.T) {
	b, _ := open(t)
	rng := rand.New(rand.NewPCG(1, 2))
	x := b.New(40, 30)
	w := b.Pack(make([]float32, 30*20), 30, 20)
	b.MatMul(b.New(40, 20), x, w, backend.Epilogue{})
	before, _ := settle(b)
	held := make([]*backend.Tensor, 60)
	most := uint64(0)
	for i := range 10_000 {
		at := rng.IntN(len(held))
		rows, cols := 1+rng.IntN(60), 1+rng.IntN(300)
		if rng.IntN(200) == 0 {
			rows *= 100
		}
		y := b.New(rows, cols)
		for k, v := range y.Data {
			if v != 0 {
				t.Fatalf("step %d: value %d of a new tensor is %v", i, k, v)
			}
		}
		b.Finish(y, y, backend.Epilogue{Bias: make([]float32, cols), Act: backend.SiLU})
		if old := held[at]; old != nil && old.Cols == cols {
			b.Copy(y.Slice(0, min(rows, old.Rows)), old.Slice(0, min(rows, old.Rows)))
		}
		held[at] = y
		if i%500 == 499 {
			clear(held[:rng.IntN(len(held))])
			used, _ := settle(b)
			most = max(most, used)
		}
	}
	clear(held)
	after, taken := settle(b)
	t.Logf("%d bytes before, at most %d, %d after, of %d", before, most, after, taken)
	if after > before+2<<20 {
		t.Errorf("%d bytes stay in use", after-before)
	}
	if taken > 512<<20 {
		t.Errorf("%d bytes are taken", taken)
	}
}

// TestExhaustedMemory runs into the end of memory: that is an error, and room that
// comes back is used again.
func TestExhaustedMemory(t *testing.T) {
	b, _ := open(t)
	b.Limit(96 << 20)
	var held []*backend.Tensor
	fill := func() (err error) {
		defer backend.Recover(&err)
		for range 100 {
			held = append(held, b.New(1000, 1000))
		}
		return nil
	}
	if err := fill(); !errors.Is(err, gpu.ErrMemory) || len(held) < 20 {
		t.Fatalf("after %d tensors: %v", len(held), err)
	} else {
		t.Log(err)
	}
	x := held[0]
	clear(held)
	b.Activate(x, x, backend.Sigmoid)
	y := b.New(1000, 1000)
	b.Copy(y, x)
	b.Wait()
	if y.Data[0] != 0.5 {
		t.Errorf("sigmoid(0) is %v", y.Data[0])
	}
}

// TestLostDevice gives an error for every operation after the loss, and a device
// that is opened again works.
func TestLostDevice(t *testing.T) {
	b, d := open(t)
	x := b.New(10, 10)
	lose := func() (err error) {
		return d.check(deviceLost)
	}
	if err := lose(); !errors.Is(err, deviceLost) {
		t.Fatal(err)
	}
	for range 3 {
		err := func() (err error) {
			defer backend.Recover(&err)
			b.Activate(x, x, backend.Tanh)
			b.Wait()
			return nil
		}()
		if !errors.Is(err, deviceLost) {
			t.Fatalf("after the loss: %v", err)
		}
	}
	if !b.Lost() {
		t.Error("the device is not lost")
	}
	again, _ := open(t)
	y := again.New(2, 2)
	again.Activate(y, y, backend.Sigmoid)
	again.Wait()
	if y.Data[3] != 0.5 {
		t.Errorf("sigmoid(0) is %v", y.Data[3])
	}
}

// TestReplay runs the same step again and again: it is recorded once.
func TestReplay(t *testing.T) {
	b, _ := open(t)
	gputest.Replay(t, b)
}

func BenchmarkRecord(t *testing.B) {
	b, err := Open(-1, 1)
	if err != nil {
		t.Skip(err)
	}
	defer b.Close()
	x := b.New(1, 1)
	for t.Loop() {
		b.Activate(x, x, backend.ReLU)
	}
	b.Wait()
}

// TestFailures lets calls of the driver fail.
func TestFailures(t *testing.T) {
	p, err := choose(-1)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	gputest.Failures(t, func() gpu.Driver {
		d, err := openDevice(p)
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
