package gpu

import (
	"fmt"
	"slices"
	"unsafe"
)

const (
	chunkSize = 32 << 20 // bytes
	alignment = 256
)

// chunk is memory of a device, given out in ranges.
type chunk struct {
	Memory
	free []span // in the order of their place, no two touching
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

func (b block) address() uint64 { return b.chunk.Address + b.span.from }

func (b block) floats(n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(b.chunk.Host, b.span.from)), n)
}

// heap gives out the memory of a device.
type heap struct {
	driver Driver
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
	err := h.grow(max(n, chunkSize))
	if err != nil && n < chunkSize {
		err = h.grow(n)
	}
	if err != nil && len(h.limbo) > 0 {
		wait()
		if b, ok := h.find(n); ok {
			return b, nil
		}
		err = h.grow(n)
	}
	if err != nil {
		return block{}, fmt.Errorf("%s: %w: %.0f MB asked for, %.0f MB in use", h.driver.Name(), err, float64(n)/1e6, float64(h.used)/1e6)
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
		if len(c.free) != 1 || c.free[0] != (span{0, c.Size}) {
			return false
		}
		if !kept && c.Size == chunkSize {
			kept = true
			return false
		}
		h.driver.Free(c.Memory)
		return true
	})
}

// grow adds a chunk.
func (h *heap) grow(size uint64) error {
	total := size
	for _, c := range h.chunks {
		total += c.Size
	}
	if h.limit > 0 && total > h.limit {
		return ErrMemory
	}
	m, err := h.driver.Allocate(size, false)
	if err == nil {
		h.chunks = append(h.chunks, &chunk{Memory: m, free: []span{{0, size}}})
	}
	return err
}

// address gives where host memory of this heap lies on the device.
func (h *heap) address(p unsafe.Pointer) (uint64, bool) {
	for _, c := range h.chunks {
		if at, host := uintptr(p), uintptr(c.Host); at >= host && at < host+uintptr(c.Size) {
			return c.Address + uint64(at-host), true
		}
	}
	return 0, false
}
