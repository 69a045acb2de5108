package entropy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Bits come back, and cost what their probabilities say: less than a byte beyond
// the sum of -log2 p.
func TestRangeCoder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 300 {
		n := rng.IntN(3000)
		bits, p := make([]int, n), make([]uint32, n)
		var cost float64
		skew := rng.IntN(17)
		for i := range bits {
			p[i] = uint32(1 + rng.IntN(1<<probBits-1))
			if rng.IntN(2) == 0 {
				p[i] = p[i]>>skew + 1
			}
			if rng.Uint32N(1<<probBits) < p[i] {
				bits[i] = 1
				cost -= math.Log2(float64(p[i]) / (1 << probBits))
			} else {
				cost -= math.Log2(1 - float64(p[i])/(1<<probBits))
			}
		}
		e := newEncoder([]byte{0xff})
		for i, b := range bits {
			e.bit(b, p[i])
		}
		code := e.finish()
		if code[0] != 0xff {
			t.Fatal("a carry left the code")
		}
		code = code[1:]
		// The probability is cut to the width of the interval, 8 bits at least.
		if spent := 8 * float64(len(code)); spent > cost*1.001+0.01*float64(n)+8 {
			t.Errorf("%d bits cost %.0f, they are worth %.0f", n, spent, cost)
		}
		d := newDecoder(code)
		for i, b := range bits {
			if d.bit(p[i]) != b {
				t.Fatalf("bit %d of %d differs", i, n)
			}
		}
		if len(code) > d.taken-3 {
			t.Fatal("bytes are left over")
		}
	}
}
