//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"fmt"
	"structs"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// This file is the part of Vulkan 1.2 that compute needs: structures laid out as C
// does on 64 bits, and functions found at run time. Names are the specification's
// without their Vk.

type result int32

const (
	success              result = 0
	outOfHostMemory      result = -1
	outOfDeviceMemory    result = -2
	initializationFailed result = -3
	deviceLost           result = -4
	incompatibleDriver   result = -9
)

func (r result) Error() string {
	switch r {
	case outOfHostMemory:
		return "out of host memory"
	case outOfDeviceMemory:
		return "out of device memory"
	case initializationFailed:
		return "initialisation failed"
	case deviceLost:
		return "the device was lost"
	case incompatibleDriver:
		return "no driver of this version"
	}
	return fmt.Sprintf("Vulkan error %d", int32(r))
}

// Structure types.
const (
	typeApplicationInfo               = 0
	typeInstanceCreateInfo            = 1
	typeDeviceQueueCreateInfo         = 2
	typeDeviceCreateInfo              = 3
	typeSubmitInfo                    = 4
	typeMemoryAllocateInfo            = 5
	typeFenceCreateInfo               = 8
	typeBufferCreateInfo              = 12
	typeShaderModuleCreateInfo        = 16
	typePipelineShaderStageCreateInfo = 18
	typeComputePipelineCreateInfo     = 29
	typePipelineLayoutCreateInfo      = 30
	typeCommandPoolCreateInfo         = 39
	typeCommandBufferAllocateInfo     = 40
	typeCommandBufferBeginInfo        = 42
	typeMemoryBarrier                 = 46
	typeFeatures2                     = 1000059000
	typeMemoryAllocateFlagsInfo       = 1000060000
	typeBufferDeviceAddressInfo       = 1000244001
	typeBufferDeviceAddressFeatures   = 1000257000
)

// Flags.
const (
	version12 = 1<<22 | 2<<12

	queueCompute  = 2
	memoryLocal   = 1 // in the device
	memoryVisible = 2 // to the host
	memoryCoher   = 4
	memoryCached  = 8

	usageTransferSrc   = 0x1
	usageTransferDst   = 0x2
	usageStorage       = 0x20
	usageDeviceAddress = 0x20000
	allocateAddress    = 2

	stageCompute        = 0x20   // of a shader
	pipeTop             = 0x1    // of a pipeline
	pipeCompute         = 0x800  //
	pipeHost            = 0x4000 //
	accessShaderRead    = 0x20
	accessShaderWrite   = 0x40
	accessHostRead      = 0x2000
	accessHostWrite     = 0x4000
	simultaneousUse     = 4 // of a command buffer: it may be submitted again while it runs
	bindCompute         = 1
	typeCPU             = 4 // of a physical device
	typeDiscrete        = 2
	typeIntegrated      = 1
	featureCount        = 55
	maxMemoryTypes      = 32
	maxMemoryHeaps      = 16
	maxWorkgroups       = 65535 // in a dimension, on every device
	maxPushConstants    = 128   // bytes, on every device
	everFence           = ^uint64(0)
	wholeSize           = ^uint64(0)
	deviceNameSize      = 256
	propertiesSizeLimit = 1024
)

type header struct {
	_    structs.HostLayout
	kind uint32
	next unsafe.Pointer
}

func head(kind uint32) header { return header{kind: kind} }

type applicationInfo struct {
	_ structs.HostLayout
	header
	application        unsafe.Pointer
	applicationVersion uint32
	engine             unsafe.Pointer
	engineVersion, api uint32
}

type instanceCreateInfo struct {
	_ structs.HostLayout
	header
	flags       uint32
	application *applicationInfo
	layers      uint32
	layerNames  unsafe.Pointer
	extensions  uint32
	extNames    unsafe.Pointer
}

type deviceQueueCreateInfo struct {
	_ structs.HostLayout
	header
	flags, family, count uint32
	priorities           *float32
}

type deviceCreateInfo struct {
	_ structs.HostLayout
	header
	flags, queueCount uint32
	queues            *deviceQueueCreateInfo
	layers            uint32
	layerNames        unsafe.Pointer
	extensions        uint32
	extNames          unsafe.Pointer
	features          unsafe.Pointer
}

type addressFeatures struct {
	_ structs.HostLayout
	header
	address, captureReplay, multiDevice uint32
}

