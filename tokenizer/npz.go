package tokenizer

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/sotto-audio/sotto/internal/npy"
)

// npzWriter writes an archive an utterance: codes, samples, sample_rate, id, text,
// speaker and language.
type npzWriter struct {
	v      *Vocabulary
	create Create
}

func (w *npzWriter) Write(u *Utterance) error {
	var b bytes.Buffer
	if err := writeNPZ(&b, w.v, u); err != nil {
		return err
	}
	return writeFile(w.create, key(u.ID, true)+extensions[NPZ], b.Bytes())
}

func (w *npzWriter) Close() error { return nil }

func writeNPZ(w io.Writer, v *Vocabulary, u *Utterance) error {
	z := zip.NewWriter(w)
	add := func(name string, data []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
	number := func(x int64) []byte {
		return binary.LittleEndian.AppendUint64(npy.AppendHeader(nil, "<i8"), uint64(x))
	}
	return errors.Join(
		add("codes", appendNPY(nil, v, u.Sequence)),
		add("samples", number(u.Samples)),
		add("sample_rate", number(int64(u.SampleRate))),
		add("id", npyString(u.ID)),
		add("text", npyString(u.Text)),
		add("speaker", npyString(u.Speaker)),
		add("language", npyString(u.Language)),
		z.Close(),
	)
}

// npyString is a string as a NumPy array without dimensions, in UTF-32. NumPy
// has no strings of length 0.
func npyString(s string) []byte {
	n := utf8.RuneCountInString(s)
	b := npy.AppendHeader(nil, fmt.Sprintf("<U%d", max(n, 1)))
	for _, r := range s {
		b = binary.LittleEndian.AppendUint32(b, uint32(r))
	}
	if n == 0 {
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

// readNPZ reads an archive: codes, or its first array where none is called so.
func readNPZ(r io.ReaderAt, size int64) (*Utterance, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not a NumPy archive: %w", err)
	}
	u := &Utterance{Samples: -1}
	found := false
	for _, f := range z.File {
		if err := u.readEntry(f, &found); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if !found {
		return nil, errors.New("the NumPy archive holds no codes.npy")
	}
	return u, nil
}

func (u *Utterance) readEntry(f *zip.File, found *bool) (err error) {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	switch f.Name {
	case "codes.npy":
		u.Sequence, err = readNPY(r)
		*found = true
	case "samples.npy":
		u.Samples, err = readNPYNumber(r)
	case "sample_rate.npy":
		var n int64
		n, err = readNPYNumber(r)
		u.SampleRate = int(n)
	case "id.npy":
		u.ID, err = readNPYString(r)
	case "text.npy":
		u.Text, err = readNPYString(r)
	case "speaker.npy":
		u.Speaker, err = readNPYString(r)
	case "language.npy":
		u.Language, err = readNPYString(r)
	}
	return err
}

func readNPYNumber(r io.Reader) (int64, error) {
	shape, descr, err := npy.ReadHeader(r)
	var b [8]byte
	if err == nil {
		_, err = io.ReadFull(r, b[:])
	}
	if err != nil || len(shape) != 0 || descr != "<i8" {
		return 0, errDamaged
	}
	return int64(binary.LittleEndian.Uint64(b[:])), nil
}

func readNPYString(r io.Reader) (string, error) {
	_, descr, err := npy.ReadHeader(r)
	if err != nil || len(descr) < 2 || descr[:2] != "<U" {
		return "", errDamaged
	}
	b, err := io.ReadAll(io.LimitReader(r, 4*maxText))
	if err != nil {
		return "", err
	}
	var s []rune
	for ; len(b) >= 4; b = b[4:] {
		s = append(s, rune(binary.LittleEndian.Uint32(b)))
	}
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	return string(s), nil
}

// maxText bounds a transcript, in characters.
const maxText = 1 << 20
