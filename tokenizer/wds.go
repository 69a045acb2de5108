package tokenizer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// wdsWriter writes a WebDataset shard: for each utterance KEY.npy and KEY.json,
// and no times or owners, so that the same utterances give the same bytes.
type wdsWriter struct {
	v    *Vocabulary
	file io.WriteCloser
	b    *bufio.Writer
	tar  *tar.Writer
}

func newWDSWriter(v *Vocabulary, file io.WriteCloser) *wdsWriter {
	b := bufio.NewWriterSize(file, 1<<16)
	return &wdsWriter{v, file, b, tar.NewWriter(b)}
}

func (w *wdsWriter) Write(u *Utterance) error {
	name := key(u.ID, false) // a WebDataset key ends at the first dot
	rest, err := json.Marshal(u.row())
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".npy", appendNPY(nil, w.v, u.Sequence)}, {".json", rest}} {
		if err := w.tar.WriteHeader(&tar.Header{Name: name + f.ext, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return err
		}
		if _, err := w.tar.Write(f.data); err != nil {
			return err
		}
	}
	return nil
}

func (w *wdsWriter) Close() error {
	return errors.Join(w.tar.Close(), w.b.Flush(), w.file.Close())
}

type wdsReader struct {
	file io.Closer
	tar  *tar.Reader
	key  string
	u    *Utterance
}

func newWDSReader(file io.ReadCloser) Reader {
	return &wdsReader{file: file, tar: tar.NewReader(bufio.NewReaderSize(file, 1<<16))}
}

func (r *wdsReader) Next() (*Utterance, error) {
	for {
		h, err := r.tar.Next()
		if err == io.EOF && r.u != nil {
			u := r.u
			r.u = nil
			return u, nil
		}
		if err != nil {
			return nil, err
		}
		dir, base := path.Split(h.Name)
		stem, ext, _ := strings.Cut(base, ".")
		if h.Typeflag != tar.TypeReg || ext != "npy" && ext != "json" {
			continue
		}
		var done *Utterance
		if k := dir + stem; r.u == nil || k != r.key {
			done, r.key, r.u = r.u, k, &Utterance{ID: unkey(k), Samples: -1}
		}
		if err := r.entry(ext); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		if done != nil {
			return done, nil
		}
	}
}

// entry reads a file of the current utterance.
func (r *wdsReader) entry(ext string) (err error) {
	if ext == "npy" {
		r.u.Sequence, err = readNPY(r.tar)
		return err
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r.tar, 8*maxText)); err != nil {
		return err
	}
	x := row{ID: unkey(r.key), Samples: -1}
	if err := json.Unmarshal(b.Bytes(), &x); err != nil {
		return err
	}
	u := x.utterance()
	u.Sequence = r.u.Sequence
	r.u = u
	return nil
}

func (r *wdsReader) Close() error { return r.file.Close() }
