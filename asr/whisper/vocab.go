package whisper

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"sync"
)

// The byte-pair vocabularies are not part of checkpoints, and all checkpoints
// share two of them.
var (
	//go:embed vocab/gpt2.gz
	gpt2Vocabulary []byte
	//go:embed vocab/multilingual.gz
	multilingualVocabulary []byte

	gpt2         = sync.OnceValue(func() *vocabulary { return unpackVocabulary(gpt2Vocabulary) })
	multilingual = sync.OnceValue(func() *vocabulary { return unpackVocabulary(multilingualVocabulary) })
)

// vocabulary is a list of byte strings; the rank of one, its place in the list,
// is also its token. Lower ranks merge first.
type vocabulary struct {
	tokens []string
	ranks  map[string]int32
}

func unpackVocabulary(packed []byte) *vocabulary {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err) // it is part of the program
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	v := &vocabulary{ranks: map[string]int32{}}
	for text := string(raw); text != ""; {
		n := 1 + int(text[0])
		token := text[1:n]
		v.ranks[token] = int32(len(v.tokens))
		v.tokens = append(v.tokens, token)
		text = text[n:]
	}
	return v
}

// encode appends the tokens of a piece: starting from its bytes, the pair of
// neighbours whose union has the lowest rank becomes one, the leftmost on a tie,
// until no union is in the vocabulary (Sennrich et al. 2016).
func (v *vocabulary) encode(tokens []int32, piece string) []int32 {
	if rank, ok := v.ranks[piece]; ok {
		return append(tokens, rank)
	}
	const none = 1<<31 - 1
	type part struct {
		start int
		rank  int32 // of the union with the part that follows
	}
	parts := make([]part, len(piece)+1)
	union := func(i int) int32 {
		if i+2 < len(parts) {
			if rank, ok := v.ranks[piece[parts[i].start:parts[i+2].start]]; ok {
				return rank
			}
		}
		return none
	}
	for i := range parts {
		parts[i].start = i
	}
	for i := range parts {
		parts[i].rank = union(i)
	}
	for {
		best := 0
		for i, p := range parts {
			if p.rank < parts[best].rank {
				best = i
			}
		}
		if parts[best].rank == none {
			break
		}
		parts = append(parts[:best+1], parts[best+2:]...)
		parts[best].rank = union(best)
		if best > 0 {
			parts[best-1].rank = union(best - 1)
		}
	}
	for i, p := range parts[:len(parts)-1] {
		tokens = append(tokens, v.ranks[piece[p.start:parts[i+1].start]])
	}
	return tokens
}
