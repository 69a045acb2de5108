package audio

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var testRates = []int{8000, 16000, 22050, 24000, 44100, 48000, 96000}

// ratePairs gives all ordered pairs of different test rates, and some that need
// the interpolated table.
func ratePairs() (p [][2]int) {
	for _, a := range testRates {
		for _, b := range testRates {
			if a != b {
				p = append(p, [2]int{a, b})
			}
		}
	}
	return append(p, [2]int{11025, 16000}, [2]int{44101, 16000}, [2]int{16000, 44101}, [2]int{48000, 47999})
}

func resample(x []float32, from, to, channels int) []float32 {
	r := NewResampler(from, to, channels)
	return r.Flush(r.Process(nil, x))
}

func tone(freq float64, rate, n int, amp float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(amp * math.Sin(2*math.Pi*freq/float64(rate)*float64(i)))
	}
	return x
}

// middle cuts the tenths at both ends, where the signal starts and stops.
func middle(x []float32) []float32 { return x[len(x)/10 : len(x)*9/10] }

func power(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s / float64(len(x))
}

// A tone below 0.45 of the lower rate must come out as the same tone, sampled
// at the new times: that bounds gain, delay, aliases and images together.
func TestResampleToneInBand(t *testing.T) {
	for _, p := range ratePairs() {
		from, to := p[0], p[1]
		lower := float64(min(from, to))
		worst, gain := math.Inf(-1), 0.0
		r := NewResampler(from, to, 1)
		for k := 1; k <= 8; k++ {
			f := passEdge * lower * float64(k) / 8
			y := r.Flush(r.Process(nil, tone(f, from, from/10, 0.9)))
			want := tone(f, to, len(y), 0.9)
			g := 10 * math.Log10(power(middle(y))/power(middle(want)))
			gain = max(gain, math.Abs(g))
			diff := make([]float32, len(y))
			for i := range y {
				diff[i] = y[i] - want[i]
			}
			worst = max(worst, 10*math.Log10(power(middle(diff))/power(middle(want))))
		}
		if gain > 0.001 || worst > -105 {
			t.Errorf("%d -> %d Hz: gain error %.5f dB, error %.1f dB against the tone at the new times", from, to, gain, worst)
		}
	}
}

// Nothing of a tone above the new Nyquist frequency may be left, wherever it
// would fold to.
func TestResampleAliases(t *testing.T) {
	for _, p := range ratePairs() {
		from, to := p[0], p[1]
		if to > from {
			continue
		}
		worst := math.Inf(-1)
		r := NewResampler(from, to, 1)
		lo, hi := float64(to)/2, float64(from)/2
		for k := range 24 {
			f := lo + (hi-lo)*float64(k)/24
			x := tone(f, from, from/10, 0.9)
			y := r.Flush(r.Process(nil, x))
			worst = max(worst, 10*math.Log10(power(middle(y))/power(middle(x))))
		}
		if worst > -105 {
			t.Errorf("%d -> %d Hz: alias at %.1f dB", from, to, worst)
		}
	}
}

// A chirp over the whole band of the input, upsampled, holds nothing above the
// old Nyquist frequency: what a brick-wall high-pass finds there are images.
func TestResampleImages(t *testing.T) {
	for _, p := range ratePairs() {
		from, to := p[0], p[1]
		if to < from*11/10 {
			continue
		}
		worst := math.Inf(-1)
		r := NewResampler(from, to, 1)
		for k := 1; k <= 8; k++ {
			f := 0.5 * float64(from) * float64(k) / 9
			y := middle(r.Flush(r.Process(nil, tone(f, from, from/10, 0.9))))
			// The images of the tone lie at m*from +- f.
			for m := 1; m*from < to/2+from; m++ {
				for _, im := range []float64{float64(m*from) - f, float64(m*from) + f} {
					if im < float64(to)/2 {
						worst = max(worst, 20*math.Log10(amplitude(y, im/float64(to))/0.9))
					}
				}
			}
		}
		if worst > -105 {
			t.Errorf("%d -> %d Hz: image at %.1f dB", from, to, worst)
		}
	}
}

// amplitude measures the tone of f cycles per sample in x through a window with
// side lobes below -140 dB.
func amplitude(x []float32, f float64) float64 {
	var re, im, sum float64
	for i, v := range x {
		u := 2*(float64(i)+0.5)/float64(len(x)) - 1
		w := kaiser(u, 12.5)
		s, c := math.Sincos(2 * math.Pi * f * float64(i))
		re += w * c * float64(v)
		im += w * s * float64(v)
		sum += w
	}
	return 2 * math.Hypot(re, im) / sum
}

func TestResampleLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range ratePairs() {
		from, to := p[0], p[1]
		there, back := NewResampler(from, to, 2), NewResampler(to, from, 2)
		for _, n := range []int{0, 1, 2, 319, 320, 321, rng.IntN(5000)} {
			y := there.Flush(there.Process(nil, make([]float32, 2*n)))
			want := (n*to + from - 1) / from * 2
			if len(y) != want {
				t.Errorf("%d frames %d -> %d Hz gave %d samples, want %d", n, from, to, len(y), want)
			}
			if z := back.Flush(back.Process(nil, y)); len(z) < 2*n {
				t.Errorf("%d frames %d -> %d -> %d Hz: only %d came back", n, from, to, from, len(z)/2)
			}
		}
	}
}

