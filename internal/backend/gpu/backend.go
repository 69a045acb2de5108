package gpu

import (
	"math"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Backend runs operations on a device.
type Backend struct {
	*core
	prompt bool // every operation waits
}

type core struct {
	host *cpu.Backend // for what has no kernel

	mu     sync.Mutex // of all that follows
	driver Driver
	queue  *queue
	heap   heap
	kernel map[variant]uint64
	// Memory until the next wait: of the device, and of the host for its operands.
	temporary, staging pool
	kept               []*storage // of temporary

	freed struct {
		sync.Mutex // the collector of garbage does not wait for a step
		blocks     []block
	}
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Waiter  = (*Backend)(nil)
)

// New makes a backend of a driver. The host works with that many threads, all
// processors where it is 0.
func New(d Driver, threads int) *Backend {
	c := &core{host: cpu.New(threads), driver: d, kernel: map[variant]uint64{}}
	c.heap.driver, c.queue = d, newQueue(d)
	c.temporary.grow = func(size uint64) (Memory, error) {
		s, err := c.allocate(int(size / 4))
		if err != nil {
			return Memory{}, err
		}
		c.kept = append(c.kept, s)
		return Memory{Host: unsafe.Pointer(unsafe.SliceData(s.block.floats(int(size / 4)))), Address: s.block.address(), Size: size}, nil
	}
	c.staging.grow = func(size uint64) (Memory, error) { return d.Allocate(size, true) }
	return &Backend{core: c}
}

// Prompt gives the same device, whose operations have run when they return.
func (b *Backend) Prompt() backend.Backend { return &Backend{core: b.core, prompt: true} }

// Lost says that the device does not answer any more: open it again.
func (b *Backend) Lost() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.driver.Lost()
}

// Software says that the processor stands in for the device.
func (b *Backend) Software() bool { return b.driver.Software() }

// Tensor says that TF32 and BFloat16 run on units of their own.
func (b *Backend) Tensor() bool { return b.driver.Tensor() }

// Limit bounds the memory that is taken from the device; 0 is all that there is.
func (b *Backend) Limit(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heap.limit = bytes
}

// InUse is the memory of tensors and packings that were not found to be garbage yet, and
// what is taken from the device for them, in bytes.
func (b *Backend) InUse() (used, taken uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.heap.chunks {
		taken += c.Size
	}
	return b.heap.used, taken
}

// Recorded is the number of operations that were started, and of the rows of them that
// had to be recorded.
func (b *Backend) Recorded() (operations, recordings uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.operations, b.queue.recordings
}

// Close gives the device back. Tensors must not be used after it.
func (b *Backend) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue.close()
	for _, c := range b.heap.chunks {
		b.driver.Free(c.Memory)
	}
	b.heap.chunks = nil
	for _, m := range b.staging.parts {
		b.driver.Free(m)
	}
	b.staging.parts = nil
	b.driver.Close()
}

// Name is that of the kind of device and of the device.
func (b *Backend) Name() string { return b.driver.Name() }

// Host gives the backend of the processor.
func (b *Backend) Host() backend.Backend { return b.host }

// Each calls f for parts of n rows on the host, side by side.
func (b *Backend) Each(n, unit int, cost float64, f func(lo, hi int)) {
	b.host.Each(n, unit, cost, f)
}

// Wait returns when all operations have run: the host may look at tensors then.
func (b *Backend) Wait() {
	b.begin()
	defer b.mu.Unlock()
	b.wait()
}

// wait returns when all operations have run.
func (b *core) wait() { do(b.queue.wait()) }

// do turns a failure of the device into a panic.
func do(err error) {
	if err != nil {
		panic(&backend.Fault{Err: err})
	}
}

// begin locks the backend for an operation. Memory that nothing points to is given
// back here alone: the operation's own operands are still in use by its caller.
func (b *Backend) begin() {
	b.mu.Lock()
	b.freed.Lock()
	b.heap.limbo = append(b.heap.limbo, b.freed.blocks...)
	b.freed.blocks = b.freed.blocks[:0]
	b.freed.Unlock()
	if b.idle() {
		b.heap.idle()
		b.temporary.reset()
		b.staging.reset()
	}
}

// idle says that nothing is enqueued.
func (b *Backend) idle() bool { return b.queue.idle() }

// storage is what the tensors over one range of memory point to.
type storage struct{ block block }

// allocate gives memory for n values, of any content. It is nobody else's, and
// nothing that is enqueued looks at it.
func (b *core) allocate(n int) (*storage, error) {
	blk, err := b.heap.allocate(4*uint64(n), func() {
		b.wait()
		b.heap.idle()
	})
	if err != nil {
		return nil, err
	}
	s := &storage{blk}
	runtime.AddCleanup(s, func(blk block) {
		b.freed.Lock()
		b.freed.blocks = append(b.freed.blocks, blk)
		b.freed.Unlock()
	}, blk)
	return s, nil
}

