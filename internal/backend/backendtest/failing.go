package backendtest

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Failing is a device that fails: operations panic with a Fault when their time has
// come. It computes on another one, at once, but counts as one that has to be waited
// for.
type Failing struct {
	inner backend.Backend
	left  atomic.Int64 // operations until one fails
	lost  bool         // and all after it
}

var (
	_ backend.Backend = (*Failing)(nil)
	_ backend.Waiter  = (*Failing)(nil)
)

// ErrFailing is what such a device fails with.
var ErrFailing = errors.New("out of order")

// NewFailing makes a device that computes on b. It is lost at the failure, or else goes
// on after it.
func NewFailing(b backend.Backend, lost bool) *Failing {
	f := &Failing{inner: b, lost: lost}
	f.After(math.MaxInt)
	return f
}

// After lets n operations through before one fails, from now on.
func (f *Failing) After(n int) { f.left.Store(int64(n)) }

// Reached says that an operation has failed since After.
func (f *Failing) Reached() bool { return f.left.Load() < 0 }

// Lost says that it does not answer any more.
func (f *Failing) Lost() bool { return f.lost && f.Reached() }

// count fails when it is time.
func (f *Failing) count() {
	if left := f.left.Add(-1); left == -1 || left < 0 && f.lost {
		panic(&backend.Fault{Err: fmt.Errorf("%s: %w", f.Name(), ErrFailing)})
	}
}

// Name is that of the device that it computes on, and that it fails.
func (f *Failing) Name() string { return "failing " + f.inner.Name() }

// Wait counts like an operation.
func (f *Failing) Wait() { f.count() }

// Failures runs what uses a device on devices that compute on b and fail after each of its
// operations, or after so many of them at equal distances where points is above 0. Each
// failure is an error that names the device, and leaves no goroutine behind; a device
// that goes on after it does the whole again. Run checks what comes out by itself, where
// there is no error.
func Failures(t *testing.T, b backend.Backend, points int, run func(device *Failing) error) {
	t.Helper()
	f := NewFailing(b, false)
	if err := run(f); err != nil {
		t.Fatalf("on a device that does not fail: %v", err)
	}
	total := int(1<<62 - f.left.Load())
	goroutines := max(settled(3), 3)
	step := 1.0
	if points > 0 {
		step = max(1, float64(total)/float64(points))
	}
	failures := 0
	for at := 0.0; at < float64(total); at += step {
		for _, lost := range []bool{false, true} {
			n := int(at)
			f := NewFailing(b, lost)
			f.After(n)
			err := run(f)
			if !f.Reached() { // operations side by side may be fewer
				continue
			}
			failures++
			if !errors.Is(err, ErrFailing) || !strings.Contains(err.Error(), f.Name()) {
				t.Fatalf("failure after %d of %d operations, lost %t: error %v", n, total, lost, err)
			}
			if got := settled(goroutines); got > goroutines {
				stacks := make([]byte, 1<<16)
				t.Fatalf("failure after %d operations, lost %t: %d goroutines, %d before\n%s", n, lost, got, goroutines, stacks[:runtime.Stack(stacks, true)])
			}
			if lost {
				continue
			}
			if err := run(f); err != nil {
				t.Fatalf("the run after a failure after %d operations: %v", n, err)
			}
		}
	}
	t.Logf("%d failures in %d operations", failures, total)
}

// settled gives the number of goroutines, once it is no more than want or stays above it.
func settled(want int) int {
	n := runtime.NumGoroutine()
	for i := 0; i < 60 && n > want; i++ {
		time.Sleep(time.Millisecond << min(i/4, 4))
		n = runtime.NumGoroutine()
	}
	return n
}

// New counts, and computes.
func (f *Failing) New(rows, cols int) *backend.Tensor {
	f.count()
	return f.inner.New(rows, cols)
}

// Upload counts, and computes.
func (f *Failing) Upload(dst *backend.Tensor, src []float32) {
	f.count()
	f.inner.Upload(dst, src)
}

// Download counts, and computes.
func (f *Failing) Download(dst []float32, src *backend.Tensor) {
	f.count()
	f.inner.Download(dst, src)
}

// Pack counts, and computes.
func (f *Failing) Pack(w []float32, k, n int) *backend.Weights {
	f.count()
	return f.inner.Pack(w, k, n)
}

// PackT counts, and computes.
func (f *Failing) PackT(w []float32, n, k int) *backend.Weights {
	f.count()
	return f.inner.PackT(w, n, k)
}

// Repack counts, and computes.
func (f *Failing) Repack(dst *backend.Weights, w []float32, transposed bool) {
	f.count()
	f.inner.Repack(dst, w, transposed)
}

// MatMul counts, and computes.
func (f *Failing) MatMul(y, x *backend.Tensor, w *backend.Weights, ep backend.Epilogue) {
	f.count()
	f.inner.MatMul(y, x, w, ep)
}

// MatMulTN counts, and computes.
func (f *Failing) MatMulTN(dw, x, dy *backend.Tensor) {
	f.count()
	f.inner.MatMulTN(dw, x, dy)
}

// DepthwiseConv counts, and computes.
func (f *Failing) DepthwiseConv(y, x *backend.Tensor, w, bias []float32, taps, dilation int) {
	f.count()
	f.inner.DepthwiseConv(y, x, w, bias, taps, dilation)
}

