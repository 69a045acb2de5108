package tokenizer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// parquetWriter writes a table whose column codes is a list of ids, or of lists of
// ids for layouts of several streams.
type parquetWriter struct {
	file   io.WriteCloser
	b      *bufio.Writer
	w      *parquet.GenericWriter[any]
	nested bool
	row    []parquet.Value
	ids    int // in the open row group
	paged  int // of them, in pages
}

const (
	// rowGroup is the number of ids after which a row group ends: what a writer holds
	// in memory.
	rowGroup = 1 << 20
	// pageIDs is the number of ids after which a page ends. A page holds whole rows.
	pageIDs = 1 << 15
	// rowPiece is the number of values that a row is handed over in: each is 24 bytes
	// there and 6 behind.
	rowPiece = 1 << 13
)

func newParquetWriter(v *Vocabulary, file io.WriteCloser) *parquetWriter {
	bits := 16
	if v.npyType() == "<i4" {
		bits = 32
	}
	codes := parquet.Encoded(parquet.Int(bits), &parquet.RLEDictionary)
	if v.Size > 1<<15 || v.Layout == Runs { // a dictionary would outgrow its codes
		codes = parquet.Encoded(parquet.Int(bits), &parquet.DeltaBinaryPacked)
	}
	list := parquet.List(codes)
	if !v.Layout.single() {
		list = parquet.List(list)
	}
	leaf := func(n parquet.Node) parquet.Node { return parquet.Leaf(small{n.Type()}) }
	text := parquet.Encoded(leaf(parquet.String()), &parquet.Plain)
	schema := parquet.NewSchema("utterances", parquet.Group{
		"id": text, "text": text, "speaker": text, "language": text,
		"samples": leaf(parquet.Int(64)), "sample_rate": leaf(parquet.Int(32)), "duration": leaf(parquet.Leaf(parquet.DoubleType)),
		"codes": list,
	})
	b := bufio.NewWriterSize(file, 1<<16)
	return &parquetWriter{file: file, b: b, nested: !v.Layout.single(), w: parquet.NewGenericWriter[any](b, schema,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}),
		parquet.DataPageVersion(1), // which compresses the levels of nested lists
		parquet.CreatedBy("sotto", "1", ""),
		parquet.PageBufferSize(math.MaxInt32), // Write ends pages, which must not end inside of a row
	)}
}

// small is a type of a column of one value a row, whose buffer grows as it is filled:
// the library would make room for a whole page at once.
type small struct{ parquet.Type }

func (small) EstimateNumValues(int) int { return 16 }

func (w *parquetWriter) Write(u *Utterance) error {
	columns := w.w.ColumnWriters()
	put := func(column int, values ...parquet.Value) error {
		_, err := columns[column].WriteRowValues(values)
		return err
	}
	s := u.Sequence
	deepest := 1
	if w.nested {
		deepest = 2
	}
	w.row = w.row[:0]
	for i, id := range s.IDs {
		level := deepest
		switch {
		case i == 0:
			level = 0
		case w.nested && i%s.Width == 0:
			level = 1
		}
		if w.row = append(w.row, parquet.Int32Value(id).Level(level, deepest, 0)); len(w.row) == rowPiece {
			if err := put(0, w.row...); err != nil {
				return err
			}
			w.row = w.row[:0]
		}
	}
	if len(s.IDs) == 0 {
		w.row = append(w.row, parquet.NullValue().Level(0, 0, 0))
	}
	if err := put(0, w.row...); err != nil {
		return err
	}
	for i, v := range []parquet.Value{
		parquet.DoubleValue(u.Seconds()), parquet.ByteArrayValue([]byte(u.ID)), parquet.ByteArrayValue([]byte(u.Language)),
		parquet.Int32Value(int32(u.SampleRate)), parquet.Int64Value(u.Samples),
		parquet.ByteArrayValue([]byte(u.Speaker)), parquet.ByteArrayValue([]byte(u.Text)),
	} {
		if err := put(i+1, v.Level(0, 0, i+1)); err != nil {
			return err
		}
	}
	w.ids += len(s.IDs)
	switch {
	case w.ids >= rowGroup:
		w.ids, w.paged = 0, 0
		return w.w.Flush()
	case w.ids >= w.paged+pageIDs:
		w.paged = w.ids
		return columns[0].Flush()
	}
	return nil
}

func (w *parquetWriter) Close() error {
	return errors.Join(w.w.Close(), w.b.Flush(), w.file.Close())
}

type parquetReader struct {
	v       *Vocabulary
	file    *os.File
	groups  []parquet.RowGroup
	rows    parquet.Rows
	columns map[int]string
	buf     []parquet.Row
	n       int
}

func newParquetReader(v *Vocabulary, file *os.File) (_ Reader, err error) {
	defer damaged(&err)
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, st.Size(), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("not a readable Parquet file: %w", err)
	}
	r := &parquetReader{v: v, file: file, groups: f.RowGroups(), columns: map[int]string{}, buf: make([]parquet.Row, 1)}
	for i, path := range f.Schema().Columns() {
		r.columns[i] = path[0]
	}
	return r, nil
}

// damaged turns a panic over a damaged file into an error: the Parquet library
// trusts its input in places.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, r)
	}
}

func (r *parquetReader) Next() (u *Utterance, err error) {
	defer damaged(&err)
	for {
		if r.rows == nil {
			if len(r.groups) == 0 {
				return nil, io.EOF
			}
			r.rows, r.groups = r.groups[0].Rows(), r.groups[1:]
		}
		n, err := r.rows.ReadRows(r.buf)
		if n == 1 {
			r.n++
			u, err := r.utterance(r.buf[0])
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", r.n, err)
			}
			return u, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		r.rows.Close()
		r.rows = nil
	}
}

func (r *parquetReader) utterance(values parquet.Row) (*Utterance, error) {
	u := &Utterance{Samples: -1}
	width := r.v.Width()
	u.Sequence.Width = width
	inRow := 0
	for _, v := range values {
		switch r.columns[v.Column()] {
		case "codes":
			if v.IsNull() {
				continue
			}
			if width > 1 {
				if v.RepetitionLevel() < 2 {
					if inRow != 0 && inRow != width {
						return nil, fmt.Errorf("a step of %d ids, not %d", inRow, width)
					}
					inRow = 0
				}
				inRow++
			}
			u.Sequence.IDs = append(u.Sequence.IDs, v.Int32())
		case "id":
			u.ID = string(v.ByteArray())
		case "text":
			u.Text = string(v.ByteArray())
		case "speaker":
			u.Speaker = string(v.ByteArray())
		case "language":
			u.Language = string(v.ByteArray())
		case "samples":
			u.Samples = v.Int64()
		case "sample_rate":
			u.SampleRate = int(v.Int32())
		}
	}
	if inRow != 0 && inRow != width {
		return nil, fmt.Errorf("a step of %d ids, not %d", inRow, width)
	}
	return u, nil
}

func (r *parquetReader) Close() error {
	if r.rows != nil {
		r.rows.Close()
	}
	return r.file.Close()
}
