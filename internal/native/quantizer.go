package native

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sotto-audio/sotto/internal/weights"
	"github.com/sotto-audio/sotto/rvq"
	"github.com/sotto-audio/sotto/rvq/se"
)

// quantizerKey names the metadata of quantizers that are more than codebooks of one
// size.
const quantizerKey = "quantizer"

// bookMeta is what the metadata say of a codebook. Its tensors are
// quantizer.I.entries [size, dim] and, of a game, quantizer.I.vectors, .bias,
// .inside, .volume or .vectors, .volume, .cut.
type bookMeta struct {
	Size int       `json:"size"`
	Game *gameMeta `json:"game,omitempty"`
}

type gameMeta struct {
	Kind    se.Assignment `json:"kind"`
	Total   float64       `json:"total"`
	Soft    bool          `json:"soft,omitempty"`    // of sums
	Edges   *se.Edges     `json:"edges,omitempty"`   // of members
	Members []int32       `json:"members,omitempty"` // of each cluster
}

func bookTensor(book int, name string) string { return fmt.Sprintf("quantizer.%d.%s", book, name) }

// plain reports whether a quantizer has codebooks of one size and no games: the
// form of the files of all models without structural entropy.
func plain(q *rvq.GRVQ) bool {
	for _, g := range q.Games() {
		if g != nil {
			return false
		}
	}
	for _, n := range q.Sizes() {
		if n != q.Size {
			return false
		}
	}
	return true
}

// putQuantizer adds a quantizer to a file.
func putQuantizer(f *weights.File, q *rvq.GRVQ) error {
	if plain(q) {
		f.Tensors[codebooksName] = weights.Tensor{Shape: []int{q.Codebooks(), q.Size, q.Dim / q.Groups}, Data: q.Entries()}
		return nil
	}
	dim := q.Dim / q.Groups
	games := q.Games()
	var books []bookMeta
	for i, n := range q.Sizes() {
		put := func(name string, data []float32, shape ...int) {
			f.Tensors[bookTensor(i, name)] = weights.Tensor{Shape: shape, Data: data}
		}
		put("entries", q.Codebook(i), n, dim)
		b := bookMeta{Size: n}
		var game rvq.Game
		if games != nil {
			game = games[i]
		}
		switch g := game.(type) {
		case nil:
		case *se.Sums:
			b.Game = &gameMeta{Kind: se.GameSums, Total: float64(g.Total), Soft: g.Soft}
			put("vectors", g.Vectors, n, dim)
			put("bias", g.Bias, n)
			put("inside", g.Inside, n)
			put("volume", g.Volume, n)
		case *se.Members:
			// Entropies do not depend on the unit of weights: volumes near 1 fit
			// half precision.
			unit := g.Partition.Total / float64(n)
			b.Game = &gameMeta{Kind: se.GameExact, Total: g.Partition.Total, Edges: &g.Edges, Members: g.Sizes}
			put("vectors", g.Vectors, len(g.Vectors)/dim, dim)
			put("volume", scaled(g.Partition.Volume, 1/unit), n)
			put("cut", scaled(g.Partition.Cut, 1/unit), n)
		default:
			return fmt.Errorf("sotto: codebook %d has a game that files do not hold", i)
		}
		books = append(books, b)
	}
	meta, err := json.Marshal(books)
	if err != nil {
		return fmt.Errorf("sotto: %w", err)
	}
	f.Metadata[quantizerKey] = string(meta)
	return nil
}

func scaled(x []float64, by float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v * by)
	}
	return y
}

// readQuantizer reads what putQuantizer wrote.
func readQuantizer(f *weights.File, c rvq.Config) (*rvq.GRVQ, error) {
	text, ok := f.Metadata[quantizerKey]
	if !ok {
		return rvq.New(c, f.Tensors[codebooksName].Data)
	}
	var books []bookMeta
	if err := json.Unmarshal([]byte(text), &books); err != nil {
		return nil, fmt.Errorf("sotto: quantizer in the metadata: %w", err)
	}
	if len(books) != c.Codebooks() {
		return nil, fmt.Errorf("sotto: the metadata describe %d codebooks, the configuration has %d", len(books), c.Codebooks())
	}
	dim := c.Dim / c.Groups
	var entries [][]float32
	games := make([]rvq.Game, len(books))
	for i, b := range books {
		get := func(name string, shape ...int) ([]float32, error) {
			t := f.Tensors[bookTensor(i, name)]
			if !slices.Equal(t.Shape, shape) {
				return nil, fmt.Errorf("sotto: tensor %q has shape %v, its codebook needs %v", bookTensor(i, name), t.Shape, shape)
			}
			return t.Data, nil
		}
		e, err := get("entries", b.Size, dim)
		if err == nil && b.Game != nil {
			games[i], err = b.Game.read(b.Size, dim, get)
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	q, err := rvq.NewSized(c, entries)
	if err != nil {
		return nil, err
	}
	return q.WithGames(games), nil
}

func (m *gameMeta) read(size, dim int, get func(name string, shape ...int) ([]float32, error)) (rvq.Game, error) {
	read := func(err *error, name string, shape ...int) (data []float32) {
		if *err == nil {
			data, *err = get(name, shape...)
		}
		return data
	}
	var err error
	switch m.Kind {
	case se.GameSums:
		s := &se.Sums{
			Clusters: size, Dim: dim, Soft: m.Soft, Total: float32(m.Total),
			Vectors: read(&err, "vectors", size, dim), Bias: read(&err, "bias", size),
			Inside: read(&err, "inside", size), Volume: read(&err, "volume", size),
		}
		if err != nil {
			return nil, err
		}
		return s, s.Validate()
	case se.GameExact:
		if m.Edges == nil || len(m.Members) != size {
			return nil, fmt.Errorf("sotto: a game of %d clusters has %d sizes", size, len(m.Members))
		}
		n := 0
		for _, k := range m.Members {
			n += int(k)
		}
		g := &se.Members{Dim: dim, Edges: *m.Edges, Sizes: m.Members, Vectors: read(&err, "vectors", n, dim), Partition: &se.Partition{}}
		volume, cut := read(&err, "volume", size), read(&err, "cut", size)
		if err != nil {
			return nil, err
		}
		if !(m.Total > 0 && m.Total <= 1e12) {
			return nil, fmt.Errorf("sotto: a game of volume %g", m.Total)
		}
		unit := m.Total / float64(size)
		g.Partition.Total = m.Total
		for e := range size {
			g.Partition.Volume = append(g.Partition.Volume, float64(float64(volume[e])*unit))
			g.Partition.Cut = append(g.Partition.Cut, float64(float64(cut[e])*unit))
		}
		return g, g.Validate()
	}
	return nil, fmt.Errorf("sotto: codes assigned by %q are not known to this program", m.Kind)
}
