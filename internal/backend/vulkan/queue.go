//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

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

// Record makes a command buffer of operations.
func (d *device) Record(row []gpu.Operation) (gpu.Recording, error) {
	if d.lost != nil {
		return 0, d.lost
	}
	var commands uintptr
	info := commandBufferAllocateInfo{header: head(typeCommandBufferAllocateInfo), pool: d.pool, count: 1}
	if err := d.check(api.vkAllocateCommandBuffers.call(d.handle, uintptr(ptr(&info)), uintptr(ptr(&commands)))); err != nil {
		return 0, err
	}
	err := d.record(commands, row)
	if err != nil {
		d.Discard(gpu.Recording(commands))
	}
	return gpu.Recording(commands), err
}

func (d *device) record(commands uintptr, row []gpu.Operation) error {
	begin := commandBufferBeginInfo{header: head(typeCommandBufferBeginInfo), flags: simultaneousUse}
	if err := d.check(api.vkBeginCommandBuffer.call(commands, uintptr(ptr(&begin)))); err != nil {
		return err
	}
	between := memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderRead | accessShaderWrite, dst: accessShaderRead | accessShaderWrite}
	bound := uint64(0)
	for i := range row {
		op := &row[i]
		api.vkCmdPipelineBarrier.call(commands, pipeCompute, pipeCompute, 0, 1, uintptr(ptr(&between)), 0, 0, 0, 0)
		if op.Kernel != bound {
			api.vkCmdBindPipeline.call(commands, bindCompute, uintptr(op.Kernel))
			bound = op.Kernel
		}
		api.vkCmdPushConstants.call(commands, uintptr(d.layout), stageCompute, 0, uintptr(op.Used), uintptr(ptr(&op.Push)))
		api.vkCmdDispatch.call(commands, uintptr(op.Groups[0]), uintptr(op.Groups[1]), 1)
	}
	host := memoryBarrier{header: head(typeMemoryBarrier), src: accessShaderWrite, dst: accessHostRead | accessHostWrite}
	api.vkCmdPipelineBarrier.call(commands, pipeCompute, pipeHost, 0, 1, uintptr(ptr(&host)), 0, 0, 0, 0)
	return d.check(api.vkEndCommandBuffer.call(commands))
}

// Run submits a command buffer.
func (d *device) Run(r gpu.Recording) error {
	if d.lost != nil {
		return d.lost
	}
	commands := uintptr(r)
	submit := submitInfo{header: head(typeSubmitInfo), buffers: 1, commands: ptr(&commands)}
	return d.check(api.vkQueueSubmit.call(d.queue, 1, uintptr(ptr(&submit)), 0))
}

// Discard frees a command buffer.
func (d *device) Discard(r gpu.Recording) {
	commands := uintptr(r)
	api.vkFreeCommandBuffers.call(d.handle, uintptr(d.pool), 1, uintptr(ptr(&commands)))
}

// Wait returns when everything that was submitted has run.
func (d *device) Wait() error {
	if d.lost != nil {
		return d.lost
	}
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
	return nil
}
