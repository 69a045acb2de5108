package tokenizer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/codec"
)

// Rates describes a codec whose codebooks have different rates, such as SNAC
// (arXiv 2410.14411): Rates[k] codes of codebook k in the time of one frame,
// which is that of the slowest. SNAC at 24 kHz has 1, 2, 4. A frame has the codes
// of codebook 0, then those of codebook 1, and so on.
type Rates []int

// Codebooks gives the codebook of each code of a frame: 0 1 1 2 2 2 2 for rates 1,
// 2, 4.
func (r Rates) Codebooks() []int {
	var columns []int
	for k, n := range r {
		for range n {
			columns = append(columns, k)
		}
	}
	return columns
}

// Order gives the codes of a frame in the order in which their time begins, coarse
// before fine where it begins together: 0 1 3 4 2 5 6 for rates 1, 2, 4, which are
// codebooks 0 1 2 2 1 2 2. Language models on SNAC were trained with it.
func (r Rates) Order() []int {
	type place struct{ column, codebook, of, index int }
	var all []place
	for k, n := range r {
		for j := range n {
			all = append(all, place{len(all), k, n, j})
		}
	}
	slices.SortStableFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.index*b.of, b.index*a.of), cmp.Compare(a.codebook, b.codebook))
	})
	order := make([]int, len(all))
	for i, p := range all {
		order[i] = p.column
	}
	return order
}

// ratesOf gives the rates of a model whose bitrate steps add different numbers of
// codes to a frame; nil where they add the same.
func ratesOf(model codec.Info, codebooks int) Rates {
	var r Rates
	before := 0
	for _, step := range model.Levels {
		if step > codebooks {
			break
		}
		r = append(r, step-before)
		before = step
	}
	if before != codebooks || slices.Max(r) == slices.Min(r) {
		return nil
	}
	return r
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
	t := &codec.Tokens{Frames: frames, Codebooks: len(r.Codebooks())}
	for f := range frames {
		for k, c := range codes {
			t.Codes = append(t.Codes, c[f*r[k]:(f+1)*r[k]]...)
		}
	}
	return t, nil
}

// Split is the inverse of Join.
func (r Rates) Split(t *codec.Tokens) ([][]int32, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	columns := r.Codebooks()
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
