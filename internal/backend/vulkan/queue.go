//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// recorded is a row of operations as a command buffer, which is submitted again when
// the same row comes again.
type recorded struct {
	operations []gpu.Operation
	commands   uintptr
	hash       uint64
	busy       bool // submitted since the last wait
	age        uint64
}

const (
	flushAt      = 128 // operations that are worth to start before somebody waits
	mostRecorded = 256
)

// queue collects operations and runs them in order.
type queue struct {
	device    *device
	pending   []gpu.Operation
	cache     map[uint64][]*recorded
	count     int
	running   bool // something was submitted since the last wait
	clock     uint64
	seed      maphash.Seed
	barrier   *memoryBarrier
	submitted struct{ operations, recordings, replays uint64 }
}

func newQueue(d *device) *queue {
	return &queue{device: d, cache: map[uint64][]*recorded{}, seed: maphash.MakeSeed(),
		barrier: &memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderRead | accessShaderWrite, dst: accessShaderRead | accessShaderWrite}}
}

// check gives a failure a name. After the loss of the device every operation fails.
func (d *device) check(r result) error {
	switch r {
	case success:
		return nil
	case outOfDeviceMemory:
		return fmt.Errorf("%s: %w", d.Name(), gpu.ErrMemory)
	}
	err := fmt.Errorf("%s: %w", d.Name(), r)
	if r == deviceLost {
		d.lost = err
	}
	return err
}

// Enqueue adds an operation.
func (d *device) Enqueue(op *gpu.Operation) error {
	if d.lost != nil {
		return d.lost
	}
	q := d.operations
	q.pending = append(q.pending, *op)
	if len(q.pending) >= flushAt {
		return q.flush()
	}
	return nil
}

// Idle says that nothing is enqueued.
func (d *device) Idle() bool { return len(d.operations.pending) == 0 && !d.operations.running }

// Wait runs what is enqueued and returns when it has run.
func (d *device) Wait() error { return d.operations.wait() }

// flush starts what is pending.
func (q *queue) flush() error {
	if len(q.pending) == 0 {
		return nil
	}
	if lost := q.device.lost; lost != nil {
		q.pending = q.pending[:0]
		return lost
	}
	var h maphash.Hash
	h.SetSeed(q.seed)
	for i := range q.pending {
		op := &q.pending[i]
		var word [16]byte
		binary.LittleEndian.PutUint64(word[:], op.Kernel)
		for k, g := range op.Groups {
			binary.LittleEndian.PutUint32(word[8+4*k:], g)
		}
		h.Write(word[:])
		h.Write(op.Push[:op.Used])
	}
	sum := h.Sum64()
	var r *recorded
	for _, have := range q.cache[sum] {
		if !have.busy && slices.Equal(have.operations, q.pending) {
			r = have
			break
		}
	}
	pending := q.pending
	q.pending = q.pending[:0]
	if r == nil {
		var err error
		if r, err = q.record(pending, sum); err != nil {
			return err
		}
		q.submitted.recordings++
	} else {
		q.submitted.replays++
	}
	q.submitted.operations += uint64(len(pending))
	q.clock++
	r.busy, r.age, q.running = true, q.clock, true
	submit := submitInfo{header: head(typeSubmitInfo), buffers: 1, commands: ptr(&r.commands)}
	return q.device.check(api.vkQueueSubmit.call(q.device.queue, 1, uintptr(ptr(&submit)), 0))
}

// record makes a command buffer of operations, each of which sees what those before
// it wrote.
func (q *queue) record(operations []gpu.Operation, hash uint64) (*recorded, error) {
	d := q.device
	r := q.spare()
	if r == nil {
		r = &recorded{}
		info := commandBufferAllocateInfo{header: head(typeCommandBufferAllocateInfo), pool: d.pool, count: 1}
		if err := d.check(api.vkAllocateCommandBuffers.call(d.handle, uintptr(ptr(&info)), uintptr(ptr(&r.commands)))); err != nil {
			return nil, err
		}
	}
	begin := commandBufferBeginInfo{header: head(typeCommandBufferBeginInfo)}
	if err := d.check(api.vkBeginCommandBuffer.call(r.commands, uintptr(ptr(&begin)))); err != nil {
		return nil, err
	}
	bound := uint64(0)
	for i := range operations {
		op := &operations[i]
		api.vkCmdPipelineBarrier.call(r.commands, pipeCompute, pipeCompute, 0, 1, uintptr(ptr(q.barrier)), 0, 0, 0, 0)
		if op.Kernel != bound {
			api.vkCmdBindPipeline.call(r.commands, bindCompute, uintptr(op.Kernel))
			bound = op.Kernel
		}
		api.vkCmdPushConstants.call(r.commands, uintptr(d.layout), stageCompute, 0, uintptr(op.Used), uintptr(ptr(&op.Push)))
		api.vkCmdDispatch.call(r.commands, uintptr(op.Groups[0]), uintptr(op.Groups[1]), 1)
	}
	host := memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderWrite, dst: accessHostRead | accessHostWrite}
	api.vkCmdPipelineBarrier.call(r.commands, pipeCompute, pipeHost, 0, 1, uintptr(ptr(&host)), 0, 0, 0, 0)
	if err := d.check(api.vkEndCommandBuffer.call(r.commands)); err != nil {
		return nil, err
	}
	r.operations, r.hash = append(r.operations[:0], operations...), hash
	q.cache[hash] = append(q.cache[hash], r)
	return r, nil
}

// spare gives the command buffer that was not used for longest, once there are many.
func (q *queue) spare() *recorded {
	if q.count < mostRecorded {
		q.count++
		return nil
	}
	var oldest *recorded
	for _, list := range q.cache {
		for _, r := range list {
			if !r.busy && (oldest == nil || r.age < oldest.age) {
				oldest = r
			}
		}
	}
	if oldest == nil {
		q.count++
		return nil
	}
	list := slices.DeleteFunc(q.cache[oldest.hash], func(r *recorded) bool { return r == oldest })
	if q.cache[oldest.hash] = list; len(list) == 0 {
		delete(q.cache, oldest.hash)
	}
	return oldest
}

// wait runs what is pending and returns when it has run.
func (q *queue) wait() error {
	if err := q.flush(); err != nil || !q.running {
		return err
	}
	d := q.device
	for _, r := range []func() result{
		func() result { return api.vkQueueSubmit.call(d.queue, 0, 0, uintptr(d.fence)) },
		func() result {
			return api.vkWaitForFences.call(d.handle, 1, uintptr(ptr(&d.fence)), 1, uintptr(everFence))
		},
		func() result { return api.vkResetFences.call(d.handle, 1, uintptr(ptr(&d.fence))) },
	} {
		if err := d.check(r()); err != nil {
			return err
		}
	}
	q.running = false
	for _, list := range q.cache {
		for _, r := range list {
			r.busy = false
		}
	}
	return nil
}
