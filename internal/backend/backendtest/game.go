package backendtest

import (
	"math"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
)

// game draws n clusters for d values: a few are equal, some have no edge inside.
func (g Gen) game(n, d int, soft bool) (sums []float32, game *backend.Game) {
	sums, game = g.Vector(n*d), &backend.Game{Bias: g.Vector(n), Soft: soft, Total: float32(n) + 1}
	for range n {
		volume := float32(math.Exp2(float64(g.IntN(300)-200) / 30))
		inside := volume * g.Float32()
		if g.IntN(5) == 0 {
			inside = 0
		}
		game.Inside = append(game.Inside, inside)
		game.Inverse = append(game.Inverse, 1/volume)
		game.Bits = append(game.Bits, float32(math.Log2(float64(volume))))
	}
	for e := range n / 4 {
		to := n/2 + e
		copy(sums[to*d:(to+1)*d], sums[e*d:])
		for _, v := range [][]float32{game.Bias, game.Inside, game.Inverse, game.Bits} {
			v[to] = v[e]
		}
	}
	return sums, game
}

func testJoin(t *testing.T, b backend.Backend, g Gen) {
	player, ok := b.(backend.Joiner)
	if !ok {
		t.Skip("leaves the game to the host")
	}
	for _, i := range g.rounds(24) {
		m, d, n := g.size(60), g.size(40), g.size(300)
		sums, game := g.game(n, d, i%2 == 0)
		x := g.Tensor(m, d, 0)
		if i%4 == 1 { // nodes without edges
			for k := range game.Bias {
				game.Bias[k] = -1e6
			}
		}
		if i%8 == 2 { // edges of next to no weight
			for k := range game.Bias {
				game.Bias[k] -= 110
			}
			if m > 0 {
				clear(x.Row(0))
			}
		}
		got, want := make([]int32, m), make([]int32, m)
		player.Join(got, x, b.PackT(sums, n, d), game)
		naive.Join(want, x, naive.PackT(sums, n, d), game)
		for r := range got {
			if got[r] != want[r] {
				t.Fatalf("row %d of [%d, %d], %d clusters, soft %v: cluster %d, want %d", r, m, d, n, game.Soft, got[r], want[r])
			}
		}
		if i%4 == 1 && m > 0 && got[0] != -1 {
			t.Fatalf("a node without edges joins cluster %d", got[0])
		}
	}
}
