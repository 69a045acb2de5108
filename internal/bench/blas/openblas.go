//go:build !static && (linux || darwin)

package blas

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is OpenBLAS, found at run time.
type Library struct {
	sgemm      func(order, transA, transB int32, m, n, k int32, alpha float32, a unsafe.Pointer, lda int32, b unsafe.Pointer, ldb int32, beta float32, c unsafe.Pointer, ldc int32)
	sgemv      func(order, trans int32, m, n int32, alpha float32, a unsafe.Pointer, lda int32, x unsafe.Pointer, incX int32, beta float32, y unsafe.Pointer, incY int32)
	setThreads func(int32)
	config     func() string
}

// Open finds the library.
func Open() (*Library, error) {
	names := []string{"libopenblas.so.0", "libopenblas.so", "libopenblas.dylib", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib"}
	for _, name := range names {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue
		}
		l := &Library{}
		purego.RegisterLibFunc(&l.sgemm, handle, "cblas_sgemm")
		purego.RegisterLibFunc(&l.sgemv, handle, "cblas_sgemv")
		purego.RegisterLibFunc(&l.setThreads, handle, "openblas_set_num_threads")
		purego.RegisterLibFunc(&l.config, handle, "openblas_get_config")
		return l, nil
	}
	return nil, fmt.Errorf("blas: OpenBLAS is not installed (looked for %s): on Debian, apt-get install libopenblas0-pthread", strings.Join(names, ", "))
}

// Config is what the library says of itself: version and kernels.
func (l *Library) Config() string { return strings.TrimSpace(l.config()) }

// Threads sets the number of threads of a product.
func (l *Library) Threads(n int) { l.setThreads(int32(n)) }

// Constants of cblas.h.
const (
	rowMajor = 101
	noTrans  = 111
	trans    = 112
)

// Product sets y [m, n] = x [m, k]·w, where w is [k, n], or with transposed set
// [n, k].
func (l *Library) Product(y, x, w []float32, m, k, n int, transposed bool) {
	t, ldb := int32(noTrans), int32(n)
	if transposed {
		t, ldb = trans, int32(k)
	}
	l.sgemm(rowMajor, noTrans, t, int32(m), int32(n), int32(k), 1, unsafe.Pointer(&x[0]), int32(k), unsafe.Pointer(&w[0]), ldb, 0, unsafe.Pointer(&y[0]), int32(n))
}

// Vector is Product for m = 1.
func (l *Library) Vector(y, x, w []float32, k, n int, transposed bool) {
	t, rows, cols := int32(trans), int32(k), int32(n)
	if transposed {
		t, rows, cols = noTrans, int32(n), int32(k)
	}
	l.sgemv(rowMajor, t, rows, cols, 1, unsafe.Pointer(&w[0]), cols, unsafe.Pointer(&x[0]), 1, 0, unsafe.Pointer(&y[0]), 1)
}
