//go:build !static && (amd64 || arm64) && (linux || windows)

package cuda

import (
	"encoding/binary"
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend/gpu"
)

// Modes of cuBLAS.
const (
	mathPedantic = 2 // float32 alone
	mathTF32     = 3
)

// useBLAS makes the device's products those of cuBLAS.
func (d *device) useBLAS() error {
	if err := loadBLAS(); err != nil {
		return err
	}
	var status result
	err := d.on(func() result {
		if status = blas.cublasCreate.call(uintptr(ptr(&d.blas))); status == success {
			status = blas.cublasSetStream.call(d.blas, d.stream)
		}
		return success
	})
	if err == nil && status != success {
		err = fmt.Errorf("%s: cuBLAS does not start (status %d)", d.Name(), int32(status))
	}
	return err
}

// product runs the kernel blas: a product of matrices by rows is that of their
// transposes by columns, which is how cuBLAS sees them.
func (d *device) product(op *gpu.Operation) error {
	address := func(i int) uintptr { return uintptr(binary.LittleEndian.Uint64(op.Push[8*i:])) }
	size := func(i int) uintptr { return uintptr(binary.LittleEndian.Uint32(op.Push[24+4*i:])) }
	rows, cols, depth, ys, as, bs, mode := size(0), size(1), size(2), size(3), size(4), size(5), size(6)
	math, transposed := uintptr(mathPedantic), uintptr(0)
	one, beta := float32(1), float32(0)
	switch mode {
	case gpu.ProductTF32:
		math = mathTF32
	case gpu.ProductTN:
		transposed, beta = 1, 1
	}
	status := blas.cublasSetMathMode.call(d.blas, math)
	if status == success {
		status = blas.cublasSgemm.call(d.blas, 0, transposed, cols, rows, depth, uintptr(ptr(&one)), address(2), bs, address(1), as, uintptr(ptr(&beta)), address(0), ys)
	}
	if status != success {
		return fmt.Errorf("%s: cuBLAS fails (status %d)", d.Name(), int32(status))
	}
	return nil
}
