package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
)

// SeekFrame makes Next return the packet that holds the frame, or io.EOF where
// the file ends before it. The stream must be an io.Seeker. A missing or
// damaged seek index is rebuilt by reading the file once. Models need some
// frames before the wanted one to settle: seek to an earlier frame and drop
// what comes before. Damage lists a lost packet each time it is passed.
func (r *Reader) SeekFrame(frame int64) error {
	if r.seeker == nil {
		return errors.New("codec: cannot seek: the input is a pipe")
	}
	if frame < 0 {
		return fmt.Errorf("codec: cannot seek to frame %d", frame)
	}
	if !r.indexed {
		if err := r.loadIndex(); err != nil {
			return fmt.Errorf("codec: reading the seek index: %w", err)
		}
		r.indexed = true
	}
	at := indexEntry{offset: r.start}
	if i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].first > frame }); i > 0 {
		at = r.entries[i-1]
	}
	if err := r.moveTo(at.offset); err != nil {
		return fmt.Errorf("codec: seeking: %w", err)
	}
	r.sequence, r.frame = int64(at.sequence), at.first
	r.gap, r.next, r.held, r.rescan, r.done, r.missing = gap{}, nil, nil, false, false, 0
	for {
		p, err := r.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if p.FirstFrame+int64(p.Frames) > frame {
			r.held = p
			return nil
		}
	}
}

// moveTo continues reading at an offset from the start of the file.
func (r *Reader) moveTo(offset int64) error {
	_, err := r.seeker.Seek(r.base+offset, io.SeekStart)
	r.w.reset(offset)
	return err
}

// loadIndex reads the seek index from the footer, or rebuilds it.
func (r *Reader) loadIndex() error {
	end, err := r.seeker.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	size := end - r.base
	if size < r.start+2*endSize+4 {
		return r.rebuildIndex()
	}
	if err := r.moveTo(size - endSize); err != nil {
		return err
	}
	b, err := r.w.peek(endSize)
	if err != nil && err != io.EOF {
		return err
	}
	if len(b) < endSize {
		return r.rebuildIndex()
	}
	e, ok := parseEnd(b, &r.h)
	n := e.entries*indexEntrySize + 4
	if !ok || size < r.start+int64(n)+2*endSize {
		return r.rebuildIndex()
	}
	if err := r.moveTo(size - endSize - int64(n)); err != nil {
		return err
	}
	if b, err = r.w.peek(n); err != nil && err != io.EOF {
		return err
	}
	if len(b) == n {
		if r.entries, ok = parseIndex(b); ok {
			return nil
		}
	}
	return r.rebuildIndex()
}

// rebuildIndex finds the packets by their headers.
func (r *Reader) rebuildIndex() error {
	if err := r.moveTo(r.start); err != nil {
		return err
	}
	var x seekIndex
	last := indexEntry{}
	for {
		b, err := r.w.peek(packetHeaderSize)
		if err == io.EOF {
			r.entries = x.entries
			return nil
		} else if err != nil {
			return err
		}
		p, ok := parsePacketHeader(b, &r.pk, r.h.Channels)
		if !ok {
			n := bytes.IndexByte(r.w.buf[1:], syncByte) + 1
			if n == 0 {
				n = len(r.w.buf)
			}
			r.w.discard(n)
			continue
		}
		if p.sequence > last.sequence && p.first > last.first {
			last = indexEntry{p.sequence, p.first, r.w.offset}
			x.add(last)
		}
		for n := packetHeaderSize + p.length; n > 0; {
			b, err := r.w.peek(min(n, windowStep))
			if err != nil && err != io.EOF {
				return err
			}
			if len(b) == 0 {
				break
			}
			n -= len(b)
			r.w.discard(len(b))
		}
	}
}