// DepthwiseConvGradWeights counts, and computes.
func (f *Failing) DepthwiseConvGradWeights(dw []float32, x, dy *backend.Tensor, taps, dilation int) {
	f.count()
	f.inner.DepthwiseConvGradWeights(dw, x, dy, taps, dilation)
}

// LayerNorm counts, and computes.
func (f *Failing) LayerNorm(y, x *backend.Tensor, gamma, beta []float32, eps float32) {
	f.count()
	f.inner.LayerNorm(y, x, gamma, beta, eps)
}

// LayerNormGrad counts, and computes.
func (f *Failing) LayerNormGrad(dx *backend.Tensor, dgamma, dbeta []float32, x, dy *backend.Tensor, gamma []float32, eps float32) {
	f.count()
	f.inner.LayerNormGrad(dx, dgamma, dbeta, x, dy, gamma, eps)
}

// Activate counts, and computes.
func (f *Failing) Activate(y, x *backend.Tensor, act backend.Activation) {
	f.count()
	f.inner.Activate(y, x, act)
}

// Finish counts, and computes.
func (f *Failing) Finish(y, x *backend.Tensor, ep backend.Epilogue) {
	f.count()
	f.inner.Finish(y, x, ep)
}

// Complex counts, and computes.
func (f *Failing) Complex(y, x *backend.Tensor, most float32) {
	f.count()
	f.inner.(backend.Polar).Complex(y, x, most)
}

// ActivateGrad counts, and computes.
func (f *Failing) ActivateGrad(dx, x, dy *backend.Tensor, act backend.Activation) {
	f.count()
	f.inner.ActivateGrad(dx, x, dy, act)
}

// Copy counts, and computes.
func (f *Failing) Copy(dst, src *backend.Tensor) {
	f.count()
	f.inner.Copy(dst, src)
}

// Add counts, and computes.
func (f *Failing) Add(y, a, b *backend.Tensor) {
	f.count()
	f.inner.Add(y, a, b)
}

// ScaleAdd counts, and computes.
func (f *Failing) ScaleAdd(y, x *backend.Tensor, scale []float32, residual *backend.Tensor) {
	f.count()
	f.inner.ScaleAdd(y, x, scale, residual)
}

// ColumnSum counts, and computes.
func (f *Failing) ColumnSum(sum []float32, x, z *backend.Tensor) {
	f.count()
	f.inner.ColumnSum(sum, x, z)
}

// Nearest counts, and computes.
func (f *Failing) Nearest(codes []int32, x *backend.Tensor, book *backend.Weights, half []float32) {
	f.count()
	f.inner.Nearest(codes, x, book, half)
}

// Gather counts, and computes.
func (f *Failing) Gather(y *backend.Tensor, table *backend.Tensor, codes []int32) {
	f.count()
	f.inner.Gather(y, table, codes)
}

// AdamWStep counts, and computes.
func (f *Failing) AdamWStep(w, g, m, v []float32, a backend.AdamW) {
	f.count()
	f.inner.AdamWStep(w, g, m, v, a)
}

// PackReduced counts, and computes.
func (f *Failing) PackReduced(w []float32, k, n int, p backend.Precision) *backend.Weights {
	f.count()
	return f.inner.PackReduced(w, k, n, p)
}

// CompressPairs counts, and computes.
func (f *Failing) CompressPairs(y, m, x *backend.Tensor, eps float32) {
	f.count()
	f.inner.CompressPairs(y, m, x, eps)
}

// ExpandPairs counts, and computes.
func (f *Failing) ExpandPairs(y, x *backend.Tensor, eps float32) {
	f.count()
	f.inner.ExpandPairs(y, x, eps)
}

// Attention counts, and computes.
func (f *Failing) Attention(y, q, k, v *backend.Tensor, from, to []int32, heads int, scale float32) {
	f.count()
	f.inner.Attention(y, q, k, v, from, to, heads, scale)
}

// AttentionGrad counts, and computes.
func (f *Failing) AttentionGrad(dq, dk, dv, q, k, v, y, dy *backend.Tensor, from, to []int32, heads int, scale float32) {
	f.count()
	f.inner.AttentionGrad(dq, dk, dv, q, k, v, y, dy, from, to, heads, scale)
}

// NewMemory counts, and computes.
func (f *Failing) NewMemory(rows, cols, heads int) *backend.Memory {
	f.count()
	return f.inner.NewMemory(rows, cols, heads)
}

// Remember counts, and computes.
func (f *Failing) Remember(m *backend.Memory, k, v *backend.Tensor) {
	f.count()
	f.inner.Remember(m, k, v)
}

// Recall counts, and computes.
func (f *Failing) Recall(y, q *backend.Tensor, m *backend.Memory, scale float32) {
	f.count()
	f.inner.Recall(y, q, m, scale)
}

// GroupNorm counts, and computes.
func (f *Failing) GroupNorm(y, x *backend.Tensor, groups int, gamma, beta []float32, eps float32) {
	f.count()
	f.inner.GroupNorm(y, x, groups, gamma, beta, eps)
}

// RMSNorm counts, and computes.
func (f *Failing) RMSNorm(y, x *backend.Tensor, gamma []float32, eps float32) {
	f.count()
	f.inner.RMSNorm(y, x, gamma, eps)
}

// LSTMCell counts, and computes.
func (f *Failing) LSTMCell(h, c, gates *backend.Tensor) {
	f.count()
	f.inner.LSTMCell(h, c, gates)
}
