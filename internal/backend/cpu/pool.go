package cpu

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	next  []claims     // of each thread's share of the parts
	left  atomic.Int32 // parts that are not done
	done  sync.WaitGroup
	ended func() bool // left is 0
	users int         // goroutines that may still look at the job; guarded by pool.mu
}

// claims counts the parts of a thread's share that were claimed; one cache line, as all
// threads write to theirs.
type claims struct {
	atomic.Int32
	_ [60]byte
}

// claim gives a part to a thread, -1 where none is left: those of its own share first,
// which are the rows that it had in the operation before and has in its caches, then
// those of others.
func (j *job) claim(thread int) int {
	for range j.next {
		lo, hi := share(j.parts, len(j.next), thread)
		if n := &j.next[thread]; int(n.Load()) < hi-lo {
			if i := int(n.Add(1)) - 1; i < hi-lo {
				return lo + i
			}
		}
		if thread++; thread == len(j.next) {
			thread = 0
		}
	}
	return -1
}

// share is part i of count of n items.
func share(n, count, i int) (lo, hi int) { return i * n / count, (i + 1) * n / count }

// operands are what the operations work on.
type operands struct {
	y, x, z, hat   *backend.Tensor
	shape          backend.Tensor // what x points to where it is made here
	w              *backend.Weights
	memory         *backend.Memory
	ep             backend.Epilogue
	act            backend.Activation
	v0, v1, v2, v3 []float32
	codes, ends    []int32
	taps, dilation int
	eps            float32
	adam           f32.AdamW
	game           *backend.Game
	plan           plan
	transposed     bool
	each           func(lo, hi int)
	n, unit        int
}

// scratch is memory that one goroutine owns while it runs parts.
type scratch struct {
	floats []float32
	tile   []float32
	pairs  []float32 // a tile of what the rows of pairs have in common
	// products holds the rows that Nearest and Join search, the rest their lanes.
	products []float32
	game     lanes
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
	busy    []bool // which threads have a helper; the first is the caller of a job
	// The functions are bound once: doing so allocates.
	start   func()
	anyOpen func() bool
	count   atomic.Int32 // of open jobs
}

// job gives an empty job.
func (b *Backend) job() *job {
	p := &b.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		j := &job{b: b, next: make([]claims, b.threads)}
		j.ended = func() bool { return j.left.Load() == 0 }
		return j
	}
	j := p.free[n-1]
	p.free = p.free[:n-1]
	return j
}

// do runs all parts of a job and gives it back. The caller works too.
func (j *job) do(parts int, run func(j *job, part int, s *scratch)) {
	p := &j.b.pool
	j.run, j.parts, j.users = run, parts, 1
	for i := range j.next {
		j.next[i].Store(0)
	}
	j.left.Store(int32(parts))
	j.done.Add(parts)
	helpers := min(j.b.threads, parts) - 1
	if helpers > 0 {
		p.mu.Lock()
		p.open = append(p.open, j)
		p.count.Store(int32(len(p.open)))
		helpers = min(helpers, j.b.threads-1-p.helpers)
		p.helpers += max(helpers, 0)
		p.mu.Unlock()
	}
	for range helpers {
		go p.start()
	}
	j.work(0)
	watch(j.ended)
	j.done.Wait()
	p.leave(j)
}

// join gives a helper a job to work on, if there is one.
func (p *pool) join() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		return nil
	}
	j := p.open[0]
	j.users++
	return j
}

// linger is how long a helper looks out for the next job, and a caller for the
// last part of its own, before they sleep: about what waking a core takes. The
// operations of a model follow each other faster than that.
const linger = 50 * time.Microsecond

// watch waits for a condition in that time.
func watch(met func() bool) bool {
	if met() {
		return true
	}
	if runtime.GOMAXPROCS(0) == 1 {
		return false
	}
	for start := time.Now(); !met(); {
		if time.Since(start) > linger {
			return false
		}
	}
	return true
}

// help is the life of a helper.
func (p *pool) help() {
	p.mu.Lock()
	thread := slices.Index(p.busy, false)
	p.busy[thread] = true
	p.mu.Unlock()
	for {
		for j := p.join(); j != nil; j = p.join() {
			j.work(thread)
			p.leave(j)
		}
		if watch(p.anyOpen) {
			continue
		}
		p.mu.Lock()
		idle := len(p.open) == 0
		if idle {
			p.helpers--
			p.busy[thread] = false
		}
		p.mu.Unlock()
		if idle {
			return
		}
	}
}

// leave notes that a goroutine found no more parts of j. The last one gives
// the job back.
func (p *pool) leave(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.open, j); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
		p.count.Store(int32(len(p.open)))
	}
	if j.users--; j.users == 0 {
		j.operands = operands{}
		p.free = append(p.free, j)
	}
}

// work claims parts until none is left.
func (j *job) work(thread int) {
	p := &j.b.pool
	var s *scratch
	for {
		part := j.claim(thread)
		if part < 0 {
			break
		}
		if s == nil {
			s = p.take()
		}
		j.run(j, part, s)
		j.left.Add(-1)
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
	return &scratch{tile: aligned(maxTile), pairs: aligned(maxTile)}
}

// split cuts n items of the given cost (in nanoseconds, roughly) into parts
// that are worth a goroutine each; unit is the granularity in items.
func (b *Backend) split(n, unit int, cost float64) int {
	const worth = 10_000
	if b.threads == 1 || n <= unit {
		return min(n, 1)
	}
	parts := min(int(float64(n)*cost/worth), 4*b.threads)
	if parts > 1 {
		parts = roundUp(parts, b.threads) // shares of equal size: see job.claim
	}
	return max(min(parts, (n+unit-1)/unit), 1)
}

// Each calls f for parts [lo, hi) of n items that add up to all of them, side by
// side; unit is the granularity, cost that of an item in nanoseconds. It is for
// work on host memory that is no operation of package backend.
func (b *Backend) Each(n, unit int, cost float64, f func(lo, hi int)) {
	j := b.job()
	j.each, j.n, j.unit = f, n, unit
	j.do(b.split(n, unit, cost), eachPart)
}

var _ backend.Sharer = (*Backend)(nil)

// leastRows is how many rows a part must have for its matrix products to be worth
// more than the weights that each thread reads.
const leastRows = 12

// Parts is the number of parts that Share should have.
func (b *Backend) Parts(n, rows int) int {
	if n < leastRows*b.threads {
		return 0
	}
	all := rows * b.threads
	return (n + all - 1) / all * b.threads
}

// Share calls f for equal parts of n rows, side by side.
func (b *Backend) Share(n, parts int, f func(device backend.Backend, lo, hi int)) {
	j := b.job()
	j.each, j.n, j.unit = func(lo, hi int) { f(b.serial, lo, hi) }, n, 1
	j.do(parts, eachPart)
}

func eachPart(j *job, part int, _ *scratch) {
	if lo, hi := span(j.n, j.unit, part, j.parts); lo < hi {
		j.each(lo, hi)
	}
}

// span gives the items of one of several parts: unit is the granularity.
func span(n, unit, part, parts int) (lo, hi int) {
	units := (n + unit - 1) / unit
	return min(n, part*units/parts*unit), min(n, (part+1)*units/parts*unit)
}
