package tokenizer

import (
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/codec"
)

// Layout is an order in which codes become a sequence.
type Layout string

const (
	// Parallel has one step a frame and a column a codebook: [T][Q].
	Parallel Layout = "parallel"
	// Flat has the codes of frame 0, then those of frame 1, each codebook with
	// its own range of ids: [T·Q]. Where codebooks have different rates, the codes
	// of a frame stand in the order of their time (Rates.Order).
	Flat Layout = "flat"
	// Delay is Parallel with the columns of residual level l moved l steps later,
	// and padding in the corners: [T+L-1][Q] (MusicGen, arXiv 2306.05284, section
	// 2.1).
	Delay Layout = "delay"
	// Coarse has the first residual level of all frames, then the second, and so
	// on, within a level frame by frame: [T·Q] (AudioLM, arXiv 2209.03143, section
	// III-B).
	Coarse Layout = "coarse"
	// Units has one codebook's codes without repetitions: [U]. How long each
	// lasted is lost, so that Restore gives each once.
	Units Layout = "units"
	// Runs has one codebook's codes without repetitions, and the number of frames
	// of each: [U][2].
	Runs Layout = "runs"
)

// Layouts lists all of them.
var Layouts = []Layout{Parallel, Flat, Delay, Coarse, Units, Runs}

// single reports whether a layout is one stream of ids, which has its own range
// for every codebook.
func (l Layout) single() bool { return l == Flat || l == Coarse || l == Units }

// Sequence is what a language model reads: Steps rows of Width ids, step-major.
type Sequence struct {
	IDs   []int32
	Width int
}

// Steps is the number of rows.
func (s Sequence) Steps() int { return len(s.IDs) / max(s.Width, 1) }

// Row is one step.
func (s Sequence) Row(i int) []int32 { return s.IDs[i*s.Width : (i+1)*s.Width] }

// Arrange lays the frames of one utterance out.
func (v *Vocabulary) Arrange(t *codec.Tokens) (Sequence, error) {
	if err := t.Validate(); err != nil {
		return Sequence{}, err
	}
	q := len(v.Sizes)
	if t.Codebooks != q {
		return Sequence{}, fmt.Errorf("tokenizer: frames of %d codes, the vocabulary has %d codebooks", t.Codebooks, q)
	}
	for i, code := range t.Codes {
		if code < 0 || int(code) >= v.Sizes[i%q] {
			return Sequence{}, fmt.Errorf("tokenizer: frame %d codebook %d: code %d is outside of 0 to %d", i/q, i%q, code, v.Sizes[i%q]-1)
		}
	}
	s := Sequence{Width: v.Width()}
	switch v.Layout {
	case Parallel:
		s.IDs = slices.Clone(t.Codes)
	case Delay:
		if t.Frames == 0 {
			break
		}
		steps := t.Frames + slices.Max(v.Levels)
		s.IDs = make([]int32, steps*q)
		for c := range q {
			for i := range steps {
				s.IDs[i*q+c] = v.column(c, Pad)
			}
			for f := range t.Frames {
				s.IDs[(f+v.Levels[c])*q+c] = t.Codes[f*q+c]
			}
		}
	case Flat, Coarse:
		s.IDs = make([]int32, 0, len(t.Codes))
		for f, c := range v.order(t.Frames) {
			s.IDs = append(s.IDs, v.Offsets[c]+t.Codes[f*q+c])
		}
	case Units, Runs:
		for i, code := range t.Codes {
			switch {
			case i == 0 || code != t.Codes[i-1]:
				s.IDs = append(s.IDs, v.Offsets[0]+code)
				if v.Layout == Runs {
					s.IDs = append(s.IDs, 1)
				}
			case v.Layout == Runs:
				s.IDs[len(s.IDs)-1]++
			}
		}
	}
	if v.Ends {
		s.IDs = slices.Concat(v.row(Begin), s.IDs, v.row(End))
	}
	return s, nil
}

