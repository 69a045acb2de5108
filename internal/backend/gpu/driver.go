// Package gpu runs the operations of a backend on a graphics processor, by the kernels
// of a Driver: backend/vulkan and backend/cuda are drivers.
//
// Tensors are memory that both sides see, so that a host that has called Wait may
// read and write Data as it does on the processor. Operations are enqueued, and run in
// order.
//
// Results do not depend on the rows beside them, on batch or chunks: every output has
// one fixed order of sums. They are within 1e-5·Σ|a·b| of the exact ones.
package gpu

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// Driver is what kinds of graphics processors differ in. Its methods are called one at
// a time.
type Driver interface {
	// Name is that of the kind and of the device.
	Name() string
	// Software says that the processor stands in for the device.
	Software() bool
	// Allocate takes memory that the host sees too, ErrMemory where there is no more:
	// the device's, or with host set the host's, for what it writes or reads once.
	Allocate(size uint64, host bool) (Memory, error)
	Free(Memory)
	// Kernel prepares a kernel of shaders with values of its constants.
	Kernel(name string, constants Constants) (uint64, error)
	// Record prepares a row of operations, each of which sees what those before it
	// wrote, to be run again and again.
	Record(row []Operation) (Recording, error)
	// Run starts a row behind all that was started before it.
	Run(Recording) error
	// Discard forgets a row that does not run.
	Discard(Recording)
	// Wait returns when everything that was started has run.
	Wait() error
	// Tensor says that there are units for products of reduced precision, which the
	// kernel tensor uses.
	Tensor() bool
	// BLAS says that the kernel blas is to do products of float32: a library's.
	BLAS() bool
	// Lost says that the device does not answer any more.
	Lost() bool
	Close()
}

// ErrMemory is the error of an Allocate that finds no memory.
var ErrMemory = errors.New("out of device memory")

// Memory is memory that a device and the host see, each at its own address.
type Memory struct {
	Host    unsafe.Pointer
	Address uint64
	Size    uint64
	Handles [2]uint64 // of the driver
}

// Constants are what a kernel is compiled for.
type Constants [3]uint32

// MaxPush is the room for the arguments of an operation in bytes.
const MaxPush = 128

// MaxGroups bounds the workgroups of an operation in a dimension.
const MaxGroups = 65535

// Operation is one run of a kernel on workgroups.
type Operation struct {
	Kernel uint64 // as Driver.Kernel gave it
	Groups [2]uint32
	Used   int // bytes of Push
	Push   [MaxPush]byte
}

// Recording is a row of operations that a driver has recorded.
type Recording uint64

// variant is a kernel with its constants.
type variant struct {
	name      string
	constants Constants
}

// call is an operation in the making: arguments are added in the order of the
// kernel's Push, addresses first.
type call struct {
	b  *Backend
	op Operation
}

func (b *Backend) call(kernel string, constants ...uint32) *call {
	v := variant{name: kernel}
	copy(v.constants[:], constants)
	k, ok := b.kernel[v]
	if !ok {
		var err error
		k, err = b.driver.Kernel(v.name, v.constants)
		do(err)
		b.kernel[v] = k
	}
	return &call{b: b, op: Operation{Kernel: k}}
}

func (c *call) pointers(addresses ...uint64) *call {
	for _, a := range addresses {
		binary.LittleEndian.PutUint64(c.op.Push[c.op.Used:], a)
		c.op.Used += 8
	}
	return c
}

func (c *call) sizes(sizes ...int) *call {
	for _, n := range sizes {
		binary.LittleEndian.PutUint32(c.op.Push[c.op.Used:], uint32(n))
		c.op.Used += 4
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
	if y > MaxGroups {
		panic("gpu: too many rows")
	}
	c.op.Groups = [2]uint32{uint32(min(x, MaxGroups)), uint32(y)}
	do(c.b.queue.enqueue(&c.op))
}
