package tokenizer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// VocabularyFile is the name under which a data set keeps its vocabulary.
const VocabularyFile = "vocabulary.json"

// FindVocabulary reads the vocabulary of a data set's folder, or of the folder that
// a file of it lies in, however deep; nil where there is none.
func FindVocabulary(path string) (*Vocabulary, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		dir = filepath.Dir(dir)
	}
	for beside := true; ; beside = false {
		_, err := os.Stat(filepath.Join(dir, stateFolder, settingsFile))
		if beside || err == nil {
			name := filepath.Join(dir, VocabularyFile)
			f, err := os.Open(name)
			if err == nil {
				defer f.Close()
				v, err := ReadVocabulary(f)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				return v, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return nil, nil
		}
		dir = filepath.Dir(dir)
	}
}

// Open reads the utterances of a file of any format, or all of a data set's
// folder. What a file is, its name tells.
func Open(path string, v *Vocabulary) (Reader, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return openFolder(path, v)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	named := func(r Reader) (Reader, error) { return &namedReader{r, path}, nil }
	id := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	switch FormatOf(path) {
	case NPY:
		defer f.Close()
		u := &Utterance{ID: id, Samples: -1}
		if u.Sequence, err = readNPY(bufio.NewReader(f)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &oneReader{u}, nil
	case NPZ:
		defer f.Close()
		u, err := readNPZ(f, st.Size())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if u.ID == "" {
			u.ID = id
		}
		return &oneReader{u}, nil
	case JSONL:
		if strings.HasSuffix(path, metaSuffix) {
			return named(newMetaReader(path, f))
		}
		return named(newJSONLReader(v, f))
	case Text:
		return named(newTextReader(v, f))
	case WDS:
		return named(newWDSReader(f))
	case Parquet:
		r, err := newParquetReader(v, f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return named(r)
	case Kaldi:
		f.Close()
		return Open(strings.TrimSuffix(path, extensions[Kaldi])+".scp", v)
	}
	if strings.HasSuffix(path, ".scp") {
		return named(newKaldiReader(path, f))
	}
	f.Close()
	return nil, fmt.Errorf("%s: is no token file: its name ends in one of .npy .npz .parquet .jsonl .tar .txt .scp", path)
}

// openFolder reads the files of a data set one after the other.
func openFolder(dir string, v *Vocabulary) (Reader, error) {
	var files []string
	metas := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != dir && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		f := FormatOf(path)
		if strings.HasSuffix(path, metaSuffix) {
			metas++
		}
		if f != "" && d.Name() != VocabularyFile {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if metas > 0 { // which name the arrays
		files = slices.DeleteFunc(files, func(p string) bool { return FormatOf(p) == NPY })
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: holds no token files", dir)
	}
	return &folderReader{files: files, v: v}, nil
}

type folderReader struct {
	files []string
	v     *Vocabulary
	r     Reader
}

func (r *folderReader) Next() (*Utterance, error) {
	for {
		if r.r == nil {
			if len(r.files) == 0 {
				return nil, io.EOF
			}
			var err error
			if r.r, err = Open(r.files[0], r.v); err != nil {
				return nil, err
			}
			r.files = r.files[1:]
		}
		u, err := r.r.Next()
		if err != io.EOF {
			return u, err
		}
		r.r.Close()
		r.r = nil
	}
}

func (r *folderReader) Close() error {
	if r.r != nil {
		return r.r.Close()
	}
	return nil
}

// namedReader puts the name of the file before its errors.
type namedReader struct {
	Reader
	name string
}

func (r *namedReader) Next() (*Utterance, error) {
	u, err := r.Reader.Next()
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", r.name, err)
	}
	return u, err
}

// oneReader gives one utterance.
type oneReader struct{ u *Utterance }

func (r *oneReader) Next() (*Utterance, error) {
	u := r.u
	if r.u = nil; u == nil {
		return nil, io.EOF
	}
	return u, nil
}

func (r *oneReader) Close() error { return nil }

// metaSuffix ends the name of the JSON lines that describe NumPy files.
const metaSuffix = ".meta.jsonl"

// metaReader reads the NumPy files that JSON lines name.
type metaReader struct {
	dir  string
	file io.Closer
	d    *json.Decoder
}

func newMetaReader(path string, f io.ReadCloser) Reader {
	return &metaReader{filepath.Dir(path), f, json.NewDecoder(bufio.NewReader(f))}
}

func (r *metaReader) Next() (*Utterance, error) {
	var x row
	if err := r.d.Decode(&x); err != nil {
		return nil, err
	}
	u := x.utterance()
	if !filepath.IsLocal(x.File) {
		return nil, fmt.Errorf("%s: is not in the data set", x.File)
	}
	f, err := os.Open(filepath.Join(r.dir, x.File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if u.Sequence, err = readNPY(bufio.NewReader(f)); err != nil {
		return nil, fmt.Errorf("%s: %w", x.File, err)
	}
	return u, nil
}

func (r *metaReader) Close() error { return r.file.Close() }
