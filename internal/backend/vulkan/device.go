//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// physical is a device that can run the kernels.
type physical struct {
	Info
	handle uintptr
	kind   uint32
	family uint32
	memory memoryProperties
}

// devices finds the devices of this machine, once.
var devices = sync.OnceValues(func() ([]physical, error) {
	if err := load(); err != nil {
		return nil, err
	}
	app := applicationInfo{header: head(typeApplicationInfo), api: version12}
	create := instanceCreateInfo{header: head(typeInstanceCreateInfo), application: &app}
	var instance uintptr
	if r := api.vkCreateInstance.call(uintptr(ptr(&create)), 0, uintptr(ptr(&instance))); r != success {
		return nil, fmt.Errorf("no Vulkan: %w", r)
	}
	var n uint32
	if r := api.vkEnumeratePhysicalDevices.call(instance, uintptr(ptr(&n)), 0); r != success || n == 0 {
		return nil, ErrNone
	}
	handles := make([]uintptr, n)
	if r := api.vkEnumeratePhysicalDevices.call(instance, uintptr(ptr(&n)), uintptr(ptr(&handles[0]))); r < success {
		return nil, fmt.Errorf("no Vulkan device: %w", r)
	}
	var all []physical
	for _, h := range handles[:n] {
		if p, ok := examine(h); ok {
			p.Index = len(all)
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w of version 1.2 with buffer addresses and shared memory", ErrNone)
	}
	return all, nil
})

// examine reads what a device can do.
func examine(handle uintptr) (p physical, ok bool) {
	var props properties
	api.vkGetPhysicalDeviceProperties.call(handle, uintptr(ptr(&props)))
	if props.api < version12 {
		return p, false
	}
	address := addressFeatures{header: head(typeBufferDeviceAddressFeatures)}
	features := features2{header: header{kind: typeFeatures2, next: ptr(&address)}}
	api.vkGetPhysicalDeviceFeatures2.call(handle, uintptr(ptr(&features)))
	if address.address == 0 {
		return p, false
	}
	var n uint32
	api.vkGetPhysicalDeviceQueueFamilyProperties.call(handle, uintptr(ptr(&n)), 0)
	families := make([]queueFamily, n+1)
	api.vkGetPhysicalDeviceQueueFamilyProperties.call(handle, uintptr(ptr(&n)), uintptr(ptr(&families[0])))
	found := false
	for i, f := range families[:n] {
		// One that draws as well is the main one of the device.
		if f.flags&queueCompute != 0 && !found {
			p.family, found = uint32(i), true
		}
	}
	api.vkGetPhysicalDeviceMemoryProperties.call(handle, uintptr(ptr(&p.memory)))
	for _, h := range p.memory.heap[:p.memory.heaps] {
		if h.flags&1 != 0 {
			p.Memory += h.size
		}
	}
	p.handle, p.kind, p.Software = handle, props.kind, props.kind == typeCPU
	name, _, _ := bytes.Cut(props.name[:], []byte{0})
	p.Name = string(name)
	return p, found
}

// Devices lists the devices of this machine.
func Devices() ([]Info, error) {
	all, err := devices()
	var infos []Info
	for _, p := range all {
		infos = append(infos, p.Info)
	}
	return infos, err
}

// choose gives the device of an index, the likely fastest one below 0.
func choose(index int) (physical, error) {
	all, err := devices()
	if err != nil {
		return physical{}, err
	}
	if index >= len(all) {
		return physical{}, fmt.Errorf("no Vulkan device %d: there are %d", index, len(all))
	}
	if index >= 0 {
		return all[index], nil
	}
	for _, kind := range []uint32{typeDiscrete, typeIntegrated} {
		for _, p := range all {
			if p.kind == kind {
				return p, nil
			}
		}
	}
	return all[0], nil
}

// device is an open device.
type device struct {
	physical
	handle  uintptr
	queue   uintptr
	pool    uint64 // of command buffers
	layout  uint64 // of all pipelines
	fence   uint64
	shaders map[string]uint64

	pipelines []uint64
	lost      error
}

var _ gpu.Driver = (*device)(nil)

// Open opens a device of Devices, or the one that is likely the fastest where index
// is below 0. The host works with that many threads, all processors where it is 0.
func Open(index, threads int) (*gpu.Backend, error) {
	p, err := choose(index)
	if err != nil {
		return nil, err
	}
	d, err := openDevice(p)
	if err != nil {
		return nil, err
	}
	return gpu.New(d, threads), nil
}

// Name is "vulkan (the name of the device)".
func (d *device) Name() string { return "vulkan (" + d.Info.Name + ")" }

// Software says that the processor stands in for the device.
func (d *device) Software() bool { return d.Info.Software }

// Tensor is false: only extensions reach such units.
func (*device) Tensor() bool { return false }

// BLAS is false.
func (*device) BLAS() bool { return false }

// Lost says that the device does not answer any more.
func (d *device) Lost() bool { return d.lost != nil }

func openDevice(p physical) (_ *device, err error) {
	d := &device{physical: p, shaders: map[string]uint64{}}
	priority := float32(1)
	queue := deviceQueueCreateInfo{header: head(typeDeviceQueueCreateInfo), family: p.family, count: 1, priorities: &priority}
	address := addressFeatures{header: head(typeBufferDeviceAddressFeatures), address: 1}
	create := deviceCreateInfo{header: header{kind: typeDeviceCreateInfo, next: ptr(&address)}, queueCount: 1, queues: &queue}
	if r := api.vkCreateDevice.call(p.physical(), uintptr(ptr(&create)), 0, uintptr(ptr(&d.handle))); r != success {
		return nil, fmt.Errorf("vulkan: %s: %w", p.Name, r)
	}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	api.vkGetDeviceQueue.call(d.handle, uintptr(p.family), 0, uintptr(ptr(&d.queue)))
	pool := commandPoolCreateInfo{header: head(typeCommandPoolCreateInfo), family: p.family}
	push := pushConstantRange{stageCompute, 0, maxPushConstants}
	layout := pipelineLayoutCreateInfo{header: head(typePipelineLayoutCreateInfo), ranges: 1, push: &push}
	fence := fenceCreateInfo{header: head(typeFenceCreateInfo)}
	for _, r := range []result{
		api.vkCreateCommandPool.call(d.handle, uintptr(ptr(&pool)), 0, uintptr(ptr(&d.pool))),
		api.vkCreatePipelineLayout.call(d.handle, uintptr(ptr(&layout)), 0, uintptr(ptr(&d.layout))),
		api.vkCreateFence.call(d.handle, uintptr(ptr(&fence)), 0, uintptr(ptr(&d.fence))),
	} {
		if r != success {
			return nil, fmt.Errorf("vulkan: %s: %w", p.Name, r)
		}
	}
	return d, nil
}

func (p physical) physical() uintptr { return p.handle }

// Close gives the device back.
func (d *device) Close() {
	api.vkDeviceWaitIdle.call(d.handle)
	for _, p := range d.pipelines {
		api.vkDestroyPipeline.call(d.handle, uintptr(p), 0)
	}
	for _, m := range d.shaders {
		api.vkDestroyShaderModule.call(d.handle, uintptr(m), 0)
	}
	api.vkDestroyFence.call(d.handle, uintptr(d.fence), 0)
	api.vkDestroyPipelineLayout.call(d.handle, uintptr(d.layout), 0)
	api.vkDestroyCommandPool.call(d.handle, uintptr(d.pool), 0)
	api.vkDestroyDevice.call(d.handle, 0)
}
