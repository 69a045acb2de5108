package sotto

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/sotto-audio/sotto/internal/ngram"
)

// releasedLM is the language model that ships, half as large under gzip, of 60,000 words:
// weights/README.md says of what text it was made.
//
//go:embed weights/sotto-lm-en-v2.lm.gz
var releasedLM []byte

var shipped = sync.OnceValues(func() (*ngram.Model, error) {
	r, err := gzip.NewReader(bytes.NewReader(releasedLM))
	if err != nil {
		return nil, err
	}
	// The last bytes of a gzip file are its content's size.
	b := make([]byte, binary.LittleEndian.Uint32(releasedLM[len(releasedLM)-4:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return ngram.Parse(b)
})

// languages keeps the language model that was used last.
type languages struct {
	sync.Mutex
	path  string
	model *ngram.Model
}

// language gives the language model that an option names: "" is the one that
// ships, "none" gives nil.
func (m *Model) language(path string) (*ngram.Model, error) {
	switch {
	case path == "none":
		return nil, nil
	case path == "":
		lm, err := shipped()
		if err != nil {
			return nil, fmt.Errorf("sotto: the language model that ships: %w", err)
		}
		return lm, nil
	}
	l := &m.languages
	l.Lock()
	defer l.Unlock()
	if l.model == nil || l.path != path {
		lm, err := ngram.Load(path)
		if err != nil {
			return nil, fmt.Errorf("sotto: language model: %w", err)
		}
		l.path, l.model = path, lm
	}
	return l.model, nil
}
