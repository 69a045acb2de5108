package train

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// EncodeRows gives the codes of recordings, [T][Codebooks] each, on two threads.
// done is told how many are through.
func EncodeRows(ctx context.Context, model codec.Codec, rows []Row, done func(n int)) ([][]int32, error) {
	codes := make([][]int32, len(rows))
	errs := make([]error, len(rows))
	var mu sync.Mutex
	n := 0
	each(rows, func(i int, r Row) {
		if ctx.Err() != nil {
			return
		}
		pcm, err := audio.ReadMono(r.Path, model.Info().SampleRate)
		if err != nil {
			errs[i] = err
			return
		}
		t, err := model.Encode(ctx, pcm, 0)
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", r.Path, err)
			return
		}
		codes[i] = t.Codes
		mu.Lock()
		defer mu.Unlock()
		n++
		done(n)
	})
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return codes, nil
}

// tokenCache is the first line of a file of codes; they follow as 16-bit values.
type tokenCache struct {
	Fingerprint string   `json:"fingerprint"`
	Codebooks   int      `json:"codebooks"`
	Paths       []string `json:"paths"`
	Codes       []int    `json:"codes"` // how many of each
}

// WriteTokens keeps the codes of recordings in a file.
func WriteTokens(path string, model codec.Info, rows []Row, codes [][]int32) error {
	head := tokenCache{Fingerprint: model.Fingerprint.String(), Codebooks: model.Codebooks()}
	var data []byte
	for i, c := range codes {
		head.Paths = append(head.Paths, rows[i].Path)
		head.Codes = append(head.Codes, len(c))
		for _, v := range c {
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
		}
	}
	line, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return WriteFile(path, append(append(line, '\n'), data...))
}

// ReadTokens reads what WriteTokens wrote: the same rows, of the same model.
func ReadTokens(path string, model codec.Info, rows []Row) ([][]int32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	var head tokenCache
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	same := head.Fingerprint == model.Fingerprint.String() && len(head.Paths) == len(rows) && len(head.Codes) == len(rows)
	for i := 0; same && i < len(rows); i++ {
		same = head.Paths[i] == rows[i].Path
	}
	if !same {
		return nil, fmt.Errorf("train: %s holds the codes of other recordings or of another model: remove it", path)
	}
	codes := make([][]int32, len(rows))
	for i, n := range head.Codes {
		raw := make([]byte, 2*n)
		if _, err := io.ReadFull(r, raw); err != nil {
			return nil, fmt.Errorf("train: %s: %w", path, err)
		}
		codes[i] = make([]int32, n)
		for k := range codes[i] {
			codes[i][k] = int32(binary.LittleEndian.Uint16(raw[2*k:]))
		}
	}
	return codes, nil
}
