package cpu

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// job is one operation cut into parts that any goroutine may claim. Which
// goroutine runs a part never changes a bit of the result.
type job struct {
	operands
	b     *Backend
	run   func(j *job, part int, s *scratch)
	parts int
	next  atomic.Int32 // the next part to claim
	done  sync.WaitGroup
	users int // goroutines that may still look at the job; guarded by pool.mu
}

// operands are what the operations work on.
type operands struct {
	y, x, z, hat   *backend.Tensor
	w              *backend.Weights
	ep             backend.Epilogue
	act            backend.Activation
	v0, v1, v2, v3 []float32
	codes          []int32
	taps, dilation int
	eps            float32
	adam           f32.AdamW
	plan           plan
	transposed     bool
}

// scratch is memory that one goroutine owns while it runs parts.
type scratch struct {
	floats []float32
	tile   []float32
	// products holds the rows that Nearest searches, best and code its lanes.
	products []float32
	view     backend.Tensor
	best     [16]float32
	code     [16]int32
}

// get gives n floats of undefined value.
func (s *scratch) get(n int) []float32 {
	if len(s.floats) < n {
		s.floats = aligned(n)
	}
	return s.floats[:n]
}

// pool lends jobs and scratch memory, so that a warm backend does not allocate,
// and runs the helpers: goroutines that live only while there are parts to
// claim, never more than the threads allow, whatever the number of callers.
type pool struct {
	mu      sync.Mutex
	free    []*job
	scratch []*scratch
	open    []*job // jobs with parts to claim
	helpers int
	help    func() // bound once
}

// job gives an empty job.
func (b *Backend) job() *job {
	p := &b.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return &job{b: b}
	}
	j := p.free[n-1]
	p.free = p.free[:n-1]
	return j
}

// do runs all parts of a job and gives it back. The caller works too.
func (j *job) do(parts int, run func(j *job, part int, s *scratch)) {
	p := &j.b.pool
	j.run, j.parts, j.users = run, parts, 1
	j.next.Store(0)
	j.done.Add(parts)
	helpers := min(j.b.threads, parts) - 1
	if helpers > 0 {
		p.mu.Lock()
		p.open = append(p.open, j)
		helpers = min(helpers, j.b.threads-1-p.helpers)
		p.helpers += max(helpers, 0)
		p.mu.Unlock()
	}
	for range helpers {
		go p.help()
	}
	j.work()
	j.done.Wait()
	p.leave(j)
}

// join gives a helper a job to work on, or ends it with nil.
func (p *pool) join() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		p.helpers--
		return nil
	}
	j := p.open[0]
	j.users++
	return j
}

// leave notes that a goroutine found no more parts of j. The last one gives
// the job back.
func (p *pool) leave(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.open, j); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
	if j.users--; j.users == 0 {
		j.operands = operands{}
		p.free = append(p.free, j)
	}
}

// work claims parts until none is left.
func (j *job) work() {
	p := &j.b.pool
	var s *scratch
	for {
		part := int(j.next.Add(1)) - 1
		if part >= j.parts {
			break
		}
		if s == nil {
			s = p.take()
		}
		j.run(j, part, s)
		j.done.Done()
	}
	if s != nil {
		p.put(s)
	}
}

func (p *pool) put(s *scratch) {
	p.mu.Lock()
	p.scratch = append(p.scratch, s)
	p.mu.Unlock()
}

func (p *pool) take() *scratch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.scratch); n > 0 {
		s := p.scratch[n-1]
		p.scratch = p.scratch[:n-1]
		return s
	}
	return &scratch{tile: aligned(maxTile)}
}

// split cuts n items of the given cost (in nanoseconds, roughly) into parts
// that are worth a goroutine each; unit is the granularity in items.
func (b *Backend) split(n, unit int, cost float64) int {
	const worth = 10_000
	if b.threads == 1 || n <= unit {
		return min(n, 1)
	}
	parts := min(int(float64(n)*cost/worth), 4*b.threads, (n+unit-1)/unit)
	return max(parts, 1)
}

// span gives the items of one of several parts: unit is the granularity.
func span(n, unit, part, parts int) (lo, hi int) {
	units := (n + unit - 1) / unit
	return min(n, part*units/parts*unit), min(n, (part+1)*units/parts*unit)
}