type features2 struct {
	_ structs.HostLayout
	header
	features [featureCount]uint32
}

type queueFamily struct{ flags, count, timestampBits, width, height, depth uint32 }

type memoryType struct{ flags, heap uint32 }

type memoryHeap struct {
	size  uint64
	flags uint32
}

type memoryProperties struct {
	types uint32
	kind  [maxMemoryTypes]memoryType
	heaps uint32
	heap  [maxMemoryHeaps]memoryHeap
}

// properties is the beginning of VkPhysicalDeviceProperties; the limits follow.
type properties struct {
	api, driver, vendor, device, kind uint32
	name                              [deviceNameSize]byte
	rest                              [propertiesSizeLimit]byte
}

type bufferCreateInfo struct {
	_ structs.HostLayout
	header
	flags    uint32
	size     uint64
	usage    uint32
	sharing  uint32
	families uint32
	indices  unsafe.Pointer
}

type memoryRequirements struct {
	size, alignment uint64
	types           uint32
}

type memoryAllocateInfo struct {
	_ structs.HostLayout
	header
	size uint64
	kind uint32
}

type memoryAllocateFlagsInfo struct {
	_ structs.HostLayout
	header
	flags, mask uint32
}

type bufferDeviceAddressInfo struct {
	_ structs.HostLayout
	header
	buffer uint64
}

type shaderModuleCreateInfo struct {
	_ structs.HostLayout
	header
	flags uint32
	size  uintptr
	code  unsafe.Pointer
}

type specializationEntry struct {
	id, offset uint32
	size       uintptr
}

type specializationInfo struct {
	count   uint32
	entries unsafe.Pointer
	size    uintptr
	data    unsafe.Pointer
}

type stageCreateInfo struct {
	_ structs.HostLayout
	header
	flags, stage   uint32
	module         uint64
	name           unsafe.Pointer
	specialization *specializationInfo
}

type computePipelineCreateInfo struct {
	_ structs.HostLayout
	header
	flags  uint32
	stage  stageCreateInfo
	layout uint64
	base   uint64
	index  int32
}

type pushConstantRange struct{ stages, offset, size uint32 }

type pipelineLayoutCreateInfo struct {
	_ structs.HostLayout
	header
	flags, sets uint32
	layouts     unsafe.Pointer
	ranges      uint32
	push        *pushConstantRange
}

type commandPoolCreateInfo struct {
	_ structs.HostLayout
	header
	flags, family uint32
}

type commandBufferAllocateInfo struct {
	_ structs.HostLayout
	header
	pool         uint64
	level, count uint32
}

type commandBufferBeginInfo struct {
	_ structs.HostLayout
	header
	flags       uint32
	inheritance unsafe.Pointer
}

type submitInfo struct {
	_ structs.HostLayout
	header
	waits      uint32
	waitFor    unsafe.Pointer
	waitStages unsafe.Pointer
	buffers    uint32
	commands   unsafe.Pointer
	signals    uint32
	signal     unsafe.Pointer
}

type fenceCreateInfo struct {
	_ structs.HostLayout
	header
	flags uint32
}

type memoryBarrier struct {
	_ structs.HostLayout
	header
	src, dst uint32
}

// function is the address of one of Vulkan's. Pointers among its arguments live
// until it returns, and so does what they point to.
type function uintptr

//go:uintptrescapes
func (f function) call(args ...uintptr) result {
	r, _, _ := purego.SyscallN(uintptr(f), args...)
	return result(int32(r))
}

//go:uintptrescapes
func (f function) wide(args ...uintptr) uint64 {
	r, _, _ := purego.SyscallN(uintptr(f), args...)
	return uint64(r)
}

