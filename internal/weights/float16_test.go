package weights

import (
	"math"
	"testing"
)

func TestEveryHalfRoundTrips(t *testing.T) {
	for h := range 1 << 16 {
		f := FromFloat16(uint16(h))
		if f != f {
			continue
		}
		if got := Float16(f); got != uint16(h) {
			t.Fatalf("%04x is %g, which became %04x", h, f, got)
		}
	}
}

// Between two neighbours the nearer one wins, on a tie the even one.
func TestRounding(t *testing.T) {
	for h := range 0x7bff {
		a, b := FromFloat16(uint16(h)), FromFloat16(uint16(h+1))
		mid := (a + b) / 2 // exact in float32
		even := uint16(h + h&1)
		for _, c := range []struct {
			f    float32
			want uint16
		}{{mid, even}, {math.Nextafter32(mid, 0), uint16(h)}, {math.Nextafter32(mid, b), uint16(h + 1)}} {
			if got := Float16(c.f); got != c.want {
				t.Fatalf("%g between %04x and %04x became %04x, want %04x", c.f, h, h+1, got, c.want)
			}
		}
	}
	for f, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, float32(math.Inf(-1)): 0xfc00, 1e-9: 0} {
		if got := Float16(f); got != want {
			t.Errorf("%g became %04x, want %04x", f, got, want)
		}
	}
}
