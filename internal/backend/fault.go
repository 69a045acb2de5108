package backend

import (
	"errors"
	"fmt"
	"sync"
)

// Fault is what operations panic with when a device fails: it is lost, or its memory
// is exhausted. The operations of models return it as an error, by Recover.
type Fault struct{ Err error }

// Error is that of the device.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the error of the device.
func (f *Fault) Unwrap() error { return f.Err }

// Recover sets *err to a Fault that panics; other panics go on. Use it as
// defer backend.Recover(&err).
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Fault:
		*err = fmt.Errorf("device failed: %w", r)
	default:
		panic(r)
	}
}

// Failed says that an error is that of a device, and of nothing that it was given.
func Failed(err error) bool {
	var f *Fault
	return errors.As(err, &f)
}

// Group runs functions beside each other. A Fault that one of them panics with comes to
// who waits for them.
type Group struct {
	wait  sync.WaitGroup
	once  sync.Once
	fault *Fault
}

// Go calls f in a goroutine.
func (g *Group) Go(f func()) {
	g.wait.Go(func() {
		defer g.carry()
		f()
	})
}

// carry keeps a Fault that panics; other panics go on.
func (g *Group) carry() {
	switch r := recover().(type) {
	case nil:
	case *Fault:
		g.once.Do(func() { g.fault = r })
	default:
		panic(r)
	}
}

// Wait returns when all functions have, and panics with the first Fault of theirs.
func (g *Group) Wait() {
	g.wait.Wait()
	if g.fault != nil {
		panic(g.fault)
	}
}

// Waiter is a Backend whose operations may not have run when they return. The host
// reads and writes Data of its tensors after Wait alone.
type Waiter interface{ Wait() }

// Clear sets values in memory of a device to zero, behind the operations before.
func Clear(b Backend, v []float32) {
	if _, ok := b.(Waiter); !ok {
		clear(v)
		return
	}
	n := len(v)
	b.Copy(&Tensor{Rows: n, Cols: 1, Stride: 1, Data: v}, &Tensor{Rows: n, Cols: 1, Data: make([]float32, 1)})
}

// OnHost waits, and gives a Backend that runs on the processor and in the memory of b's
// tensors: for operations between what only the processor does.
func OnHost(b Backend) Backend {
	if d, ok := b.(interface{ Host() Backend }); ok {
		Wait(b)
		return d.Host()
	}
	return b
}

// Wide says that it takes many rows to keep a Backend busy: it is a graphics processor.
func Wide(b Backend) bool {
	d, ok := b.(interface{ Software() bool })
	return ok && !d.Software()
}

// Prompt gives a form of a Backend whose operations have run when they return, for
// code that does not call Wait.
func Prompt(b Backend) Backend {
	if p, ok := b.(interface{ Prompt() Backend }); ok {
		return p.Prompt()
	}
	return b
}

// Wait returns when all operations on a Backend have run, and the host may look at
// tensors. It must be called before the host writes to one, too.
func Wait(b Backend) {
	if w, ok := b.(Waiter); ok {
		w.Wait()
	}
}
