package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// output is a file that appears under its name only when it is whole. Until
// then it is a temporary file in the same folder, which goes when the program
// is interrupted.
type output struct {
	*os.File
	path  string
	force bool

	mu     sync.Mutex
	done   bool
	stop   func() bool
	direct bool // a device or named pipe: written as it is
}

// create begins an output file. An existing file needs force.
func create(ctx context.Context, path string, force bool) (*output, error) {
	o := &output{path: path, force: force}
	if err := o.free(); err != nil {
		return nil, err
	}
	if st, err := os.Stat(path); err == nil {
		if !st.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			o.File, o.direct = f, true
			return o, err
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			o.path = real
		}
	}
	dir := filepath.Dir(o.path)
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("%s: there is no folder %s: make it first", path, dir)
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%d.tmp", o.path, os.Getpid()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be written: %w", path, errors.Unwrap(err))
	}
	o.File = f
	o.stop = context.AfterFunc(ctx, o.discard)
	return o, nil
}

// distinct refuses an output that is the input, which --force would replace.
func distinct(in, out string) error {
	a, errA := os.Stat(in)
	b, errB := os.Stat(out)
	if errA == nil && errB == nil && a.Mode().IsRegular() && os.SameFile(a, b) {
		return fmt.Errorf("%s: is the input as well: name another output", out)
	}
	return nil
}

// free says whether the output may take its name.
func (o *output) free() error {
	st, err := os.Stat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("%s: is a directory: name a file", o.path)
	case st.Mode().IsRegular() && !o.force:
		return fmt.Errorf("%s: exists already: give --force to replace it", o.path)
	}
	return nil
}

// commit gives the whole file its name.
func (o *output) commit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return context.Canceled
	}
	o.done = true
	if o.direct {
		return o.Close()
	}
	o.stop()
	err := o.Close()
	if err == nil {
		err = o.free()
	}
	if err == nil {
		err = os.Rename(o.Name(), o.path)
	}
	if err != nil {
		os.Remove(o.Name())
	}
	return err
}

// discard removes what was written, unless it was committed.
func (o *output) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return
	}
	o.done = true
	o.Close()
	if !o.direct {
		o.stop()
		os.Remove(o.Name())
	}
}

// pipe is standard output: a writer that cannot seek, also where it is a file.
type pipe struct{ io.Writer }
