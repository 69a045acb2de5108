//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"fmt"
	"slices"
	"unsafe"
)

const (
	chunkSize = 32 << 20 // bytes
	alignment = 256
)

// chunk is device memory that the host sees, given out in ranges.
type chunk struct {
	memory, buffer uint64
	address        uint64 // on the device
	host           uintptr
	mapped         unsafe.Pointer
	size           uint64
	free           []span // in the order of their place, no two touching
}

type span struct{ from, to uint64 }

// take gives the first range of n bytes.
func (c *chunk) take(n uint64) (span, bool) {
	for i, f := range c.free {
		if f.to-f.from < n {
			continue
		}
		s := span{f.from, f.from + n}
		if c.free[i].from = s.to; c.free[i].from == f.to {
			c.free = slices.Delete(c.free, i, i+1)
		}
		return s, true
	}
	return span{}, false
}

// give takes a range back and joins it to its neighbours.
func (c *chunk) give(s span) {
	i, _ := slices.BinarySearchFunc(c.free, s, func(a, b span) int { return int(int64(a.from) - int64(b.from)) })
	c.free = slices.Insert(c.free, i, s)
	if i+1 < len(c.free) && c.free[i].to == c.free[i+1].from {
		c.free[i].to = c.free[i+1].to
		c.free = slices.Delete(c.free, i+1, i+2)
	}
	if i > 0 && c.free[i-1].to == c.free[i].from {
		c.free[i-1].to = c.free[i].to
		c.free = slices.Delete(c.free, i, i+1)
	}
}

// block is a range in use. It is given back once nothing points to it any more, and
// what was enqueued before has run.
type block struct {
	chunk *chunk
	span  span
}

func (b block) address() uint64 { return b.chunk.address + b.span.from }

func (b block) floats(n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(b.chunk.mapped, b.span.from)), n)
}

// heap gives out the memory of a device.
type heap struct {
	device *device
	chunks []*chunk
	limbo  []block // given back, but perhaps still in use by what is enqueued
	used   uint64  // bytes given out, those in limbo included
	fresh  uint64  // bytes given out since the last collection of garbage
	limit  uint64  // bytes of chunks, 0 for all there are; tests set it
}

// allocate gives n bytes, not cleared; wait makes what is enqueued run and empties the
// limbo.
func (h *heap) allocate(n uint64, wait func()) (block, error) {
	n = max((n+alignment-1)/alignment*alignment, alignment)
	if b, ok := h.find(n); ok {
		return b, nil
	}
	if h.inLimbo() >= max(n, chunkSize/4) {
		wait()
		if b, ok := h.find(n); ok {
			return b, nil
		}
	}
	r := h.grow(max(n, chunkSize))
	if r != success && n < chunkSize {
		r = h.grow(n)
	}
	if r != success && len(h.limbo) > 0 {
		wait()
		if b, ok := h.find(n); ok {
			return b, nil
		}
		r = h.grow(n)
	}
	if r != success {
		return block{}, fmt.Errorf("vulkan: %s: %w: %.0f MB asked for, %.0f MB in use", h.device.Name, r, float64(n)/1e6, float64(h.used)/1e6)
	}
	b, _ := h.find(n)
	return b, nil
}

// crowded says that it is time to look for garbage before n more bytes are given out:
// as much was given out since the last time as is in use, or there is no room.
func (h *heap) crowded(n uint64) bool {
	h.fresh += n
	full := h.limit > 0 && h.used+n > h.limit
	if !full && h.fresh < max(256<<20, h.used/2) {
		return false
	}
	h.fresh = 0
	return true
}

func (h *heap) inLimbo() (n uint64) {
	for _, b := range h.limbo {
		n += b.span.to - b.span.from
	}
	return n
}

func (h *heap) find(n uint64) (block, bool) {
	for _, c := range h.chunks {
		if s, ok := c.take(n); ok {
			h.used += n
			return block{c, s}, true
		}
	}
	return block{}, false
}