// claim is allocate outside of an operation. It lets the collector of garbage, which
// does not see the device's memory, find what nothing points to: now and then, and
// where there is no room.
func (b *Backend) claim(n int) *storage {
	for try := 0; ; try++ {
		s, err := b.attempt(n, try == 0)
		switch {
		case s != nil:
			return s
		case try == 4:
			do(err)
		}
		runtime.GC()
		time.Sleep(time.Millisecond << try) // cleanups run beside us
	}
}

// attempt is one of claim's: it gives nothing where there is no room, or with look where
// it is time to look for garbage.
func (b *Backend) attempt(n int, look bool) (*storage, error) {
	b.begin()
	defer b.mu.Unlock()
	if look && b.heap.crowded(4*uint64(n)) {
		return nil, nil
	}
	return b.allocate(n)
}

// New gives a zeroed dense tensor.
func (b *Backend) New(rows, cols int) *backend.Tensor {
	s := b.claim(rows * cols)
	t := backend.Host(s.block.floats(rows*cols), rows, cols)
	clear(t.Data)
	t.Device = s
	return t
}

// Upload copies host values into a dense tensor.
func (b *Backend) Upload(dst *backend.Tensor, src []float32) {
	b.begin()
	defer b.mu.Unlock()
	if !b.idle() {
		// Through a copy that is enqueued behind what still reads the tensor.
		if len(src) > 0 {
			x := &backend.Tensor{Rows: 1, Cols: len(src), Stride: len(src), Data: src}
			y := &backend.Tensor{Rows: 1, Cols: len(src), Stride: len(src), Data: dst.Data}
			b.finish(y, x, backend.Epilogue{})
		}
		return
	}
	copy(dst.Data, src)
}

// Download waits and copies a tensor to the host.
func (b *Backend) Download(dst []float32, src *backend.Tensor) {
	b.Wait()
	for r := range src.Rows {
		copy(dst[r*src.Cols:], src.Row(r))
	}
	runtime.KeepAlive(src)
}

// pool is memory that is given out one after the other, and all taken back at once.
type pool struct {
	grow  func(size uint64) (Memory, error)
	parts []Memory
	now   int    // of parts, in use
	at    uint64 // bytes of it in use
}

const poolPart = 1 << 20

func (p *pool) reset() { p.now, p.at = 0, 0 }

// take gives memory for n values.
func (p *pool) take(n int) (uint64, []float32) {
	need := (4*uint64(n) + 63) / 64 * 64
	for {
		if p.now == len(p.parts) {
			m, err := p.grow(max(need, poolPart))
			do(err)
			p.parts = append(p.parts, m)
			continue
		}
		m, at := p.parts[p.now], p.at
		if at+need <= m.Size {
			p.at += need
			return m.Address + at, unsafe.Slice((*float32)(unsafe.Add(m.Host, at)), n)
		}
		p.now, p.at = p.now+1, 0
	}
}

// scratch gives memory of the device for n values until the next wait.
func (b *Backend) scratch(n int) (uint64, []float32) { return b.temporary.take(n) }

// address gives where values lie on the device.
func (b *Backend) address(v []float32) (uint64, bool) {
	return b.heap.address(unsafe.Pointer(unsafe.SliceData(v)))
}

// vector gives host values to the device, nil as 0.
func (b *Backend) vector(v []float32) uint64 {
	if v == nil {
		return 0
	}
	if a, ok := b.address(v); ok {
		return a
	}
	a, to := b.staging.take(len(v))
	copy(to, v)
	return a
}

func (b *Backend) ints(v []int32) uint64 {
	a, to := b.staging.take(len(v))
	for i, x := range v {
		to[i] = math.Float32frombits(uint32(x))
	}
	return a
}

// extent is the number of values from the first to the last of a tensor.
func extent(t *backend.Tensor) int {
	if t.Rows == 0 {
		return 0
	}
	return (t.Rows-1)*t.Stride + t.Cols
}

// input gives a tensor to the device, a copy of one in host memory.
func (b *Backend) input(t *backend.Tensor) uint64 {
	if t == nil {
		return 0
	}
	return b.vector(t.Data[:extent(t)])
}

// output gives a tensor to the device that it writes to. One in host memory is a copy,
// and back brings it home; back is nil otherwise.
func (b *Backend) output(t *backend.Tensor) (a uint64, back func()) {
	return b.outputs(t.Data[:extent(t)])
}

func (b *Backend) outputs(v []float32) (a uint64, back func()) {
	if v == nil {
		return 0, nil
	}
	if a, ok := b.address(v); ok {
		return a, nil
	}
	a, values := b.staging.take(len(v))
	copy(values, v)
	return a, func() { copy(v, values) }
}

// bring waits where outputs have to come home.
func (b *Backend) bring(backs ...func()) {
	waited := b.prompt
	if waited {
		b.wait()
	}
	for _, back := range backs {
		if back == nil {
			continue
		}
		if !waited {
			// The copies are read before their memory is used again.
			b.wait()
			waited = true
		}
		back()
	}
}