// Restore is the inverse of Arrange: frames of codes [T][Q]. A sequence that no
// frames give is an error that names the place.
func (v *Vocabulary) Restore(s Sequence) (*codec.Tokens, error) {
	w, q := v.Width(), len(v.Sizes)
	if s.Width != w || len(s.IDs)%w != 0 {
		return nil, fmt.Errorf("tokenizer: %d ids in rows of %d: layout %s has rows of %d", len(s.IDs), s.Width, v.Layout, w)
	}
	ids, first := s.IDs, 0
	if v.Ends {
		n := len(ids)
		if n < 2*w || !slices.Equal(ids[:w], v.row(Begin)) || !slices.Equal(ids[n-w:], v.row(End)) {
			return nil, fmt.Errorf("tokenizer: the sequence is not between %s and %s", Begin, End)
		}
		ids, first = ids[w:n-w], 1
	}
	t := &codec.Tokens{Codebooks: q}
	code := func(c int, id, offset int32, at int) (int32, error) {
		if x := int64(id) - int64(offset); x >= 0 && x < int64(v.Sizes[c]) {
			return int32(x), nil
		}
		return 0, fmt.Errorf("tokenizer: step %d: id %d is no code of codebook %d", first+at/w, id, c)
	}
	var err error
	switch v.Layout {
	case Parallel:
		t.Codes = slices.Clone(ids)
		for i, id := range ids {
			if _, err := code(i%q, id, 0, i); err != nil {
				return nil, err
			}
		}
	case Flat, Coarse:
		if len(ids)%q != 0 {
			return nil, fmt.Errorf("tokenizer: %d ids are no whole frames of %d codes", len(ids), q)
		}
		t.Codes = make([]int32, len(ids))
		i := 0
		for f, c := range v.order(len(ids) / q) {
			if t.Codes[f*q+c], err = code(c, ids[i], v.Offsets[c], i); err != nil {
				return nil, err
			}
			i++
		}
	case Delay:
		if len(ids) == 0 {
			break
		}
		steps := len(ids) / q
		frames := steps - slices.Max(v.Levels)
		if frames < 1 {
			return nil, fmt.Errorf("tokenizer: %d steps are too few for the delays", steps)
		}
		t.Codes = make([]int32, frames*q)
		for i, id := range ids {
			c := i % q
			f := i/q - v.Levels[c]
			if f < 0 || f >= frames {
				if id != v.column(c, Pad) {
					return nil, fmt.Errorf("tokenizer: step %d: id %d of codebook %d stands where padding belongs", first+i/q, id, c)
				}
				continue
			}
			if t.Codes[f*q+c], err = code(c, id, 0, i); err != nil {
				return nil, err
			}
		}
	case Units, Runs:
		for i := 0; i < len(ids); i += w {
			x, err := code(0, ids[i], v.Offsets[0], i)
			if err != nil {
				return nil, err
			}
			n := int32(1)
			if v.Layout == Runs {
				n = ids[i+1]
			}
			if n < 1 || n > maxRun-int32(min(len(t.Codes), maxRun)) {
				return nil, fmt.Errorf("tokenizer: step %d: a run of %d frames", first+i/w, n)
			}
			if i > 0 && ids[i] == ids[i-w] {
				return nil, fmt.Errorf("tokenizer: step %d repeats the unit before it", first+i/w)
			}
			t.Codes = slices.Grow(t.Codes, int(n))
			for range n {
				t.Codes = append(t.Codes, x)
			}
		}
	}
	t.Frames = len(t.Codes) / q
	return t, nil
}

// maxRun bounds the frames of an utterance in runs: 93 hours at 50 frames a
// second.
const maxRun = 1 << 24

// order gives frame and codebook of each id in a layout of one stream.
func (v *Vocabulary) order(frames int) func(yield func(f, c int) bool) {
	passes := [][]int{v.Order} // over the frames
	if v.Layout == Coarse {
		passes = make([][]int, slices.Max(v.Levels)+1)
		for _, c := range v.Order {
			passes[v.Levels[c]] = append(passes[v.Levels[c]], c)
		}
	}
	return func(yield func(f, c int) bool) {
		for _, pass := range passes {
			for f := range frames {
				for _, c := range pass {
					if !yield(f, c) {
						return
					}
				}
			}
		}
	}
}
