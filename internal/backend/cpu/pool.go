package cpu

import (
	"sync"
	"sync/atomic"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
)

// job is one operation cut into parts that any goroutine may claim. Which
// goroutine runs a part never changes a bit of the result.
type job struct {
	operands
	run   func(j *job, part int, s *scratch)
	b     *Backend
	parts int
	next  atomic.Int32 // the next part to claim
	refs  atomic.Int32 // goroutines that may still look at the job
	done  sync.WaitGroup
	help  func() // work and release, bound once
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

// pool keeps jobs and scratch memory for reuse, so that a warm backend does not
// allocate.
type pool struct {
	mu      sync.Mutex
	jobs    []*job
	scratch []*scratch
}

// job gives an empty job.
func (b *Backend) job() *job {
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	if n := len(b.pool.jobs); n > 0 {
		j := b.pool.jobs[n-1]
		b.pool.jobs = b.pool.jobs[:n-1]
		return j
	}
	j := &job{b: b}
	j.help = func() {
		j.work()
		j.release()
	}
	return j
}

func (j *job) release() {
	if j.refs.Add(-1) > 0 {
		return
	}
	j.operands = operands{}
	p := &j.b.pool
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	p.mu.Unlock()
}

// do runs all parts of a job and gives it back. The caller works too; helpers
// live only as long as the job.
func (j *job) do(parts int, run func(j *job, part int, s *scratch)) {
	helpers := min(j.b.threads, parts) - 1
	j.run, j.parts = run, parts
	j.next.Store(0)
	j.refs.Store(int32(max(helpers, 0) + 1))
	j.done.Add(parts)
	for range helpers {
		go j.help()
	}
	j.work()
	j.done.Wait()
	j.release()
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
