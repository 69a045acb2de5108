package tokenizer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/codec"
)

// Rates describes a codec whose codebooks have different rates, such as SNAC
// (arXiv 2410.14411): Rates[k] codes of codebook k in the time of one frame,
// which is that of the slowest. SNAC at 24 kHz has 1, 2, 4.
type Rates []int

// Columns gives the codebook of each code of a frame. They stand in the order in
// which their time begins, and coarse before fine where it begins together: 0 1 2
// 2 1 2 2 for rates 1, 2, 4, which is the order that language models on SNAC
// were trained with.
func (r Rates) Columns() []int {
	type place struct{ codebook, of, index int }
	var all []place
	for k, n := range r {
		for j := range n {
			all = append(all, place{k, n, j})
		}
	}
	slices.SortStableFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.index*b.of, b.index*a.of), cmp.Compare(a.codebook, b.codebook))
	})
	columns := make([]int, len(all))
	for i, p := range all {
		columns[i] = p.codebook
	}
	return columns
}

// Join makes frames of the codes of each codebook, Rates[k]·T of codebook k.
func (r Rates) Join(codes [][]int32) (*codec.Tokens, error) {
	if len(codes) != len(r) || len(r) == 0 {
		return nil, fmt.Errorf("tokenizer: %d codebooks for rates %v", len(codes), r)
	}
	frames := 0
	for k, c := range codes {
		if r[k] < 1 {
			return nil, fmt.Errorf("tokenizer: rates %v must be above 0", r)
		}
		if k == 0 {
			frames = len(c) / r[0]
		}
		if len(c) != frames*r[k] {
			return nil, fmt.Errorf("tokenizer: codebook %d has %d codes, %d frames of rates %v have %d", k, len(c), frames, r, frames*r[k])
		}
	}
	columns := r.Columns()
	t := &codec.Tokens{Frames: frames, Codebooks: len(columns), Codes: make([]int32, 0, frames*len(columns))}
	next := make([]int, len(r))
	for range frames {
		for _, k := range columns {
			t.Codes = append(t.Codes, codes[k][next[k]])
			next[k]++
		}
	}
	return t, nil
}

// Split is the inverse of Join.
func (r Rates) Split(t *codec.Tokens) ([][]int32, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	columns := r.Columns()
	if len(columns) != t.Codebooks {
		return nil, fmt.Errorf("tokenizer: rates %v make frames of %d codes, not of %d", r, len(columns), t.Codebooks)
	}
	codes := make([][]int32, len(r))
	for i, code := range t.Codes {
		k := columns[i%len(columns)]
		codes[k] = append(codes[k], code)
	}
	return codes, nil
}
