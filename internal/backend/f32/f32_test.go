package f32

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA rounds the exact a·b + c once. Its operands are finite.
func exactFMA(a, b, c float32) float32 {
	x, y, z := big.NewFloat(float64(a)), big.NewFloat(float64(b)), big.NewFloat(float64(c))
	s := new(big.Float).SetPrec(1000)
	s.Mul(x.SetPrec(1000), y.SetPrec(1000))
	s.Add(s, z.SetPrec(1000))
	if s.Sign() == 0 {
		return float32(float64(a)*float64(b) + float64(c)) // the sign of zero
	}
	f, _ := s.Float32()
	return f
}

func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestFMARoundsOnce(t *testing.T) {
	pow := func(e int) float32 { return float32(math.Ldexp(1, e)) }
	hard := [][3]float32{
		{1 + pow(-23), 1 + pow(-23), pow(-30)},
		{1 + pow(-12), 1 + pow(-12), pow(-60)},  // just above a tie
		{1 + pow(-12), 1 + pow(-12), -pow(-60)}, // just below
		{1 + pow(-12), 1 + pow(-12), 0},         // a tie
		{1 + pow(-23), 1 - pow(-24), pow(-100)},
		{pow(-75), pow(-75), pow(-149)}, // half of the least subnormal
		{pow(-75), pow(-75), -pow(-149)},
		{pow(-70), pow(-79) * (1 + pow(-20)), 0}, // above half of the least subnormal
		{pow(-100), pow(-100), pow(-149)},        // far below
		{1.5 * pow(-70), pow(-60), 3 * pow(-149)},
		{pow(-126), 1 - pow(-24), pow(-149)},     // at the edge of the normal range
		{math.MaxFloat32, 1 + pow(-23), pow(80)}, // overflow
		{math.MaxFloat32, 1, pow(103)},           // at the edge of it
		{math.MaxFloat32, 1, pow(103) - pow(79)},
		{math.MaxFloat32, -2, math.MaxFloat32},
		{1, 0, float32(math.Copysign(0, -1))}, // signs of zero
		{-1, 0, float32(math.Copysign(0, -1))},
		{pow(-149), pow(-149), 1},
		{pow(-149), pow(-149), 1 + pow(-23)},
		{pow(127), pow(-149), -pow(-22) * (1 + 1e-7)}, // cancellation
	}
	for _, h := range hard {
		for s := range 8 {
			a, b, c := h[0], h[1], h[2]
			if s&1 > 0 {
				a = -a
			}
			if s&2 > 0 {
				b = -b
			}
			if s&4 > 0 {
				c = -c
			}
			if got, want := FMA(a, b, c), exactFMA(a, b, c); !same(got, want) {
				t.Errorf("FMA(%g, %g, %g) = %g, want %g", a, b, c, got, want)
			}
		}
	}
	// Products near a tie of a sum: random significands with few bits, over a
	// range of exponents that reaches the subnormal numbers.
	g := rand.New(rand.NewPCG(1, 2))
	twice := 0
	for range 300_000 {
		few := func() float32 {
			m := g.Uint32() & (1<<23 - 1) & -(1 << g.IntN(23))
			e := 1 + g.IntN(60)
			if g.IntN(2) == 0 {
				e = 97 + g.IntN(60)
			}
			return math.Float32frombits(g.Uint32()&(1<<31) | uint32(e)<<23 | m)
		}
		a, b, c := few(), few(), few()
		got, want := FMA(a, b, c), exactFMA(a, b, c)
		if !same(got, want) {
			t.Fatalf("FMA(%g, %g, %g) = %g, want %g", a, b, c, got, want)
		}
		if !same(float32(float64(a)*float64(b)+float64(c)), want) {
			twice++
		}
	}
	if twice == 0 {
		t.Error("no operands where rounding twice would be wrong")
	}
}

func TestFMASpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, h := range [][3]float32{{inf, 1, 1}, {inf, 0, 1}, {inf, 1, -inf}, {nan, 1, 1}, {1, nan, 1}, {1, 1, nan}, {1, 1, -inf}} {
		want := float32(math.FMA(float64(h[0]), float64(h[1]), float64(h[2])))
		if got := FMA(h[0], h[1], h[2]); !same(got, want) {
			t.Errorf("FMA%v = %g, want %g", h, got, want)
		}
	}
}

func FuzzFMA(f *testing.F) {
	f.Add(uint32(0x3f800800), uint32(0x3f800800), uint32(0x21800000))
	f.Fuzz(func(t *testing.T, x, y, z uint32) {
		a, b, c := math.Float32frombits(x), math.Float32frombits(y), math.Float32frombits(z)
		for _, v := range []float32{a, b, c} {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return
			}
		}
		if got, want := FMA(a, b, c), exactFMA(a, b, c); !same(got, want) {
			t.Errorf("FMA(%g, %g, %g) = %g, want %g", a, b, c, got, want)
		}
	})
}

