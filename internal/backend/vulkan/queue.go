//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
)

// operation is one dispatch of a kernel.
type operation struct {
	pipeline uint64
	groups   [3]uint32
	used     int // bytes of push
	push     [maxPushConstants]byte
}

// recorded is a row of operations as a command buffer, which is submitted again when
// the same row comes again.
type recorded struct {
	operations []operation
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
	pending   []operation
	cache     map[uint64][]*recorded
	count     int
	running   bool // something was submitted since the last wait
	clock     uint64
	seed      maphash.Seed
	lost      error
	barrier   *memoryBarrier
	submitted struct{ operations, recordings, replays uint64 }
}

func newQueue(d *device) *queue {
	return &queue{device: d, cache: map[uint64][]*recorded{}, seed: maphash.MakeSeed(),
		barrier: &memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderRead | accessShaderWrite, dst: accessShaderRead | accessShaderWrite}}
}

// check turns a failure into a panic with an error that names the device. After the
// loss of the device every operation fails so.
func (q *queue) check(r result) {
	if r == success {
		return
	}
	err := fmt.Errorf("vulkan: %s: %w", q.device.Name, r)
	if r == deviceLost {
		q.lost = err
	}
	panic(fault(err))
}

func (q *queue) add(op *operation) {
	if q.lost != nil {
		panic(fault(q.lost))
	}
	q.pending = append(q.pending, *op)
	if len(q.pending) >= flushAt {
		q.flush()
	}
}

// flush starts what is pending.
func (q *queue) flush() {
	if len(q.pending) == 0 {
		return
	}
	if q.lost != nil {
		q.pending = q.pending[:0]
		panic(fault(q.lost))
	}
	var h maphash.Hash
	h.SetSeed(q.seed)
	for i := range q.pending {
		op := &q.pending[i]
		var word [24]byte
		binary.LittleEndian.PutUint64(word[:], op.pipeline)
		for k, g := range op.groups {
			binary.LittleEndian.PutUint32(word[8+4*k:], g)
		}
		h.Write(word[:])
		h.Write(op.push[:op.used])
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
		r = q.record(pending, sum)
		q.submitted.recordings++
	} else {
		q.submitted.replays++
	}
	q.submitted.operations += uint64(len(pending))
	q.clock++
	r.busy, r.age, q.running = true, q.clock, true
	submit := submitInfo{header: head(typeSubmitInfo), buffers: 1, commands: ptr(&r.commands)}
	q.check(api.vkQueueSubmit.call(q.device.queue, 1, uintptr(ptr(&submit)), 0))
}

// record makes a command buffer of operations, each of which sees what those before
// it wrote.
func (q *queue) record(operations []operation, hash uint64) *recorded {
	d := q.device
	r := q.spare()
	if r == nil {
		r = &recorded{}
		info := commandBufferAllocateInfo{header: head(typeCommandBufferAllocateInfo), pool: d.pool, count: 1}
		q.check(api.vkAllocateCommandBuffers.call(d.handle, uintptr(ptr(&info)), uintptr(ptr(&r.commands))))
	}
	begin := commandBufferBeginInfo{header: head(typeCommandBufferBeginInfo)}
	q.check(api.vkBeginCommandBuffer.call(r.commands, uintptr(ptr(&begin))))
	bound := uint64(0)
	for i := range operations {
		op := &operations[i]
		api.vkCmdPipelineBarrier.call(r.commands, pipeCompute, pipeCompute, 0, 1, uintptr(ptr(q.barrier)), 0, 0, 0, 0)
		if op.pipeline != bound {
			api.vkCmdBindPipeline.call(r.commands, bindCompute, uintptr(op.pipeline))
			bound = op.pipeline
		}
		api.vkCmdPushConstants.call(r.commands, uintptr(d.layout), stageCompute, 0, uintptr(op.used), uintptr(ptr(&op.push)))
		api.vkCmdDispatch.call(r.commands, uintptr(op.groups[0]), uintptr(op.groups[1]), uintptr(op.groups[2]))
	}
	host := memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderWrite, dst: accessHostRead | accessHostWrite}
	api.vkCmdPipelineBarrier.call(r.commands, pipeCompute, pipeHost, 0, 1, uintptr(ptr(&host)), 0, 0, 0, 0)
	q.check(api.vkEndCommandBuffer.call(r.commands))
	r.operations, r.hash = append(r.operations[:0], operations...), hash
	q.cache[hash] = append(q.cache[hash], r)
	return r
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
func (q *queue) wait() {
	q.flush()
	if !q.running {
		return
	}
	if q.lost != nil {
		panic(fault(q.lost))
	}
	d := q.device
	q.check(api.vkQueueSubmit.call(d.queue, 0, 0, uintptr(d.fence)))
	q.check(api.vkWaitForFences.call(d.handle, 1, uintptr(ptr(&d.fence)), 1, uintptr(everFence)))
	q.check(api.vkResetFences.call(d.handle, 1, uintptr(ptr(&d.fence))))
	q.running = false
	for _, list := range q.cache {
		for _, r := range list {
			r.busy = false
		}
	}
}
