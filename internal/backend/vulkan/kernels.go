//go:build !static && (amd64 || arm64) && (linux || darwin || windows)

package vulkan

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/binary"
	"io/fs"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// kernels are the compiled shaders.
//
//go:embed kernels.zip
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

// Kernel compiles a kernel.
func (d *device) Kernel(kernel string, constants gpu.Constants) (uint64, error) {
	module, ok := d.shaders[kernel]
	if !ok {
		code := binaryOf(kernel)
		words := make([]uint32, len(code)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(code[4*i:])
		}
		info := shaderModuleCreateInfo{header: head(typeShaderModuleCreateInfo), size: uintptr(len(code)), code: ptr(&words[0])}
		if err := d.check(api.vkCreateShaderModule.call(d.handle, uintptr(ptr(&info)), 0, uintptr(ptr(&module)))); err != nil {
			return 0, err
		}
		d.shaders[kernel] = module
	}
	var entries [len(constants)]specializationEntry
	for i := range entries {
		entries[i] = specializationEntry{uint32(i), uint32(4 * i), 4}
	}
	name := []byte("main\x00")
	special := specializationInfo{count: uint32(len(entries)), entries: ptr(&entries[0]), size: 4 * uintptr(len(constants)), data: ptr(&constants[0])}
	info := computePipelineCreateInfo{
		header: head(typeComputePipelineCreateInfo), layout: d.layout, index: -1,
		stage: stageCreateInfo{header: head(typePipelineShaderStageCreateInfo), stage: stageCompute, module: module, name: ptr(&name[0]), specialization: &special},
	}
	var p uint64
	err := d.check(api.vkCreateComputePipelines.call(d.handle, 0, 1, uintptr(ptr(&info)), 0, uintptr(ptr(&p))))
	if err == nil {
		d.pipelines = append(d.pipelines, p)
	}
	return p, err
}