// idle gives back what is in limbo: nothing is enqueued any more. Of the chunks that
// are all free one stays.
func (h *heap) idle() {
	if len(h.limbo) == 0 {
		return
	}
	for _, b := range h.limbo {
		h.used -= b.span.to - b.span.from
		b.chunk.give(b.span)
	}
	h.limbo = h.limbo[:0]
	kept := false
	h.chunks = slices.DeleteFunc(h.chunks, func(c *chunk) bool {
		if len(c.free) != 1 || c.free[0] != (span{0, c.size}) {
			return false
		}
		if !kept && c.size == chunkSize {
			kept = true
			return false
		}
		h.release(c)
		return true
	})
}

// grow adds a chunk in the best kind of memory that has room: in the device and
// cached by the host, in the device, in the host.
func (h *heap) grow(size uint64) result {
	total := size
	for _, c := range h.chunks {
		total += c.size
	}
	if h.limit > 0 && total > h.limit {
		return outOfDeviceMemory
	}
	d := h.device
	c := &chunk{size: size, free: []span{{0, size}}}
	create := bufferCreateInfo{header: head(typeBufferCreateInfo), size: size, usage: usageStorage | usageDeviceAddress}
	if r := api.vkCreateBuffer.call(d.handle, uintptr(ptr(&create)), 0, uintptr(ptr(&c.buffer))); r != success {
		return r
	}
	var need memoryRequirements
	api.vkGetBufferMemoryRequirements.call(d.handle, uintptr(c.buffer), uintptr(ptr(&need)))
	flags := memoryAllocateFlagsInfo{header: head(typeMemoryAllocateFlagsInfo), flags: allocateAddress}
	last := outOfDeviceMemory
	const shared = memoryVisible | memoryCoher
	tried := uint32(0)
	for _, want := range []uint32{shared | memoryLocal | memoryCached, shared | memoryLocal, shared | memoryCached, shared} {
		for i, kind := range d.memory.kind[:d.memory.types] {
			if bit := uint32(1) << i; kind.flags&want != want || need.types&bit == 0 || tried&bit != 0 {
				continue
			}
			tried |= 1 << i
			info := memoryAllocateInfo{header: header{kind: typeMemoryAllocateInfo, next: ptr(&flags)}, size: need.size, kind: uint32(i)}
			if last = api.vkAllocateMemory.call(d.handle, uintptr(ptr(&info)), 0, uintptr(ptr(&c.memory))); last != success {
				continue
			}
			if last = h.bind(c); last == success {
				h.chunks = append(h.chunks, c)
				return success
			}
			api.vkFreeMemory.call(d.handle, uintptr(c.memory), 0)
		}
	}
	api.vkDestroyBuffer.call(d.handle, uintptr(c.buffer), 0)
	return last
}

func (h *heap) bind(c *chunk) result {
	d := h.device
	if r := api.vkBindBufferMemory.call(d.handle, uintptr(c.buffer), uintptr(c.memory), 0); r != success {
		return r
	}
	if r := api.vkMapMemory.call(d.handle, uintptr(c.memory), 0, uintptr(wholeSize), 0, uintptr(ptr(&c.mapped))); r != success {
		return r
	}
	c.host = uintptr(c.mapped)
	info := bufferDeviceAddressInfo{header: head(typeBufferDeviceAddressInfo), buffer: c.buffer}
	c.address = api.vkGetBufferDeviceAddress.wide(d.handle, uintptr(ptr(&info)))
	return success
}

func (h *heap) release(c *chunk) {
	api.vkDestroyBuffer.call(h.device.handle, uintptr(c.buffer), 0)
	api.vkFreeMemory.call(h.device.handle, uintptr(c.memory), 0)
}

// address gives where host memory of this heap lies on the device.
func (h *heap) address(p unsafe.Pointer) (uint64, bool) {
	for _, c := range h.chunks {
		if at := uintptr(p); at >= c.host && at < c.host+uintptr(c.size) {
			return c.address + uint64(at-c.host), true
		}
	}
	return 0, false
}
