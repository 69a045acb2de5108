//go:build !static && (amd64 || arm64) && (linux || windows)

package cuda

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"slices"
	"unsafe"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// kernels are the compiled kernels.
//
//go:embed kernels.zip
var kernels []byte

// Devices lists the devices of this machine.
func Devices() ([]Info, error) {
	if err := load(); err != nil {
		return nil, err
	}
	var n int32
	if r := api.cuDeviceGetCount.call(uintptr(ptr(&n))); r != success {
		return nil, fmt.Errorf("no CUDA device: %w", r)
	}
	var all []Info
	for i := range int(n) {
		var handle int32
		if r := api.cuDeviceGet.call(uintptr(ptr(&handle)), uintptr(i)); r != success {
			return nil, fmt.Errorf("CUDA device %d: %w", i, r)
		}
		var name [256]byte
		d := Info{Index: i}
		api.cuDeviceGetName.call(uintptr(ptr(&name[0])), uintptr(len(name)-1), uintptr(handle))
		text, _, _ := bytes.Cut(name[:], []byte{0})
		d.Name = string(text)
		api.cuDeviceTotalMem.call(uintptr(ptr(&d.Memory)), uintptr(handle))
		d.Capability = [2]int{attribute(handle, attributeMajor), attribute(handle, attributeMinor)}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, ErrNone
	}
	return all, nil
}

func attribute(handle int32, which uintptr) int {
	var v int32
	api.cuDeviceGetAttribute.call(uintptr(ptr(&v)), which, uintptr(handle))
	return int(v)
}

// device is an open device.
type device struct {
	Info
	handle  int32
	context uintptr
	stream  uintptr
	modules map[string]uintptr
	kernels []kernel
	blas    uintptr // handle, 0 for the kernels
	lost    error
	failed  error // of cuBLAS

	recordings map[gpu.Recording]*recording
	next       gpu.Recording
}

// kernel is a function of a module, with what its first constant is; function is 0 for
// that of cuBLAS.
type kernel struct {
	function uintptr
	threads  uint32
	zero     uint32
}

var _ gpu.Driver = (*device)(nil)

// Open opens a device of Devices, the first one where index is below 0. The host works
// with that many threads, all processors where it is 0.
func Open(index, threads int) (*gpu.Backend, error) { return open(index, threads, false) }

// OpenBLAS is Open with matrix products by cuBLAS, whose library must be there.
func OpenBLAS(index, threads int) (*gpu.Backend, error) { return open(index, threads, true) }

func open(index, threads int, blas bool) (*gpu.Backend, error) {
	all, err := Devices()
	if err != nil {
		return nil, err
	}
	if index >= len(all) {
		return nil, fmt.Errorf("no CUDA device %d: there are %d", index, len(all))
	}
	d := &device{Info: all[max(index, 0)], modules: map[string]uintptr{}, recordings: map[gpu.Recording]*recording{}}
	api.cuDeviceGet.call(uintptr(ptr(&d.handle)), uintptr(d.Index))
	if d.Capability[0] < 7 {
		return nil, fmt.Errorf("%s: compute capability %d.%d: 7.0 is needed", d.Name(), d.Capability[0], d.Capability[1])
	}
	if attribute(d.handle, attributeConcurrent) == 0 {
		return nil, fmt.Errorf("%s: its driver does not let the host look at memory while kernels run (Linux does)", d.Name())
	}
	if r := api.cuDevicePrimaryCtxRetain.call(uintptr(ptr(&d.context)), uintptr(d.handle)); r != success {
		return nil, d.check(r)
	}
	if err := d.on(func() result { return api.cuStreamCreate.call(uintptr(ptr(&d.stream)), streamNoDefault) }); err != nil {
		d.Close()
		return nil, err
	}
	if blas {
		if err := d.useBLAS(); err != nil {
			d.Close()
			return nil, err
		}
	}
	return gpu.New(d, threads), nil
}

// Name is "cuda (the name of the device)".
func (d *device) Name() string { return "cuda (" + d.Info.Name + ")" }

// Software is false.
func (*device) Software() bool { return false }

// Tensor says that the device has tensor cores for TF32 and bfloat16: Ampere's, or later.
func (d *device) Tensor() bool { return d.Capability[0] >= 8 }

// BLAS says that products are those of cuBLAS.
func (d *device) BLAS() bool { return d.blas != 0 }

// check gives a failure a name. All but a lack of memory are final: the driver refuses
// everything that follows.
func (d *device) check(r result) error {
	switch r {
	case success:
		return nil
	case outOfMemory:
		return fmt.Errorf("%s: %w", d.Name(), gpu.ErrMemory)
	}
	if d.lost = fmt.Errorf("%s: %w", d.Name(), r); d.failed != nil {
		d.lost = d.failed
	}
	return d.lost
}

// Lost says that the device does not answer any more.
func (d *device) Lost() bool { return d.lost != nil }

// Allocate takes managed memory, which moves to who looks at it, or the host's, which
// stays there.
func (d *device) Allocate(size uint64, host bool) (m gpu.Memory, err error) {
	m.Size = size
	err = d.on(func() result {
		if host {
			m.Handles[0] = 1
			return api.cuMemHostAlloc.call(uintptr(ptr(&m.Address)), uintptr(size), hostMapped)
		}
		return api.cuMemAllocManaged.call(uintptr(ptr(&m.Address)), uintptr(size), attachGlobal)
	})
	m.Host = *(*unsafe.Pointer)(ptr(&m.Address)) // the same on both sides
	return m, err
}

