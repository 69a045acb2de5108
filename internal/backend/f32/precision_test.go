package f32

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFlush rounds the exact a·b + c to 24 bits without a bound on the exponent
// and makes what is below 2⁻¹²⁶ then a zero.
func exactFlush(a, b, c float32) float32 {
	s := new(big.Float).SetPrec(1000).SetFloat64(float64(a))
	s.Mul(s, new(big.Float).SetFloat64(float64(b)))
	s.Add(s, new(big.Float).SetFloat64(float64(c)))
	if s.Sign() == 0 {
		return float32(float64(a)*float64(b) + float64(c)) // the sign of zero
	}
	s.SetMode(big.ToNearestEven).SetPrec(24)
	if new(big.Float).Abs(s).Cmp(big.NewFloat(0x1p-126)) < 0 {
		return float32(math.Copysign(0, float64(s.Sign())))
	}
	f, _ := s.Float32()
	return f
}

func TestFMAFlush(t *testing.T) {
	const least = 0x1p-126
	for _, h := range [][3]float32{
		{-0x1p-80, 0x1p-80, least},                 // just below, rounds up to it
		{-0x1p-75, 0x1p-75, least},                 // the next value below
		{-0x1p-75, 0x1p-76, least},                 // a tie
		{-0x1p-75, 0x1.02p-76, least},              // past the tie
		{-0x1p-75, 0x1p-77, least},                 // before it
		{0x1p-63, 0x1p-63, 0},                      // the least normal number
		{0x1p-63, -0x1p-64, 0},                     // half of it
		{0x1p-126, 0x1p-126, 0},                    // far below
		{-0x1p-126, 0x1p-126, least},               // far below beside it
		{0x1p-63, 0x1.fep-64, least},               // above
		{0x1.fep127, 0x1.fep127, -math.MaxFloat32}, // overflow
		{0, -1, 0},
	} {
		for s := range 4 {
			a, c := h[0], h[2]
			if s&1 > 0 {
				a = -a
			}
			if s&2 > 0 {
				c = -c
			}
			if got, want := FMAFlush(a, h[1], c), exactFlush(a, h[1], c); !same(got, want) {
				t.Errorf("FMAFlush(%g, %g, %g) = %g, want %g", a, h[1], c, got, want)
			}
		}
	}
	g := rand.New(rand.NewPCG(5, 6))
	flushed := 0
	for range 300_000 {
		// Factors of 8 bits whose product is near the least normal number, and so is
		// the sum before.
		half := func() float32 { return FromBFloat16(uint16(g.Uint32()&0x807f | uint32(60+g.IntN(10))<<7)) }
		c := math.Float32frombits(g.Uint32()&(1<<31) | uint32(1+g.IntN(4))<<23 | g.Uint32()&(1<<23-1)&-(1<<g.IntN(23)))
		a, b := half(), half()
		got, want := FMAFlush(a, b, c), exactFlush(a, b, c)
		if !same(got, want) {
			t.Fatalf("FMAFlush(%g, %g, %g) = %g, want %g", a, b, c, got, want)
		}
		if want == 0 && FMA(a, b, c) != 0 {
			flushed++
		}
	}
	if flushed == 0 {
		t.Error("no sum was flushed")
	}
}

// TestBFloat16 looks for the nearest of all values of bfloat16.
func TestBFloat16(t *testing.T) {
	g := rand.New(rand.NewPCG(7, 8))
	for i := range 300_000 {
		bits := g.Uint32()
		if i%3 == 0 {
			bits = bits&^0xffff | 0x8000 // a tie
		}
		if i%5 == 0 {
			bits &= 0x80ffffff // denormal or nearly so
		}
		x := math.Float32frombits(bits)
		got := FromBFloat16(BFloat16(x))
		if x != x {
			if got == got {
				t.Fatalf("NaN becomes %g", got)
			}
			continue
		}
		// The neighbours, as numbers so that the one after the last is 2¹²⁸.
		low := float64(FromBFloat16(uint16(bits >> 16)))
		step := math.Ldexp(1, max(int(bits>>23&255), 1)-127-7)
		high := low + math.Copysign(step, low)
		if bits>>31 == 1 && low == 0 {
			high = -step
		}
		want := low
		switch d := math.Abs(float64(x)-low) - math.Abs(high-float64(x)); {
		case math.IsInf(float64(x), 0):
			want = float64(x)
		case d > 0 || d == 0 && bits>>16&1 == 1:
			want = high
		}
		if math.Abs(want) < 0x1p-126 {
			want = math.Copysign(0, float64(x))
		}
		if want := float32(want); !same(got, want) {
			t.Fatalf("%g (%#x) becomes %g, want %g", x, bits, got, want)
		}
	}
}

func TestInt8(t *testing.T) {
	g := rand.New(rand.NewPCG(9, 10))
	v := make([]float32, 33)
	for range 20_000 {
		size := math.Ldexp(1, g.IntN(220)-100)
		for i := range v {
			v[i] = float32(g.NormFloat64() * size)
		}
		m := MaxAbs(v)
		scale, factor := Int8Scale(m)
		largest := 0
		for _, x := range v {
			q := int(Int8(x, factor))
			largest = max(largest, q, -q)
			if err := math.Abs(float64(q)*float64(scale) - float64(x)); err > 0.50001*float64(scale) {
				t.Fatalf("%g of at most %g becomes %d·%g", x, m, q, scale)
			}
		}
		if largest != 127 {
			t.Fatalf("integers go to %d only", largest)
		}
	}
	if Int8(2.5, 1) != 2 || Int8(-3.5, 1) != -4 {
		t.Error("ties do not go to even")
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, bad := range []float32{inf, -inf, nan} {
		scale, factor := Int8Scale(MaxAbs([]float32{1, bad, 2}))
		if scale == scale || Int8(bad, factor) != 0 || Int8(1, factor) != 0 {
			t.Errorf("with %g the scale is %g and the factor %g", bad, scale, factor)
		}
	}
	for _, small := range []float32{0, 1e-45, 0x1p-101} {
		if scale, factor := Int8Scale(small); scale != 0 || factor != 0 {
			t.Errorf("for %g the scale is %g and the factor %g", small, scale, factor)
		}
	}
}