// api holds the functions of the library.
var api struct {
	vkCreateInstance, vkDestroyInstance                                             function
	vkEnumeratePhysicalDevices, vkGetPhysicalDeviceProperties                       function
	vkGetPhysicalDeviceMemoryProperties, vkGetPhysicalDeviceFeatures2               function
	vkGetPhysicalDeviceQueueFamilyProperties, vkCreateDevice, vkDestroyDevice       function
	vkGetDeviceQueue, vkDeviceWaitIdle, vkAllocateMemory, vkFreeMemory, vkMapMemory function
	vkCreateBuffer, vkDestroyBuffer, vkGetBufferMemoryRequirements                  function
	vkBindBufferMemory, vkGetBufferDeviceAddress                                    function
	vkCreateShaderModule, vkDestroyShaderModule                                     function
	vkCreatePipelineLayout, vkDestroyPipelineLayout                                 function
	vkCreateComputePipelines, vkDestroyPipeline                                     function
	vkCreateCommandPool, vkDestroyCommandPool, vkAllocateCommandBuffers             function
	vkFreeCommandBuffers, vkBeginCommandBuffer, vkEndCommandBuffer                  function
	vkCmdBindPipeline, vkCmdPushConstants, vkCmdDispatch, vkCmdPipelineBarrier      function
	vkQueueSubmit, vkCreateFence, vkDestroyFence, vkResetFences, vkWaitForFences    function
}

// load finds the library, once, when a device is first asked for.
var load = sync.OnceValue(func() error {
	lib, err := openLibrary()
	if err != nil {
		return fmt.Errorf("no Vulkan library: %w", err)
	}
	a := &api
	for name, f := range map[string]*function{
		"vkCreateInstance": &a.vkCreateInstance, "vkDestroyInstance": &a.vkDestroyInstance,
		"vkEnumeratePhysicalDevices": &a.vkEnumeratePhysicalDevices, "vkGetPhysicalDeviceProperties": &a.vkGetPhysicalDeviceProperties,
		"vkGetPhysicalDeviceMemoryProperties": &a.vkGetPhysicalDeviceMemoryProperties, "vkGetPhysicalDeviceFeatures2": &a.vkGetPhysicalDeviceFeatures2,
		"vkGetPhysicalDeviceQueueFamilyProperties": &a.vkGetPhysicalDeviceQueueFamilyProperties,
		"vkCreateDevice": &a.vkCreateDevice, "vkDestroyDevice": &a.vkDestroyDevice, "vkGetDeviceQueue": &a.vkGetDeviceQueue,
		"vkDeviceWaitIdle": &a.vkDeviceWaitIdle, "vkAllocateMemory": &a.vkAllocateMemory, "vkFreeMemory": &a.vkFreeMemory,
		"vkMapMemory": &a.vkMapMemory, "vkCreateBuffer": &a.vkCreateBuffer, "vkDestroyBuffer": &a.vkDestroyBuffer,
		"vkGetBufferMemoryRequirements": &a.vkGetBufferMemoryRequirements, "vkBindBufferMemory": &a.vkBindBufferMemory,
		"vkGetBufferDeviceAddress": &a.vkGetBufferDeviceAddress, "vkCreateShaderModule": &a.vkCreateShaderModule,
		"vkDestroyShaderModule": &a.vkDestroyShaderModule, "vkCreatePipelineLayout": &a.vkCreatePipelineLayout,
		"vkDestroyPipelineLayout": &a.vkDestroyPipelineLayout, "vkCreateComputePipelines": &a.vkCreateComputePipelines,
		"vkDestroyPipeline": &a.vkDestroyPipeline, "vkCreateCommandPool": &a.vkCreateCommandPool,
		"vkDestroyCommandPool": &a.vkDestroyCommandPool, "vkAllocateCommandBuffers": &a.vkAllocateCommandBuffers,
		"vkFreeCommandBuffers": &a.vkFreeCommandBuffers, "vkBeginCommandBuffer": &a.vkBeginCommandBuffer,
		"vkEndCommandBuffer": &a.vkEndCommandBuffer, "vkCmdBindPipeline": &a.vkCmdBindPipeline,
		"vkCmdPushConstants": &a.vkCmdPushConstants, "vkCmdDispatch": &a.vkCmdDispatch,
		"vkCmdPipelineBarrier": &a.vkCmdPipelineBarrier, "vkQueueSubmit": &a.vkQueueSubmit,
		"vkCreateFence": &a.vkCreateFence, "vkDestroyFence": &a.vkDestroyFence, "vkResetFences": &a.vkResetFences,
		"vkWaitForFences": &a.vkWaitForFences,
	} {
		p, err := findSymbol(lib, name)
		if err != nil {
			return fmt.Errorf("the Vulkan library is older than 1.2: %w", err)
		}
		*f = function(p)
	}
	return nil
})

// ptr is for the addresses among the arguments of call: uintptr(ptr(&x)).
type ptr = unsafe.Pointer
