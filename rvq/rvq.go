// Package rvq holds vector quantizers: they turn latent vectors into codes of
// trained codebooks and back.
//
// One type covers the family. With one group and one level it is plain vector
// quantization (VQ); with several levels each quantizes the residual of those
// before it (RVQ; Zeghidour et al. 2021, SoundStream); with several groups the
// vector is split first and each part has its own residual levels (GRVQ; Yang et
// al. 2023, HiFi-Codec).
package rvq

import (
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// Config is the shape of a quantizer.
type Config struct {
	Dim    int `json:"dim"`    // values of a latent vector
	Groups int `json:"groups"` // parts it is split into; divides Dim
	Levels int `json:"levels"` // residual levels of each group
	Size   int `json:"size"`   // entries of each codebook, of the largest where they differ
}

// Codebooks is Groups · Levels.
func (c Config) Codebooks() int { return c.Groups * c.Levels }

// Validate reports whether the shape makes sense.
func (c Config) Validate() error {
	if c.Dim < 1 || c.Groups < 1 || c.Levels < 1 || c.Size < 1 || c.Dim%c.Groups != 0 {
		return fmt.Errorf("rvq: dim %d, groups %d, levels %d, size %d: all must be positive and groups must divide dim", c.Dim, c.Groups, c.Levels, c.Size)
	}
	return nil
}

// GRVQ is a group-residual vector quantizer. Codebooks are in HiFi-Codec's
// order: level 0 group 0, level 0 group 1, …, level 1 group 0, …; so that the
// first n·Groups codes of a frame are its first n levels.
type GRVQ struct {
	Config
	books []book
	games []Game // of each codebook, nil for the nearest entry
}

// book is one codebook: entries [size, Dim/Groups] and what the search needs.
type book struct {
	entries []float32
	half    []float32 // |e|²/2
}

// New makes a quantizer from entries laid out [Codebooks][Size][Dim/Groups]. It
// keeps its own copy.
func New(c Config, entries []float32) (*GRVQ, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := c.Size * c.Dim / c.Groups
	if len(entries) != c.Codebooks()*n {
		return nil, fmt.Errorf("rvq: %d values given, %d codebooks of %d need %d", len(entries), c.Codebooks(), n, c.Codebooks()*n)
	}
	var books [][]float32
	for i := range c.Codebooks() {
		books = append(books, entries[i*n:(i+1)*n])
	}
	return NewSized(c, books)
}

// NewSized makes a quantizer whose codebooks, [size, Dim/Groups] each, have sizes of
// their own, of at most Config.Size. It keeps its own copy.
func NewSized(c Config, books [][]float32) (*GRVQ, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(books) != c.Codebooks() {
		return nil, fmt.Errorf("rvq: %d codebooks given, the shape has %d", len(books), c.Codebooks())
	}
	dim := c.Dim / c.Groups
	q := &GRVQ{Config: c, books: make([]book, len(books))}
	for i, entries := range books {
		size := len(entries) / dim
		if size < 1 || size > c.Size || len(entries)%dim != 0 {
			return nil, fmt.Errorf("rvq: codebook %d has %d values, not 1 to %d entries of %d", i, len(entries), c.Size, dim)
		}
		q.books[i] = book{entries: append([]float32(nil), entries...), half: make([]float32, size)}
		q.books[i].measure()
	}
	return q, nil
}

// Sizes are the entries of each codebook.
func (q *GRVQ) Sizes() []int {
	var sizes []int
	for i := range q.books {
		sizes = append(sizes, len(q.books[i].half))
	}
	return sizes
}

// Codebook gives a copy of the entries of codebook i, [size, Dim/Groups].
func (q *GRVQ) Codebook(i int) []float32 { return append([]float32(nil), q.books[i].entries...) }

// Entries gives a copy of all codebooks, one after the other: as New takes them
// where they have one size.
func (q *GRVQ) Entries() []float32 {
	var all []float32
	for i := range q.books {
		all = append(all, q.books[i].entries...)
	}
	return all
}

// measure brings half up to date: float32 sums in the order of the values.
func (b *book) measure() {
	dim := len(b.entries) / len(b.half)
	for i := range b.half {
		var s float32
		for _, v := range b.entries[i*dim : (i+1)*dim] {
			s += float32(v * v)
		}
		b.half[i] = 0.5 * s
	}
}

// Quantizer is a GRVQ on a device, with scratch memory of its own: one for each
// stream. It is not safe for concurrent use.
type Quantizer struct {
	*GRVQ
	device   backend.Backend
	packed   []*backend.Weights
	players  []Player // of codebooks that have a game
	residual []float32
	column   []int32
	chosen   []float32 // an entry of each frame

	rows, row backend.Tensor // views of residuals
}

// On packs the codebooks for a device; nil is the processor. Quantizers made
// from the result by Fork share the packing.
func (q *GRVQ) On(device Device) *Quantizer {
	d := &Quantizer{GRVQ: q, device: cpu.Of(device)}
	for i := range q.books {
		d.packed = append(d.packed, d.device.PackT(q.books[i].entries, len(q.books[i].half), q.Dim/q.Groups))
	}
	d.players = make([]Player, len(q.books))
	for i, g := range q.games {
		if g != nil {
			d.players[i] = g.On(d.device)
		}
	}
	return d
}

// Fork gives a quantizer for another stream.
func (q *Quantizer) Fork() *Quantizer {
	f := &Quantizer{GRVQ: q.GRVQ, device: q.device, packed: q.packed, players: make([]Player, len(q.players))}
	for i, p := range q.players {
		if p != nil {
			f.players[i] = p.Fork()
		}
	}
	return f
}

// Encode sets codes [T][levels·Groups] from latents z [T, Dim]: at each level
// the entry nearest to what the levels before left over (the lowest index on a
// tie), or that of the codebook's game. Levels are 1 to Config.Levels; codes that do not fit z are a programming
// error and panic.
func (q *Quantizer) Encode(codes []int32, z []float32, levels int) {
	steps := len(z) / q.Dim
	width := levels * q.Groups
	q.residual = append(q.residual[:0], z...)
	q.grow(steps)
	column := q.column
	if d, parts := q.sharer(steps); parts > 0 && !slices.ContainsFunc(q.players[:width], func(p Player) bool { return p != nil }) {
		d.Share(steps, parts, func(d backend.Backend, lo, hi int) { q.encodeRows(d, codes, width, lo, hi) })
		return
	}
	for i := range width {
		q.nearest(i, column, q.residual)
		for t, c := range column {
			codes[t*width+i] = c
			q.subtract(i, c, q.residual[t*q.Dim:])
		}
	}
}

// Decode is GRVQ.Decode, shared out where the frames are many.
func (q *Quantizer) Decode(z []float32, codes []int32, levels int) error {
	frames, width := len(z)/q.Dim, levels*q.Groups
	d, parts := q.sharer(frames)
	if parts == 0 || q.check(len(z), codes, levels) != nil {
		return q.GRVQ.Decode(z, codes, levels)
	}
	q.grow(frames)
	clear(z)
	d.Share(frames, parts, func(d backend.Backend, lo, hi int) {
		for i := range width {
			for t := lo; t < hi; t++ {
				q.column[t] = codes[t*width+i]
			}
			sum := q.part(z, i, lo, hi)
			d.Add(sum, sum, q.pick(d, i, lo, hi))
		}
	})
	return nil
}

const (
	manyFrames = 32  // from which frames are shared out
	partFrames = 128 // of a part: its residuals stay in the second-level cache
)

// sharer gives the device and into how many parts it cuts the frames, 0 where they
// are better taken together.
func (q *Quantizer) sharer(frames int) (d backend.Sharer, parts int) {
	d, ok := q.device.(backend.Sharer)
	if !ok || frames < manyFrames {
		return nil, 0
	}
	return d, d.Parts(frames, partFrames)
}

// grow makes room for the columns of so many frames.
func (q *Quantizer) grow(frames int) {
	q.column = slices.Grow(q.column[:0], frames)[:frames]
	q.chosen = slices.Grow(q.chosen[:0], frames*q.Dim/q.Groups)[:frames*q.Dim/q.Groups]
}

// encodeRows is Encode for the frames lo to hi of the residual.
func (q *Quantizer) encodeRows(d backend.Backend, codes []int32, width, lo, hi int) {
	minus := slices.Repeat([]float32{-1}, q.Dim/q.Groups)
	for i := range width {
		r := q.part(q.residual, i, lo, hi)
		d.Nearest(q.column[lo:hi], r, q.packed[i], q.books[i].half)
		for t := lo; t < hi; t++ {
			codes[t*width+i] = q.column[t]
		}
		if i < width-q.Groups { // a level follows
			d.ScaleAdd(r, q.pick(d, i, lo, hi), minus, r)
		}
	}
}

// part is the group of codebook i in the frames lo to hi of x [T, Dim].
func (q *Quantizer) part(x []float32, i, lo, hi int) *backend.Tensor {
	dim := q.Dim / q.Groups
	return &backend.Tensor{Rows: hi - lo, Cols: dim, Stride: q.Dim, Data: x[lo*q.Dim+i%q.Groups*dim:]}
}

// pick gives the entries of codebook i that the column names for the frames lo to
// hi.
func (q *Quantizer) pick(d backend.Backend, i, lo, hi int) *backend.Tensor {
	dim := q.Dim / q.Groups
	y := backend.Host(q.chosen[lo*dim:hi*dim], hi-lo, dim)
	d.Gather(y, backend.Host(q.books[i].entries, len(q.books[i].half), dim), q.column[lo:hi])
	return y
}

// nearest finds the codes of codebook i for rows of residuals [T, Dim], by its game
// where it has one.
func (q *Quantizer) nearest(i int, codes []int32, residual []float32) {
	if len(codes) == 0 {
		return
	}
	dim := q.Dim / q.Groups
	q.rows = backend.Tensor{Rows: len(codes), Cols: dim, Stride: q.Dim, Data: residual[i%q.Groups*dim:]}
	if q.players[i] != nil {
		q.play(i, codes)
		return
	}
	q.device.Nearest(codes, &q.rows, q.packed[i], q.books[i].half)
}

// subtract takes entry c of codebook i from one residual vector.
func (q *GRVQ) subtract(i int, c int32, residual []float32) {
	dim := q.Dim / q.Groups
	r := residual[i%q.Groups*dim:][:dim]
	for k, v := range q.books[i].entries[int(c)*dim:][:dim] {
		r[k] -= v
	}
}

// Decode sets z [T, Dim] to the sums of the entries of codes
// [T][levels·Groups], the first level first. Codes outside a codebook, and
// lengths that do not fit each other, are errors.
func (q *GRVQ) Decode(z []float32, codes []int32, levels int) error {
	if err := q.check(len(z), codes, levels); err != nil {
		return err
	}
	width := levels * q.Groups
	dim := q.Dim / q.Groups
	clear(z)
	for t := range len(codes) / width {
		for i, c := range codes[t*width : (t+1)*width] {
			out := z[t*q.Dim+i%q.Groups*dim:][:dim]
			for k, v := range q.books[i].entries[int(c)*dim:][:dim] {
				out[k] += v
			}
		}
	}
	return nil
}

// check reports codes that Decode cannot take for so many values.
func (q *GRVQ) check(values int, codes []int32, levels int) error {
	width := levels * q.Groups
	if levels < 1 || levels > q.Levels {
		return fmt.Errorf("rvq: %d levels asked for, there are 1 to %d", levels, q.Levels)
	}
	if len(codes)%width != 0 || values != len(codes)/width*q.Dim {
		return fmt.Errorf("rvq: %d codes of %d a frame do not fill %d values of %d a frame", len(codes), width, values, q.Dim)
	}
	for at, c := range codes {
		if size := len(q.books[at%width].half); c < 0 || int(c) >= size {
			return fmt.Errorf("rvq: frame %d codebook %d: code %d is not in [0, %d)", at/width, at%width, c, size)
		}
	}
	return nil
}