// Any split of the input, and any number of channels, gives the same bits.
func TestResampleChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, p := range append(ratePairs(), [2]int{16000, 16000}, [2]int{96000, 1000}, [2]int{1000, 96000}) {
		from, to := p[0], p[1]
		n := 2500
		mono := make([][]float32, 3)
		x := make([]float32, 3*n)
		for c := range mono {
			mono[c] = make([]float32, n)
			for i := range mono[c] {
				mono[c][i] = rng.Float32()*2 - 1
				x[3*i+c] = mono[c][i]
			}
		}
		whole := resample(x, from, to, 3)
		for c := range mono {
			for i, v := range resample(mono[c], from, to, 1) {
				if v != whole[3*i+c] {
					t.Fatalf("%d -> %d Hz: channel %d sample %d differs from mono", from, to, c, i)
				}
			}
		}
		r := NewResampler(from, to, 3)
		for range 2 { // Flush must leave a fresh state
			var y []float32
			for rest := x; len(rest) > 0; {
				k := min(len(rest), 3*(1+rng.IntN(200)*rng.IntN(2)))
				y = r.Process(y, rest[:k])
				rest = rest[k:]
			}
			if y = r.Flush(y); !slices.Equal(y, whole) {
				t.Fatalf("%d -> %d Hz: chunks differ from the whole", from, to)
			}
		}
	}
}

// The state, and so memory, does not grow with the input.
func TestResampleConstantMemory(t *testing.T) {
	r := NewResampler(44100, 16000, 2)
	x := make([]float32, 2*44100)
	var y []float32
	before := cap(r.hist[0])
	for range 20 {
		y = r.Process(y[:0], x)
	}
	if cap(r.hist[0]) != before {
		t.Errorf("history grew from %d to %d samples", before, cap(r.hist[0]))
	}
	if n := testing.AllocsPerRun(5, func() { y = r.Process(y[:0], x) }); n > 0 {
		t.Errorf("%v allocations a call after the first", n)
	}
}

// The table and its use give these bits on every machine and instruction set.
func TestResampleHash(t *testing.T) {
	sum := func(x []float32) string {
		b := make([]byte, 0, 4*len(x))
		for _, v := range x {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		h := sha256.Sum256(b)
		return hex.EncodeToString(h[:8])
	}
	// A linear congruential generator, exact everywhere.
	x, s := make([]float32, 5000), uint32(1)
	for i := range x {
		s = s*1664525 + 1013904223
		x[i] = float32(int32(s)>>8) / (1 << 23)
	}
	want := map[string]string{
		"[44100 16000]": "a83162a1e44265b2 7fc9a0ac2a190081",
		"[16000 44100]": "70b489d034157000 a45c0b7c6e923a54",
		"[48000 16000]": "aeaf1f6bc728054c 4a7565c320ed0629",
		"[44101 16000]": "02560599e03eda1c e249e076b2fde16e",
	}
	for _, p := range [][2]int{{44100, 16000}, {16000, 44100}, {48000, 16000}, {44101, 16000}} {
		key := fmt.Sprint(p)
		got := sum(NewResampler(p[0], p[1], 1).table) + " " + sum(resample(x, p[0], p[1], 1))
		if got != want[key] {
			t.Errorf("%s: table and output hash to %q, want %q", key, got, want[key])
		}
	}
}

// The window and the sine behind the table equal the standard library's.
func TestKaiserFunctions(t *testing.T) {
	for i := range 1000 {
		x := float64(i)*0.737 - 300
		if d := math.Abs(sinPi(x) - math.Sin(math.Pi*(x-2*math.Floor(x/2)))); d > 1e-14 {
			t.Fatalf("sinPi(%v) is off by %g", x, d)
		}
	}
	// I0 from Abramowitz and Stegun, table 9.8: e^-x I0(x) at 1, 5 and 10.
	for x, want := range map[float64]float64{1: 0.4657596077, 5: 0.1835408126, 10: 0.1278333372} {
		if got := math.Exp(-x) * besselI0(x*x/4); math.Abs(got-want) > 1e-9 {
			t.Errorf("I0(%v) e^-x = %.10f, want %.10f", x, got, want)
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, p := range [][2]int{{44100, 16000}, {48000, 16000}, {16000, 44100}, {44101, 16000}} {
		b.Run(fmt.Sprintf("%d-%d", p[0], p[1]), func(b *testing.B) {
			x := tone(440, p[0], p[0], 0.5)
			r := NewResampler(p[0], p[1], 1)
			y := r.Process(nil, x)
			for b.Loop() {
				y = r.Process(y[:0], x)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}

func BenchmarkNewResampler(b *testing.B) {
	for b.Loop() {
		NewResampler(44100, 16000, 1)
	}
}

// A clone starts anew and shares nothing but the table.
func TestResampleClone(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, p := range [][2]int{{44100, 16000}, {48000, 47999}, {16000, 16000}} {
		x, y := make([]float32, 3000), make([]float32, 3000)
		for i := range x {
			x[i], y[i] = rng.Float32(), rng.Float32()
		}
		a := NewResampler(p[0], p[1], 1)
		gotA := a.Process(nil, x[:1000])
		b := a.Clone()
		gotB := b.Flush(b.Process(nil, y))
		gotA = a.Flush(a.Process(gotA, x[1000:]))
		if !slices.Equal(gotA, resample(x, p[0], p[1], 1)) || !slices.Equal(gotB, resample(y, p[0], p[1], 1)) {
			t.Errorf("%d -> %d Hz: a resampler and its clone disturb each other", p[0], p[1])
		}
	}
}
