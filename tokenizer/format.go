package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is a way to store utterances.
type Format string

const (
	NPY     Format = "npy"     // a NumPy file an utterance, and one of JSON lines with the rest
	NPZ     Format = "npz"     // a NumPy archive an utterance, transcripts and all
	Parquet Format = "parquet" // tables
	JSONL   Format = "jsonl"   // a JSON object a line
	WDS     Format = "wds"     // WebDataset: tar files with ID.npy and ID.json
	Text    Format = "text"    // a line an utterance: its id and <|a_123|> tokens
	Kaldi   Format = "kaldi"   // an archive of NumPy arrays with its scp index, text and utt2spk
)

// Formats lists all of them.
var Formats = []Format{NPY, NPZ, Parquet, JSONL, WDS, Text, Kaldi}

// extensions of the files that hold the codes.
var extensions = map[Format]string{
	NPY: ".npy", NPZ: ".npz", Parquet: ".parquet", JSONL: ".jsonl", WDS: ".tar", Text: ".txt", Kaldi: ".ark",
}

// FormatOf tells a format by the name of a file, "" where it does not.
func FormatOf(name string) Format {
	for _, f := range Formats {
		if strings.HasSuffix(strings.ToLower(name), extensions[f]) {
			return f
		}
	}
	return ""
}

// Writer writes utterances in a format. It is not safe for concurrent use.
type Writer interface {
	Write(u *Utterance) error
	// Close completes what was written.
	Close() error
}

// Create makes an output file; name is relative and may name folders.
type Create func(name string) (io.WriteCloser, error)

// NewWriter writes utterances to the files that create makes: name with an
// extension, and where the format keeps each utterance in a file, one named after
// its id.
func NewWriter(f Format, v *Vocabulary, name string, create Create) (Writer, error) {
	if f == Text && !v.Layout.single() {
		return nil, fmt.Errorf("format %s needs a layout of one stream: %s, %s or %s", f, Flat, Coarse, Units)
	}
	switch f {
	case NPY:
		return newNPYWriter(v, name, create)
	case NPZ:
		return &npzWriter{v, create}, nil
	case Kaldi:
		return newKaldiWriter(v, name, create)
	}
	if !slices.Contains(Formats, f) {
		return nil, fmt.Errorf("format %q is not known: it is one of %v", f, Formats)
	}
	file, err := create(name + extensions[f])
	if err != nil {
		return nil, err
	}
	return NewStreamWriter(f, v, file), nil
}

// NewStreamWriter writes one file of any format but Kaldi; one of NPY or NPZ holds
// one utterance. Close closes file.
func NewStreamWriter(f Format, v *Vocabulary, file io.WriteCloser) Writer {
	switch f {
	case NPY, NPZ:
		return &oneWriter{f: f, v: v, file: file}
	case JSONL:
		return newJSONLWriter(v, file)
	case WDS:
		return newWDSWriter(v, file)
	case Parquet:
		return newParquetWriter(v, file)
	case Text:
		return newTextWriter(v, file)
	}
	panic("tokenizer: format " + string(f) + " is not one file")
}

// Reader gives the utterances of a file. Next ends with io.EOF; the utterance
// is the caller's.
type Reader interface {
	Next() (*Utterance, error)
	Close() error
}

// errDamaged describes input that no writer of this package made.
var errDamaged = errors.New("the file is damaged")

// oneWriter writes a file of one utterance.
type oneWriter struct {
	f    Format
	v    *Vocabulary
	file io.WriteCloser
	done bool
}

func (w *oneWriter) Write(u *Utterance) error {
	if w.done {
		return fmt.Errorf("a file of format %s holds one utterance: name a folder, or another format", w.f)
	}
	w.done = true
	if w.f == NPZ {
		return writeNPZ(w.file, w.v, u)
	}
	_, err := w.file.Write(appendNPY(nil, w.v, u.Sequence))
	return err
}

func (w *oneWriter) Close() error { return w.file.Close() }
