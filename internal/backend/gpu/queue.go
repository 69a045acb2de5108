package gpu

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

const (
	flushAt      = 128 // operations that are worth to start before somebody waits
	mostRecorded = 256
)

// queue collects operations and runs them in order. As the tensors of a stream lie at
// the same addresses in every step, so do its rows of operations: one that was there
// before is run again as it was recorded.
type queue struct {
	driver  Driver
	pending []Operation
	cache   map[uint64][]*recorded
	count   int
	seed    maphash.Seed
	running bool   // something was started since the last wait
	clock   uint64 // rows started
	done    uint64 // and those of them that have run

	operations, recordings uint64 // for tests
}

// recorded is a row of operations that a driver holds.
type recorded struct {
	row  []Operation
	hash uint64
	age  uint64 // the clock when it was last started
	Recording
}

func newQueue(d Driver) *queue {
	return &queue{driver: d, cache: map[uint64][]*recorded{}, seed: maphash.MakeSeed()}
}

// enqueue adds an operation. One that fails to start is not among those that are
// pending.
func (q *queue) enqueue(op *Operation) error {
	q.pending = append(q.pending, *op)
	if len(q.pending) < flushAt {
		return nil
	}
	err := q.flush()
	if err != nil {
		q.pending = q.pending[:len(q.pending)-1]
	}
	return err
}

// idle says that nothing is enqueued.
func (q *queue) idle() bool { return len(q.pending) == 0 && !q.running }

// flush starts what is pending. What does not start stays: it is not only that of who
// called, and others would take for their results what was never computed.
func (q *queue) flush() error {
	if len(q.pending) == 0 {
		return nil
	}
	r, err := q.find(q.pending)
	if err != nil {
		return err
	}
	if err := q.driver.Run(r.Recording); err != nil {
		return err
	}
	q.clock++
	q.operations += uint64(len(q.pending))
	r.age, q.running = q.clock, true
	q.pending = q.pending[:0]
	return nil
}

// find gives the recording of a row, a new one where there is none.
func (q *queue) find(row []Operation) (*recorded, error) {
	var h maphash.Hash
	h.SetSeed(q.seed)
	for i := range row {
		op := &row[i]
		var word [16]byte
		binary.LittleEndian.PutUint64(word[:], op.Kernel)
		for k, g := range op.Groups {
			binary.LittleEndian.PutUint32(word[8+4*k:], g)
		}
		h.Write(word[:])
		h.Write(op.Push[:op.Used])
	}
	sum := h.Sum64()
	for _, r := range q.cache[sum] {
		if slices.Equal(r.row, row) {
			return r, nil
		}
	}
	if q.count >= mostRecorded {
		q.forget()
	}
	r := &recorded{row: slices.Clone(row), hash: sum}
	var err error
	if r.Recording, err = q.driver.Record(r.row); err != nil {
		return nil, err
	}
	q.cache[sum] = append(q.cache[sum], r)
	q.count++
	q.recordings++
	return r, nil
}

// forget drops the recording that was not used for longest, unless it may still run.
func (q *queue) forget() {
	var oldest *recorded
	for _, list := range q.cache {
		for _, r := range list {
			if r.age <= q.done && (oldest == nil || r.age < oldest.age) {
				oldest = r
			}
		}
	}
	if oldest == nil {
		return
	}
	q.driver.Discard(oldest.Recording)
	q.count--
	list := slices.DeleteFunc(q.cache[oldest.hash], func(r *recorded) bool { return r == oldest })
	if q.cache[oldest.hash] = list; len(list) == 0 {
		delete(q.cache, oldest.hash)
	}
}

// wait runs what is pending and returns when everything has run.
func (q *queue) wait() error {
	if err := q.flush(); err != nil || !q.running {
		return err
	}
	if err := q.driver.Wait(); err != nil {
		return err
	}
	q.running, q.done = false, q.clock
	return nil
}

// close waits, if the device answers, and forgets all recordings.
func (q *queue) close() {
	_ = q.wait()
	for _, list := range q.cache {
		for _, r := range list {
			q.driver.Discard(r.Recording)
		}
	}
	q.cache, q.count = nil, 0
}
