package rvq

import "github.com/sotto-audio/sotto/internal/backend"

// Game chooses the codes of one codebook in place of the search for the nearest
// entry: package se has those of structural entropy.
type Game interface {
	// On prepares the game for a device.
	On(device Device) Player
}

// Player is a Game on a device, with scratch memory of its own: one for each stream.
type Player interface {
	// Play sets codes[t] to the entry for the vector that starts at x[t·stride]; −1
	// leaves the choice to the search for the nearest entry.
	Play(codes []int32, x []float32, stride int)
	// Fork gives a player for another stream.
	Fork() Player
}

// WithGames gives a quantizer of the same entries whose codebooks choose by games:
// one for each, nil for the nearest entry.
func (q *GRVQ) WithGames(games []Game) *GRVQ {
	g := *q
	g.games = append([]Game(nil), games...)
	return &g
}

// Games are those that WithGames gave, nil where there are none.
func (q *GRVQ) Games() []Game { return append([]Game(nil), q.games...) }

// play finds the codes of codebook i for q.rows by its game.
func (q *Quantizer) play(i int, codes []int32) {
	x := &q.rows
	q.players[i].Play(codes, x.Data, x.Stride)
	for t, c := range codes {
		if c < 0 {
			q.row = backend.Tensor{Rows: 1, Cols: x.Cols, Stride: x.Cols, Data: x.Row(t)}
			q.device.Nearest(codes[t:t+1], &q.row, q.packed[i], q.books[i].half)
		}
	}
}
