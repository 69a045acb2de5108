package audio

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPredictNarrow: any samples come back from what their prediction leaves, for every
// order and the largest coefficients that 32 bits allow.
func TestPredictNarrow(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	for order := 1; order <= 12; order++ {
		for _, n := range []int{order, order + 1, 12, 13, 14, 101, 4096} {
			depth := 16
			precision := 32 - depth - bits.Len(uint(order-1))
			coeffs := make([]int64, order)
			for i := range coeffs {
				coeffs[i] = g.Int64N(1<<precision) - 1<<(precision-1)
			}
			if g.IntN(2) == 0 { // what would overflow first
				for i := range coeffs {
					coeffs[i] = -1 << (precision - 1)
				}
			}
			shift := g.IntN(precision)
			want := make([]int32, n) // any samples
			for i := range want {
				want[i] = g.Int32N(1<<depth) - 1<<(depth-1)
			}
			residual := slices.Clone(want)
			for i := order; i < n; i++ {
				sum := int64(0)
				for k, c := range coeffs {
					sum += c * int64(want[i-1-k])
				}
				residual[i] -= int32(sum >> shift)
			}
			got := slices.Clone(residual)
			predictNarrow(got, coeffs, shift)
			predict(residual, coeffs, shift)
			if !slices.Equal(residual, want) {
				t.Errorf("order %d, %d samples: one at a time they are wrong", order, n)
			}
			if !slices.Equal(got, want) {
				t.Errorf("order %d, %d samples: two at a time they are wrong", order, n)
			}
		}
	}
}

// TestCRC16 compares with division bit by bit (RFC 9639 section 9.3).
func TestCRC16(t *testing.T) {
	b := make([]byte, 100)
	g := rand.New(rand.NewPCG(3, 4))
	for n := range b {
		for i := range b {
			b[i] = byte(g.Uint32())
		}
		var want uint16
		for _, v := range b[:n] {
			want ^= uint16(v) << 8
			for range 8 {
				want = want<<1 ^ 0x8005*(want>>15)
			}
		}
		if got := crc16(0, b[:n]); got != want {
			t.Errorf("%d bytes: %04x, want %04x", n, got, want)
		}
	}
}
