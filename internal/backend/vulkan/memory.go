//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import "github.com/sotto-audio/sotto/internal/backend/gpu"

// Allocate takes memory of the best kind that has room: in the device and cached by
// the host, in the device, in the host; or only in the host.
func (d *device) Allocate(size uint64, host bool) (gpu.Memory, error) {
	c := gpu.Memory{Size: size}
	create := bufferCreateInfo{header: head(typeBufferCreateInfo), size: size, usage: usageStorage | usageDeviceAddress}
	if r := api.vkCreateBuffer.call(d.handle, uintptr(ptr(&create)), 0, uintptr(ptr(&c.Handles[0]))); r != success {
		return c, d.check(r)
	}
	var need memoryRequirements
	api.vkGetBufferMemoryRequirements.call(d.handle, uintptr(c.Handles[0]), uintptr(ptr(&need)))
	flags := memoryAllocateFlagsInfo{header: head(typeMemoryAllocateFlagsInfo), flags: allocateAddress}
	last := outOfDeviceMemory
	const shared = memoryVisible | memoryCoher
	tried := uint32(0)
	kinds := []uint32{shared | memoryLocal | memoryCached, shared | memoryLocal, shared | memoryCached, shared}
	if host {
		kinds = kinds[2:]
	}
	for _, want := range kinds {
		for i, kind := range d.memory.kind[:d.memory.types] {
			if bit := uint32(1) << i; kind.flags&want != want || need.types&bit == 0 || tried&bit != 0 {
				continue
			}
			tried |= 1 << i
			info := memoryAllocateInfo{header: header{kind: typeMemoryAllocateInfo, next: ptr(&flags)}, size: need.size, kind: uint32(i)}
			if last = api.vkAllocateMemory.call(d.handle, uintptr(ptr(&info)), 0, uintptr(ptr(&c.Handles[1]))); last != success {
				continue
			}
			if last = d.bind(&c); last == success {
				return c, nil
			}
			api.vkFreeMemory.call(d.handle, uintptr(c.Handles[1]), 0)
		}
	}
	api.vkDestroyBuffer.call(d.handle, uintptr(c.Handles[0]), 0)
	return c, d.check(last)
}

func (d *device) bind(c *gpu.Memory) result {
	if r := api.vkBindBufferMemory.call(d.handle, uintptr(c.Handles[0]), uintptr(c.Handles[1]), 0); r != success {
		return r
	}
	if r := api.vkMapMemory.call(d.handle, uintptr(c.Handles[1]), 0, uintptr(wholeSize), 0, uintptr(ptr(&c.Host))); r != success {
		return r
	}
	info := bufferDeviceAddressInfo{header: head(typeBufferDeviceAddressInfo), buffer: c.Handles[0]}
	c.Address = api.vkGetBufferDeviceAddress.wide(d.handle, uintptr(ptr(&info)))
	return success
}

// Free gives memory back.
func (d *device) Free(c gpu.Memory) {
	api.vkDestroyBuffer.call(d.handle, uintptr(c.Handles[0]), 0)
	api.vkFreeMemory.call(d.handle, uintptr(c.Handles[1]), 0)
}
