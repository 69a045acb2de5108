//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
)

func open(t *testing.T) *Backend {
	b, err := Open(-1, 1)
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	t.Cleanup(b.(*Backend).Close)
	return b.(*Backend)
}

// settle lets the collector find everything, and gives the bytes that stay in use.
func settle(b *Backend) uint64 {
	for range 5 {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
		b.Wait()
		b.Wait()
	}
	return b.heap.used
}

// TestNoLeak makes and forgets tensors in random order for 10,000 steps, each with an
// operation: memory stays what is held at a time, and comes back in the end.
func TestNoLeak(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(1, 2))
	x := b.New(40, 30)
	w := b.Pack(make([]float32, 30*20), 30, 20)
	b.MatMul(b.New(40, 20), x, w, backend.Epilogue{})
	before := settle(b)
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
			most = max(most, settle(b))
		}
	}
	clear(held)
	after := settle(b)
	t.Logf("%d bytes before, at most %d, %d after; %d chunks", before, most, after, len(b.heap.chunks))
	if after > before+2*temporarySize {
		t.Errorf("%d bytes stay in use", after-before)
	}
	if total := uint64(len(b.heap.chunks)) * chunkSize; total > 16*chunkSize {
		t.Errorf("%d bytes of chunks", total)
	}
}

// TestChunk gives ranges back in random order: they join up again.
func TestChunk(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	c := &chunk{size: 1 << 16, free: []span{{0, 1 << 16}}}
	var taken []span
	for range 10_000 {
		if len(taken) > 0 && rng.IntN(2) == 0 {
			i := rng.IntN(len(taken))
			c.give(taken[i])
			taken[i] = taken[len(taken)-1]
			taken = taken[:len(taken)-1]
			continue
		}
		s, ok := c.take(uint64(1+rng.IntN(16)) * alignment)
		if !ok {
			continue
		}
		for _, other := range taken {
			if s.from < other.to && other.from < s.to {
				t.Fatalf("%v and %v overlap", s, other)
			}
		}
		taken = append(taken, s)
	}
	for _, s := range taken {
		c.give(s)
	}
	if fmt.Sprint(c.free) != fmt.Sprint([]span{{0, 1 << 16}}) {
		t.Errorf("%v is free", c.free)
	}
}

// TestExhaustedMemory runs into the end of memory: that is an error, and room that
// comes back is used again.
func TestExhaustedMemory(t *testing.T) {
	b := open(t)
	b.heap.limit = 3 * chunkSize
	var held []*backend.Tensor
	fill := func() (err error) {
		defer backend.Recover(&err)
		for range 100 {
			held = append(held, b.New(1000, 1000))
		}
		return nil
	}
	if err := fill(); !errors.Is(err, outOfDeviceMemory) || len(held) < 20 {
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
	b := open(t)
	x := b.New(10, 10)
	lose := func() (err error) {
		defer backend.Recover(&err)
		b.queue.check(deviceLost)
		return nil
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
	again := open(t)
	y := again.New(2, 2)
	again.Activate(y, y, backend.Sigmoid)
	again.Wait()
	if y.Data[3] != 0.5 {
		t.Errorf("sigmoid(0) is %v", y.Data[3])
	}
}

// TestReplay runs the same step again and again: it is recorded once.
func TestReplay(t *testing.T) {
	b := open(t)
	w := b.Pack(make([]float32, 32*32), 32, 32)
	x, y := b.New(8, 32), b.New(8, 32)
	step := func() {
		for range 50 {
			b.MatMul(y, x, w, backend.Epilogue{Bias: make([]float32, 32), Act: backend.GELU})
			b.LayerNorm(x, y, nil, nil, 1e-5)
		}
		b.Wait()
	}
	step()
	recorded := b.queue.submitted.recordings
	for range 10 {
		step()
	}
	s := b.queue.submitted
	if s.recordings != recorded || s.operations != 11*100 {
		t.Errorf("%d operations, %d recordings after %d of the first step, %d replays", s.operations, s.recordings, recorded, s.replays)
	}
}

func BenchmarkRecord(t *testing.B) {
	b, err := Open(-1, 1)
	if err != nil {
		t.Skip(err)
	}
	d := b.(*Backend)
	defer d.Close()
	x := d.New(1, 1)
	for t.Loop() {
		d.Activate(x, x, backend.ReLU)
	}
	d.Wait()
}
