//go:build !static && (amd64 || arm64) && (linux || windows)

package cuda

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// result is a CUresult.
type result int32

const (
	success     result = 0
	outOfMemory result = 2
	noDevice    result = 100

	launchFailed result = 719
)

func (r result) Error() string {
	var s *byte
	if api.cuGetErrorString != 0 {
		api.cuGetErrorString.call(uintptr(r), uintptr(ptr(&s)))
	}
	if s == nil {
		return fmt.Sprintf("CUDA error %d", int32(r))
	}
	n := 0
	for *(*byte)(unsafe.Add(ptr(s), n)) != 0 {
		n++
	}
	return unsafe.String(s, n)
}

// ptr is for the addresses among the arguments of call: uintptr(ptr(&x)).
type ptr = unsafe.Pointer

// function is the address of one of the driver's. Pointers among its arguments live
// until it returns, and so does what they point to.
type function uintptr

//go:uintptrescapes
func (f function) call(args ...uintptr) result {
	r, _, _ := purego.SyscallN(uintptr(f), args...)
	return result(int32(r))
}

// Attributes of devices.
const (
	attributeMajor      = 75
	attributeMinor      = 76
	attributeConcurrent = 89 // the host may look at managed memory while kernels run
)

const (
	attachGlobal    = 1
	hostMapped      = 2 // the device sees it
	streamNoDefault = 1 // does not wait for the default stream
	captureThread   = 1 // only calls of this thread have to be fit for a graph
)

// api holds the functions of the library.
var api struct {
	cuInit, cuDeviceGetCount, cuDeviceGet, cuDeviceGetName, cuDeviceTotalMem  function
	cuDeviceGetAttribute, cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRelease function
	cuCtxSetCurrent, cuModuleLoadData, cuModuleUnload, cuModuleGetFunction    function
	cuMemAllocManaged, cuMemFree, cuStreamCreate, cuStreamDestroy             function
	cuStreamSynchronize, cuLaunchKernel, cuGetErrorString                     function
	cuStreamBeginCapture, cuStreamEndCapture, cuGraphInstantiate              function
	cuGraphDestroy, cuGraphLaunch, cuGraphExecDestroy                         function
	cuMemHostAlloc, cuMemFreeHost                                             function
}

// load finds the library, once, when a device is first asked for.
var load = sync.OnceValue(func() error {
	lib, err := openLibrary()
	if err != nil {
		return fmt.Errorf("no CUDA driver: %w", err)
	}
	a := &api
	for name, f := range map[string]*function{
		"cuInit": &a.cuInit, "cuDeviceGetCount": &a.cuDeviceGetCount, "cuDeviceGet": &a.cuDeviceGet,
		"cuDeviceGetName": &a.cuDeviceGetName, "cuDeviceTotalMem_v2": &a.cuDeviceTotalMem,
		"cuDeviceGetAttribute": &a.cuDeviceGetAttribute, "cuDevicePrimaryCtxRetain": &a.cuDevicePrimaryCtxRetain,
		"cuDevicePrimaryCtxRelease_v2": &a.cuDevicePrimaryCtxRelease, "cuCtxSetCurrent": &a.cuCtxSetCurrent,
		"cuModuleLoadData": &a.cuModuleLoadData, "cuModuleUnload": &a.cuModuleUnload, "cuModuleGetFunction": &a.cuModuleGetFunction,
		"cuMemAllocManaged": &a.cuMemAllocManaged, "cuMemFree_v2": &a.cuMemFree, "cuStreamCreate": &a.cuStreamCreate,
		"cuStreamDestroy_v2": &a.cuStreamDestroy, "cuStreamSynchronize": &a.cuStreamSynchronize,
		"cuLaunchKernel": &a.cuLaunchKernel, "cuGetErrorString": &a.cuGetErrorString,
		"cuStreamBeginCapture_v2": &a.cuStreamBeginCapture, "cuStreamEndCapture": &a.cuStreamEndCapture,
		"cuGraphInstantiateWithFlags": &a.cuGraphInstantiate, "cuGraphDestroy": &a.cuGraphDestroy,
		"cuMemHostAlloc": &a.cuMemHostAlloc, "cuMemFreeHost": &a.cuMemFreeHost,
		"cuGraphLaunch": &a.cuGraphLaunch, "cuGraphExecDestroy": &a.cuGraphExecDestroy,
	} {
		p, err := findSymbol(lib, name)
		if err != nil {
			return fmt.Errorf("the CUDA driver is too old: %w", err)
		}
		*f = function(p)
	}
	if r := a.cuInit.call(0); r == noDevice {
		return ErrNone
	} else if r != success {
		return fmt.Errorf("no CUDA driver: %w", r)
	}
	return nil
})

// blas holds the functions of cuBLAS.
var blas struct {
	cublasCreate, cublasDestroy, cublasSetStream, cublasSetMathMode, cublasSgemm function
}

// loadBLAS finds cuBLAS, once, when it is first asked for.
var loadBLAS = sync.OnceValue(func() error {
	lib, err := openBLAS()
	if err != nil {
		return fmt.Errorf("no cuBLAS: %w: leave --blas out, or install NVIDIA's library", err)
	}
	for name, f := range map[string]*function{
		"cublasCreate_v2": &blas.cublasCreate, "cublasDestroy_v2": &blas.cublasDestroy, "cublasSetStream_v2": &blas.cublasSetStream,
		"cublasSetMathMode": &blas.cublasSetMathMode, "cublasSgemm_v2": &blas.cublasSgemm,
	} {
		p, err := findSymbol(lib, name)
		if err != nil {
			return fmt.Errorf("cuBLAS is too old: %w", err)
		}
		*f = function(p)
	}
	return nil
})

// on runs f on a thread of the operating system whose context is that of the device.
func (d *device) on(f func() result) error {
	if d.lost != nil {
		return d.lost
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := api.cuCtxSetCurrent.call(d.context)
	if r == success {
		r = f()
	}
	return d.check(r)
}
