package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// row is an utterance as a JSON object.
type row struct {
	ID         string          `json:"id"`
	Text       string          `json:"text"`
	Speaker    string          `json:"speaker"`
	Language   string          `json:"language"`
	Samples    int64           `json:"samples"`
	SampleRate int             `json:"sample_rate"`
	Duration   float64         `json:"duration"`
	File       string          `json:"file,omitempty"`
	Codes      json.RawMessage `json:"codes,omitempty"`
}

func (u *Utterance) row() row {
	return row{u.ID, u.Text, u.Speaker, u.Language, u.Samples, u.SampleRate, u.Seconds(), "", nil}
}

func (r *row) utterance() *Utterance {
	return &Utterance{ID: r.ID, Text: r.Text, Speaker: r.Speaker, Language: r.Language, Samples: r.Samples, SampleRate: r.SampleRate}
}

// jsonlWriter writes one object a line; codes are [steps] or [steps][width].
type jsonlWriter struct {
	v    *Vocabulary
	file io.WriteCloser
	b    *bufio.Writer
	buf  []byte
}

func newJSONLWriter(v *Vocabulary, file io.WriteCloser) *jsonlWriter {
	return &jsonlWriter{v: v, file: file, b: bufio.NewWriterSize(file, 1<<16)}
}

func (w *jsonlWriter) Write(u *Utterance) error {
	r := u.row()
	w.buf = appendJSON(w.buf[:0], w.v, u.Sequence)
	r.Codes = w.buf
	return w.line(r)
}

// write writes an utterance whose codes are in a file.
func (w *jsonlWriter) write(u *Utterance, file string) error {
	r := u.row()
	r.File = file
	return w.line(r)
}

func (w *jsonlWriter) line(r row) error {
	e := json.NewEncoder(w.b)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (w *jsonlWriter) Close() error { return errors.Join(w.b.Flush(), w.file.Close()) }

func appendJSON(dst []byte, v *Vocabulary, s Sequence) []byte {
	nested := !v.Layout.single()
	dst = append(dst, '[')
	for i, id := range s.IDs {
		if i > 0 {
			dst = append(dst, ',')
		}
		if nested && i%s.Width == 0 {
			dst = append(dst, '[')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
		if nested && (i+1)%s.Width == 0 {
			dst = append(dst, ']')
		}
	}
	return append(dst, ']')
}

type jsonlReader struct {
	v    *Vocabulary
	file io.Closer
	d    *json.Decoder
	n    int
}

func newJSONLReader(v *Vocabulary, file io.ReadCloser) Reader {
	return &jsonlReader{v: v, file: file, d: json.NewDecoder(bufio.NewReaderSize(file, 1<<16))}
}

func (r *jsonlReader) Next() (*Utterance, error) {
	var x row
	r.n++
	if err := r.d.Decode(&x); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("object %d: %w", r.n, err)
	}
	u := x.utterance()
	var err error
	if r.v.Layout.single() {
		u.Sequence.Width = 1
		err = json.Unmarshal(x.Codes, &u.Sequence.IDs)
	} else {
		var rows [][]int32
		if err = json.Unmarshal(x.Codes, &rows); err == nil {
			u.Sequence, err = unshape(rows, r.v.Width())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("object %d: codes: %w", r.n, err)
	}
	return u, nil
}

func (r *jsonlReader) Close() error { return r.file.Close() }

// textWriter writes a line an utterance: its id as a key, a space, its tokens.
type textWriter struct {
	v    *Vocabulary
	file io.WriteCloser
	b    *bufio.Writer
	buf  []byte
}

func newTextWriter(v *Vocabulary, file io.WriteCloser) *textWriter {
	return &textWriter{v: v, file: file, b: bufio.NewWriterSize(file, 1<<16)}
}

func (w *textWriter) Write(u *Utterance) (err error) {
	w.buf = append(append(w.buf[:0], key(u.ID, true)...), ' ')
	if w.buf, err = w.v.AppendText(w.buf, u.Sequence); err != nil {
		return err
	}
	_, err = w.b.Write(append(w.buf, '\n'))
	return err
}

func (w *textWriter) Close() error { return errors.Join(w.b.Flush(), w.file.Close()) }

type textReader struct {
	v    *Vocabulary
	file io.Closer
	b    *bufio.Reader
	n    int
}

func newTextReader(v *Vocabulary, file io.ReadCloser) Reader {
	return &textReader{v: v, file: file, b: bufio.NewReaderSize(file, 1<<16)}
}

func (r *textReader) Next() (*Utterance, error) {
	line, err := r.b.ReadBytes('\n')
	if len(line) == 0 {
		return nil, err
	}
	r.n++
	id, tokens, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
	s, err := r.v.ParseText(string(tokens))
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.n, err)
	}
	return &Utterance{ID: unkey(string(id)), Samples: -1, Sequence: s}, nil
}

func (r *textReader) Close() error { return r.file.Close() }
