package tokenizer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// kaldiWriter writes an archive with NumPy arrays as kaldiio has them ("NPY", the
// length, the array), an scp index of byte offsets into it, and the tables text
// and utt2spk.
type kaldiWriter struct {
	v          *Vocabulary
	files      []io.WriteCloser
	ark        *bufio.Writer
	scp, text  *bufio.Writer
	speakers   *bufio.Writer
	offset     int64
	arkAddress string
}

func newKaldiWriter(v *Vocabulary, name string, create Create) (Writer, error) {
	w := &kaldiWriter{v: v, arkAddress: path.Base(name) + ".ark"}
	for _, x := range []struct {
		ext string
		b   **bufio.Writer
	}{{".ark", &w.ark}, {".scp", &w.scp}, {".text", &w.text}, {".utt2spk", &w.speakers}} {
		f, err := create(name + x.ext)
		if err != nil {
			w.close()
			return nil, err
		}
		w.files = append(w.files, f)
		*x.b = bufio.NewWriterSize(f, 1<<14)
	}
	return w, nil
}

func (w *kaldiWriter) Write(u *Utterance) error {
	k := key(u.ID, true)
	data := appendNPY(nil, w.v, u.Sequence)
	head := append([]byte(k), " NPY"...)
	at := w.offset + int64(len(k)) + 1
	head = append(head, 4)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(data)))
	w.offset += int64(len(head) + len(data))
	_, err1 := w.ark.Write(head)
	_, err2 := w.ark.Write(data)
	_, err3 := fmt.Fprintf(w.scp, "%s %s:%d\n", k, w.arkAddress, at)
	err := errors.Join(err1, err2, err3)
	if u.Text != "" {
		_, e := fmt.Fprintf(w.text, "%s %s\n", k, strings.Join(strings.Fields(u.Text), " "))
		err = errors.Join(err, e)
	}
	speaker := u.Speaker
	if speaker == "" {
		speaker = u.ID
	}
	_, e := fmt.Fprintf(w.speakers, "%s %s\n", k, key(speaker, true))
	return errors.Join(err, e)
}

func (w *kaldiWriter) Close() error {
	return errors.Join(w.ark.Flush(), w.scp.Flush(), w.text.Flush(), w.speakers.Flush(), w.close())
}

func (w *kaldiWriter) close() (err error) {
	for _, f := range w.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// kaldiReader reads the arrays that an scp index names, whose paths are relative
// to its folder.
type kaldiReader struct {
	dir  string
	file io.Closer
	scp  *bufio.Scanner
	path string
	ark  *os.File
	n    int
}

func newKaldiReader(name string, file io.ReadCloser) Reader {
	return &kaldiReader{dir: filepath.Dir(name), file: file, scp: bufio.NewScanner(file)}
}

func (r *kaldiReader) Next() (*Utterance, error) {
	if !r.scp.Scan() {
		if err := r.scp.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	r.n++
	id, where, _ := strings.Cut(r.scp.Text(), " ")
	u := &Utterance{ID: unkey(id), Samples: -1}
	err := r.read(u, strings.TrimSpace(where))
	if err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", r.n, where, err)
	}
	return u, nil
}

func (r *kaldiReader) read(u *Utterance, where string) (err error) {
	name, offset := where, int64(0)
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		if offset, err = strconv.ParseInt(where[i+1:], 10, 64); err != nil || offset < 0 {
			return errors.New("not the place of an array: ARK:OFFSET")
		}
		name = where[:i]
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.dir, name)
	}
	if name != r.path || r.ark == nil {
		if r.ark != nil {
			r.ark.Close()
			r.ark = nil
		}
		if r.ark, err = os.Open(name); err != nil {
			return err
		}
		r.path = name
	}
	if _, err := r.ark.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	b := bufio.NewReader(r.ark)
	head, err := b.Peek(8)
	if err != nil || string(head[:3]) != "NPY" || head[3] > 8 {
		return errors.New("no NumPy array stands there")
	}
	b.Discard(4 + int(head[3]))
	u.Sequence, err = readNPY(b)
	return err
}

func (r *kaldiReader) Close() error {
	if r.ark != nil {
		r.ark.Close()
	}
	return r.file.Close()
}
