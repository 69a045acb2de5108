package tokenizer

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// walkTar gives the audio files of a tar file, with the transcript and speaker
// that .json and .txt files of the same key, before or behind them, hold. Sound
// is not read here: items name its place.
func walkTar(name string, yield func(Item) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	t := tar.NewReader(f)
	var current *Item
	var meta entry
	emit := func() error {
		if current == nil || current.Path == "" {
			return nil
		}
		i := *current
		current = nil
		i.Text = cmp.Or(meta.Text, i.Text)
		i.Speaker = string(cmp.Or(meta.Speaker, meta.SpeakerID))
		i.Language = cmp.Or(meta.Language, meta.Lang)
		return yield(i)
	}
	stem := ""
	for {
		h, err := t.Next()
		if err == io.EOF {
			return emit()
		}
		if err != nil {
			if e := emit(); e != nil {
				return e
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the tar file is cut off")
			}
			return yield(Item{ID: idOf(path.Base(name)) + ".tar", Path: name, Channel: -1, Broken: err.Error() + ": what is behind that place is lost"})
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		dir, base := path.Split(h.Name)
		k, ext, _ := strings.Cut(base, ".")
		if k = dir + k; current == nil || k != stem {
			if err := emit(); err != nil {
				return err
			}
			current, meta, stem = &Item{ID: k, Channel: -1}, entry{}, k
		}
		switch ext = "." + strings.ToLower(ext); {
		case slices.Contains(audioExtensions, ext):
			if current.Path != "" { // a second sound of the same key
				if err := emit(); err != nil {
					return err
				}
				current = &Item{ID: k + ext, Channel: -1}
			}
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			current.Path, current.Offset, current.Size, current.Seconds = name, at, h.Size, guess(h.Size)
			if h.Size == 0 {
				current.Broken = "is empty: it holds no audio"
			}
		case ext == ".json", ext == ".txt":
			var b bytes.Buffer
			if _, err := io.Copy(&b, io.LimitReader(t, maxLine)); err != nil {
				continue // Next says what is wrong
			}
			if ext == ".txt" {
				current.Text = strings.TrimSpace(b.String())
			} else if err := json.Unmarshal(b.Bytes(), &meta); err != nil {
				meta = entry{}
			}
		}
	}
}