func TestExp(t *testing.T) {
	worst := 0.0
	for x := float32(ExpMin); x <= ExpMax; x += 0.00037 {
		want := math.Exp(float64(x))
		ulp := math.Ldexp(1, math.Ilogb(want)-23)
		worst = max(worst, math.Abs(float64(Exp(x))-want)/ulp)
	}
	if worst > 2 {
		t.Errorf("error of %.2f units in the last place", worst)
	}
	t.Logf("largest error: %.2f units in the last place", worst)
	if Exp(0) != 1 {
		t.Errorf("Exp(0) = %v", Exp(0))
	}
	inf := float32(math.Inf(1))
	if y := Exp(inf); y != Exp(ExpMax) || y > math.MaxFloat32 {
		t.Errorf("Exp(+Inf) = %v", y)
	}
	if y := Exp(-inf); y != Exp(ExpMin) || y < 0x1p-126 {
		t.Errorf("Exp(-Inf) = %v", y)
	}
	if y := Exp(float32(math.NaN())); y == y {
		t.Errorf("Exp(NaN) = %v", y)
	}
}

func gelu64(x float64) float64 {
	return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func silu64(x float64) float64 { return x / (1 + math.Exp(-x)) }

func TestActivations(t *testing.T) {
	for _, a := range []struct {
		name    string
		f, grad func(float32) float32
		f64     func(float64) float64
		slack   float64 // of |x|
	}{
		{"GELU", GELU, GELUGrad, gelu64, 0}, {"SiLU", SiLU, SiLUGrad, silu64, 0},
		{"GELUErf", GELUErf, GELUErfGrad, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }, 6e-8},
		{"ReLU", ReLU, ReLUGrad, func(x float64) float64 { return max(x, 0) }, 0},
		{"LeakyReLU", LeakyReLU, LeakyReLUGrad, func(x float64) float64 { return max(x, x/10) }, 0},
		{"LeakyReLU100", LeakyReLU100, LeakyReLU100Grad, func(x float64) float64 { return max(x, x/100) }, 0},
		{"ELU", ELU, ELUGrad, func(x float64) float64 { return max(x, math.Expm1(min(x, 0))) }, 0},
		{"Tanh", Tanh, TanhGrad, math.Tanh, 0},
		{"Sigmoid", Sigmoid, SigmoidGrad, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 0},
		{"Snake", func(x float32) float32 { return Snake(x, 2.5, 0.4) }, nil, func(x float64) float64 { return x + 0.4*math.Pow(math.Sin(2.5*x), 2) }, 0},
	} {
		for x := -20.0; x < 20; x += 0.0137 {
			x := float64(float32(x))
			want := a.f64(x)
			if got := float64(a.f(float32(x))); math.Abs(got-want) > 1e-6*math.Max(math.Abs(want), 1e-3)+a.slack*math.Abs(x) {
				t.Fatalf("%s(%g) = %g, want %g", a.name, x, got, want)
			}
			if a.grad == nil {
				continue
			}
			const h = 1e-5
			slope := (a.f64(x+h) - a.f64(x-h)) / (2 * h)
			if got := float64(a.grad(float32(x))); math.Abs(got-slope) > 2e-6 {
				t.Fatalf("%s'(%g) = %g, want %g", a.name, x, got, slope)
			}
		}
	}
}

func TestTree(t *testing.T) {
	var p [Lanes]float32
	for i := range p {
		p[i] = float32(int(1) << i)
	}
	if got := Tree(&p); got != 1<<Lanes-1 {
		t.Errorf("sum %v", got)
	}
	// The order shows where rounding does: 1 + 2⁻²⁴ is 1, 2⁻²⁴ + 2⁻²⁴ is not lost.
	p = [Lanes]float32{0: 1, 8: 0x1p-24, 4: 0x1p-24, 12: 0x1p-24}
	if got, want := Tree(&p), float32(1+0x1p-23); got != want {
		t.Errorf("sum %v, want %v", got, want)
	}
}

// TestAdamW follows Algorithm 2 of Loshchilov & Hutter in float64.
func TestAdamW(t *testing.T) {
	const lr, b1, b2, eps, decay, scale = 1e-2, 0.9, 0.99, 1e-8, 0.1, 0.3
	w, m, v := float32(0.5), float32(0), float32(0)
	W, M, V := 0.5, 0.0, 0.0
	for step := 1; step <= 50; step++ {
		g := math.Sin(float64(step))
		a := NewAdamW(lr, b1, b2, eps, decay, scale, step)
		w, m, v = a.Update(w, float32(g), m, v)
		g *= scale
		M = b1*M + (1-b1)*g
		V = b2*V + (1-b2)*g*g
		W -= lr * (M/(1-math.Pow(b1, float64(step)))/(math.Sqrt(V/(1-math.Pow(b2, float64(step))))+eps) + decay*W)
		if math.Abs(float64(w)-W) > 1e-5 {
			t.Fatalf("step %d: weight %v, want %v", step, w, W)
		}
	}
}

