//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/binary"
	"io/fs"
	"math"
)

// kernels are the compiled shaders.
//
//go:embed shaders/kernels.zip
var kernels []byte

// binaryOf gives the SPIR-V of a kernel.
func binaryOf(name string) []byte {
	r, err := zip.NewReader(bytes.NewReader(kernels), int64(len(kernels)))
	if err == nil {
		var code []byte
		if code, err = fs.ReadFile(r, name+".spv"); err == nil {
			return code
		}
	}
	panic(err) // they are part of this program
}

// variant is a kernel with its constants.
type variant struct {
	kernel    string
	constants [3]uint32
}

// pipeline compiles a kernel when it is first used.
func (b *Backend) pipeline(v variant) uint64 {
	if p, ok := b.kernel[v]; ok {
		return p
	}
	d := b.device
	module, ok := d.shaders[v.kernel]
	if !ok {
		code := binaryOf(v.kernel)
		words := make([]uint32, len(code)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(code[4*i:])
		}
		info := shaderModuleCreateInfo{header: head(typeShaderModuleCreateInfo), size: uintptr(len(code)), code: ptr(&words[0])}
		b.queue.check(api.vkCreateShaderModule.call(d.handle, uintptr(ptr(&info)), 0, uintptr(ptr(&module))))
		d.shaders[v.kernel] = module
	}
	var entries [len(v.constants)]specializationEntry
	for i := range entries {
		entries[i] = specializationEntry{uint32(i), uint32(4 * i), 4}
	}
	constants := v.constants
	name := []byte("main\x00")
	special := specializationInfo{count: uint32(len(entries)), entries: ptr(&entries[0]), size: 4 * uintptr(len(constants)), data: ptr(&constants[0])}
	info := computePipelineCreateInfo{
		header: head(typeComputePipelineCreateInfo), layout: d.layout, index: -1,
		stage: stageCreateInfo{header: head(typePipelineShaderStageCreateInfo), stage: stageCompute, module: module, name: ptr(&name[0]), specialization: &special},
	}
	var p uint64
	b.queue.check(api.vkCreateComputePipelines.call(d.handle, 0, 1, uintptr(ptr(&info)), 0, uintptr(ptr(&p))))
	b.kernel[v] = p
	return p
}

// call is an operation in the making: arguments are added in the order of the
// kernel's Push, addresses first.
type call struct {
	b  *Backend
	op operation
}

func (b *Backend) call(kernel string, constants ...uint32) *call {
	v := variant{kernel: kernel}
	copy(v.constants[:], constants)
	return &call{b: b, op: operation{pipeline: b.pipeline(v)}}
}

func (c *call) pointers(addresses ...uint64) *call {
	for _, a := range addresses {
		binary.LittleEndian.PutUint64(c.op.push[c.op.used:], a)
		c.op.used += 8
	}
	return c
}

func (c *call) sizes(sizes ...int) *call {
	for _, n := range sizes {
		binary.LittleEndian.PutUint32(c.op.push[c.op.used:], uint32(n))
		c.op.used += 4
	}
	return c
}

func (c *call) float(v float32) *call { return c.sizes(int(math.Float32bits(v))) }

// over enqueues the operation for n values, 64 to a workgroup.
func (c *call) over(n int) { c.groups((n+63)/64, 1) }

// groups enqueues the operation; kernels that loop take fewer groups than asked for.
func (c *call) groups(x, y int) {
	if x == 0 || y == 0 {
		return
	}
	if y > maxWorkgroups {
		panic("vulkan: too many rows")
	}
	c.op.groups = [3]uint32{uint32(min(x, maxWorkgroups)), uint32(y), 1}
	c.b.queue.add(&c.op)
}
