package codec

import "io"

// window looks ahead in a stream. It reads no further than asked for more than
// one Read call, so that live input is seen as soon as it arrives, and its
// buffer grows with bytes that were really read.
type window struct {
	r      io.Reader
	buf    []byte // read and not yet discarded
	offset int64  // of buf[0] in the stream
	err    error  // of r, after buf
}

// windowStep is the most that the buffer grows ahead of the data.
const windowStep = 16 << 10

// peek returns the next n bytes without consuming them, or fewer and the error
// of the stream (io.EOF at its end). The slice holds until the next call.
func (w *window) peek(n int) ([]byte, error) {
	for empty := 0; len(w.buf) < n && w.err == nil; {
		if cap(w.buf)-len(w.buf) < windowStep/2 {
			grown := make([]byte, len(w.buf), 2*len(w.buf)+windowStep)
			copy(grown, w.buf)
			w.buf = grown
		}
		var got int
		got, w.err = w.r.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf = w.buf[:len(w.buf)+got]
		if got > 0 {
			empty = 0
		} else if empty++; empty >= 100 && w.err == nil {
			w.err = io.ErrNoProgress
		}
	}
	if len(w.buf) < n {
		return w.buf, w.err
	}
	return w.buf[:n], nil
}

// discard drops n bytes that peek has returned.
func (w *window) discard(n int) {
	w.buf = w.buf[n:]
	w.offset += int64(n)
}

// reset continues at another place of the stream.
func (w *window) reset(offset int64) {
	w.buf, w.offset, w.err = w.buf[:0], offset, nil
}