// TestFunctionBounds holds the functions to the bounds that they state, over
// every 499th float32.
func TestFunctionBounds(t *testing.T) {
	ulps := func(got, want float64) float64 {
		return math.Abs(got-want) / math.Ldexp(1, max(math.Ilogb(want), -126)-23)
	}
	absolute := func(got, want float64) float64 { return math.Abs(got - want) }
	for _, f := range []struct {
		name     string
		f        func(float32) float32
		exact    func(float64) float64
		measure  func(got, want float64) float64
		low, top float64 // magnitudes
		bound    float64
	}{
		{"Exp", Exp, math.Exp, ulps, 0, 87.3, 2},
		{"Expm1", Expm1, math.Expm1, ulps, 0, 87.3, 2},
		{"Tanh", Tanh, math.Tanh, ulps, 0, math.MaxFloat32, 2},
		{"Erf", Erf, math.Erf, absolute, 0, math.MaxFloat32, 1.2e-7},
		{"Erf", Erf, math.Erf, ulps, 0, 1, 4},
		{"Sin", Sin, math.Sin, absolute, 0, TrigMax, 1e-7},
		{"Cos", Cos, math.Cos, absolute, 0, TrigMax, 1e-7},
		{"Sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, ulps, 0, 80, 4},
	} {
		worst, at := 0.0, float32(0)
		step := uint32(499)
		if testing.Short() {
			step = 4999
		}
		for bits := math.Float32bits(float32(f.low)); bits <= math.Float32bits(float32(f.top)); bits += step {
			for _, x := range []float32{math.Float32frombits(bits), -math.Float32frombits(bits)} {
				if e := f.measure(float64(f.f(x)), f.exact(float64(x))); !(e <= worst) {
					worst, at = e, x
				}
			}
		}
		t.Logf("%s, %g to %g: at most %.3g at %g", f.name, f.low, f.top, worst, at)
		if !(worst <= f.bound) {
			t.Errorf("%s is off by %g at %g, stated %g", f.name, worst, at, f.bound)
		}
		if y := f.f(float32(math.NaN())); y == y {
			t.Errorf("%s(NaN) = %g", f.name, y)
		}
	}
	for _, f := range []func(float32) float32{Sin, Tanh, Erf, Expm1} {
		if y := f(0); y != 0 {
			t.Errorf("%g at 0", y)
		}
	}
}

func TestLog2(t *testing.T) {
	worst := 0.0
	for bits := uint32(0x00800000); bits < 0x7f800000; bits += 7919 {
		x := math.Float32frombits(bits)
		want := math.Log2(float64(x))
		ulp := math.Ldexp(1, math.Ilogb(want)-23)
		if want == 0 {
			ulp = 0x1p-149
		}
		worst = max(worst, math.Abs(float64(Log2(x))-want)/ulp)
	}
	for x := float32(0.7); x < 1.5; x += 0x1p-20 {
		if want := math.Log2(float64(x)); want != 0 {
			worst = max(worst, math.Abs(float64(Log2(x))-want)/math.Ldexp(1, math.Ilogb(want)-23))
		}
	}
	t.Logf("largest error: %.2f units in the last place", worst)
	if worst > 2.5 {
		t.Errorf("error of %.2f units in the last place", worst)
	}
	if Log2(1) != 0 || Log2(8) != 3 || Log2(0.25) != -2 {
		t.Error("powers of two are not exact")
	}
}

// Join against the entropy's formula in double precision.
func TestJoin(t *testing.T) {
	for _, c := range []struct{ w, d, inside, volume, total float64 }{
		{0.5, 1, 0.3, 1.2, 500}, {0, 2, 0.9, 1, 100}, {3, 3, 0, 0.01, 1000}, {0.1, 5, 20, 40, 465},
	} {
		v, all := c.volume+c.w, c.total+2*c.d
		want := (c.inside+2*c.w)*math.Log2(1+c.d/v) + 2*c.w*math.Log2(v/all)
		got := Join(float32(c.w), float32(c.d), float32(c.inside), float32(1/c.volume), float32(math.Log2(c.volume)), Log2(float32(all)))
		if math.Abs(float64(got)-want) > 1e-5*max(1, math.Abs(want)) {
			t.Errorf("%+v: %g, want %g", c, got, want)
		}
	}
}

func TestExp2(t *testing.T) {
	worst := 0.0
	for x := float32(-125); x <= 126; x += 0.00037 {
		want := math.Exp2(float64(x))
		worst = max(worst, math.Abs(float64(Exp2(x))-want)/want)
	}
	if worst > 3e-6 {
		t.Errorf("relative error %g", worst)
	}
	if Exp2(float32(math.Inf(-1))) != Exp2(-125) {
		t.Error("it underflows")
	}
	if y := Exp2(float32(math.NaN())); y == y {
		t.Errorf("Exp2(NaN) = %v", y)
	}
}

func TestInverseLength(t *testing.T) {
	if got := InverseLength([]float32{1, 2, 2, 0, 4}); got != 0.2 {
		t.Errorf("%v, want 0.2", got)
	}
	if got := InverseLength(make([]float32, 7)); got != 0 {
		t.Errorf("of zeros %v", got)
	}
}