// Free gives memory back.
func (d *device) Free(m gpu.Memory) {
	_ = d.on(func() result {
		if m.Handles[0] == 1 {
			return api.cuMemFreeHost.call(uintptr(m.Address))
		}
		return api.cuMemFree.call(uintptr(m.Address))
	})
}

// compiled are the values of constants 1 and 2 that a kernel has functions for.
var compiled = map[string]func(c gpu.Constants) string{
	"gemm":    func(c gpu.Constants) string { return fmt.Sprintf("gemm_%d_0", c[1]) },
	"gemv":    func(c gpu.Constants) string { return fmt.Sprintf("gemv_%d_%d", c[1], c[2]) },
	"reduced": func(c gpu.Constants) string { return fmt.Sprintf("reduced_%d_0", c[1]) },
	"tensor":  func(c gpu.Constants) string { return fmt.Sprintf("tensor_%d_0", c[1]) },
}

// Kernel finds a kernel. The driver compiles it for the device when it is first loaded.
func (d *device) Kernel(name string, constants gpu.Constants) (uint64, error) {
	k := kernel{threads: threads(name), zero: constants[0]}
	if name != "blas" {
		if err := d.find(&k, name, constants); err != nil {
			return 0, err
		}
	}
	if at := slices.Index(d.kernels, k); at >= 0 {
		return uint64(at), nil
	}
	d.kernels = append(d.kernels, k)
	return uint64(len(d.kernels) - 1), nil
}

// threads is the size of a kernel's workgroups.
func threads(name string) uint32 {
	switch name {
	case "gemv":
		return 16
	case "tensor":
		return 128
	}
	return 64
}

// find sets the function of a kernel.
func (d *device) find(k *kernel, name string, constants gpu.Constants) error {
	if _, ok := d.modules[name]; !ok {
		r, err := zip.NewReader(bytes.NewReader(kernels), int64(len(kernels)))
		if err != nil {
			return err
		}
		ptx, err := fs.ReadFile(r, name+".ptx")
		if err != nil {
			return err
		}
		ptx = append(ptx, 0)
		var module uintptr
		if err := d.on(func() result { return api.cuModuleLoadData.call(uintptr(ptr(&module)), uintptr(ptr(&ptx[0]))) }); err != nil {
			return err
		}
		d.modules[name] = module
	}
	entry := name
	if variant := compiled[name]; variant != nil {
		entry = variant(constants)
	}
	text := append([]byte(entry), 0)
	return d.on(func() result {
		return api.cuModuleGetFunction.call(uintptr(ptr(&k.function)), d.modules[name], uintptr(ptr(&text[0])))
	})
}

// recording is a row of operations. The first time they are launched one by one, then
// they become a graph: most rows of offline work come once.
type recording struct {
	row      []gpu.Operation
	launched bool
	graph    uintptr // executable, 0 before the second run
}

// Record keeps a row.
func (d *device) Record(row []gpu.Operation) (gpu.Recording, error) {
	if d.lost != nil {
		return 0, d.lost
	}
	d.next++
	d.recordings[d.next] = &recording{row: row}
	return d.next, nil
}

// Run launches a row on the stream, which runs one operation after the other.
func (d *device) Run(which gpu.Recording) error {
	r := d.recordings[which]
	return d.on(func() result {
		if !r.launched {
			r.launched = true
			return d.launch(r.row)
		}
		if r.graph == 0 {
			if failed := d.capture(r); failed != success {
				return failed
			}
		}
		return api.cuGraphLaunch.call(r.graph, d.stream)
	})
}

// capture makes the graph of a row.
func (d *device) capture(r *recording) result {
	if failed := api.cuStreamBeginCapture.call(d.stream, captureThread); failed != success {
		return failed
	}
	launched := d.launch(r.row)
	var graph uintptr
	// The capture ends in any case.
	ended := api.cuStreamEndCapture.call(d.stream, uintptr(ptr(&graph)))
	if launched != success {
		return launched
	}
	if ended != success {
		return ended
	}
	made := api.cuGraphInstantiate.call(uintptr(ptr(&r.graph)), graph, 0)
	api.cuGraphDestroy.call(graph)
	return made
}

// launch launches operations one by one.
func (d *device) launch(row []gpu.Operation) result {
	for i := range row {
		op := &row[i]
		k := &d.kernels[op.Kernel]
		if k.function == 0 {
			if d.failed = d.product(op); d.failed != nil {
				return launchFailed
			}
			continue
		}
		arguments := [2]ptr{ptr(&op.Push), ptr(&k.zero)}
		r := api.cuLaunchKernel.call(k.function, uintptr(op.Groups[0]), uintptr(op.Groups[1]), 1, uintptr(k.threads), 1, 1,
			0, d.stream, uintptr(ptr(&arguments)), 0)
		if r != success {
			return r
		}
	}
	return success
}

// Discard forgets a row.
func (d *device) Discard(which gpu.Recording) {
	if r := d.recordings[which]; r.graph != 0 {
		_ = d.on(func() result { return api.cuGraphExecDestroy.call(r.graph) })
	}
	delete(d.recordings, which)
}

// Wait returns when all operations have run.
func (d *device) Wait() error {
	return d.on(func() result { return api.cuStreamSynchronize.call(d.stream) })
}

// Close gives the device back.
func (d *device) Close() {
	_ = d.on(func() result {
		if d.blas != 0 {
			blas.cublasDestroy.call(d.blas)
		}
		for _, m := range d.modules {
			api.cuModuleUnload.call(m)
		}
		if d.stream != 0 {
			api.cuStreamDestroy.call(d.stream)
		}
		return success
	})
	api.cuDevicePrimaryCtxRelease.call(uintptr(d.handle))
}
