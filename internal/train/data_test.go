package train

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const table = "path\tseconds\tsplit\tspeaker\tlang\ttext\n" +
	"a/one.flac\t1.5\ttrain\ts1\ten\tHe said \"no\".\n" +
	"a/two.flac\t2\tvalid\ts2\ten\n"

func TestReadManifest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.tsv")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	rows, err := ReadManifest(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := []Row{
		{filepath.Join(dir, "a", "one.flac"), 1.5, "train", "s1"},
		{filepath.Join(dir, "a", "two.flac"), 2, "valid", "s2"},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if err := Unseen(rows[:1], rows[1:]); err != nil {
		t.Errorf("different speakers: %v", err)
	}
	rows[1].Speaker = "s1"
	if err := Unseen(rows[:1], rows[1:]); err == nil {
		t.Error("a validation speaker of the training rows was accepted")
	}
}

func TestManifestErrors(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"missing column": "path\tseconds\tsplit\nx\t1\ttrain\n",
		"no seconds":     "path\tseconds\tsplit\tspeaker\nx\tlong\ttrain\ts\n",
		"infinite":       "path\tseconds\tsplit\tspeaker\nx\tInf\ttrain\ts\n",
		"no path":        "path\tseconds\tsplit\tspeaker\n\t1\ttrain\ts\n",
	} {
		if rows, err := parseManifest(strings.NewReader(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, rows)
		}
	}
}

// TestDraw holds crops to their generator, and augmentation to what it says.
func TestDraw(t *testing.T) {
	c := hum(rand.New(rand.NewPCG(1, 1)))
	draw := func(seed uint64, a Augment) []float32 {
		x := make([]float32, 16000)
		c.Draw(x, a, rand.New(rand.NewPCG(seed, 0)))
		return x
	}
	for _, a := range []Augment{{}, {Mixture: 1}, {Noise: 1}, {BandLimit: 1}} {
		if !slices.Equal(draw(7, a), draw(7, a)) {
			t.Errorf("%+v: equal generators gave different crops", a)
		}
		if slices.Equal(draw(7, a), draw(8, a)) {
			t.Errorf("%+v: different generators gave equal crops", a)
		}
	}
	if slices.Equal(draw(7, Augment{}), draw(7, Augment{Mixture: 1})) {
		t.Error("a mixture equals the single speaker")
	}
	var clean, noisy float64
	x, y := draw(7, Augment{}), draw(7, Augment{Noise: 1})
	for i, v := range x {
		clean += float64(v) * float64(v)
		noisy += float64(y[i]-v) * float64(y[i]-v)
	}
	if db := 10 * math.Log10(clean/noisy); db < 4.9 || db > 35.1 {
		t.Errorf("noise lies %.1f dB below the speech, want 5 to 35", db)
	}
	silence := make([]float32, 1000)
	(&Corpus{Rate: 16000, Clips: []Clip{{Samples: make([]int16, 10)}}, cumulative: []float64{1}}).Draw(silence, Augment{Noise: 1, BandLimit: 1}, rand.New(rand.NewPCG(1, 0)))
	for _, v := range silence {
		if v != 0 {
			t.Fatal("noise of finite ratio was added to silence")
		}
	}
}

// TestBandLimit measures the filters at single tones.
func TestBandLimit(t *testing.T) {
	for _, c := range []struct {
		cut, tone float64
		high      bool
		low, top  float64 // gain in dB
	}{
		{1000, 200, false, -0.1, 0.1},
		{1000, 1000, false, -3.1, -2.9},
		{1000, 4000, false, -60, -24},
		{300, 2000, true, -0.1, 0.1},
		{300, 300, true, -3.1, -2.9},
		{300, 60, true, -60, -24},
	} {
		x := make([]float32, 32000)
		for i := range x {
			x[i] = float32(math.Sin(2 * math.Pi * c.tone * float64(i) / 16000))
		}
		before := energy(x[16000:])
		biquad(x, 16000, c.cut, c.high)
		if db := 10 * math.Log10(energy(x[16000:])/before); db < c.low || db > c.top {
			t.Errorf("cut-off %g Hz (high %v): gain %.2f dB at %g Hz, want %g to %g", c.cut, c.high, db, c.tone, c.low, c.top)
		}
	}
}

// naiveConvolve is the definition of convolve.
func naiveConvolve(x, h []float32) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		for k := range min(i+1, len(h)) {
			y[i] += float64(h[k]) * float64(x[i-k])
		}
	}
	return y
}

func TestConvolve(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, n := range [][2]int{{1, 1}, {100, 7}, {333, 333}} {
		x, h := random(rng, n[0], 1), random(rng, n[1], 1)
		want := naiveConvolve(x, h)
		convolve(x, h)
		close64(t, "convolution", x, want)
	}
}

// TestRoom hears an impulse, then a tail that decays, and keeps the level.
func TestRoom(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		x := make([]float32, 24000)
		x[0] = 1
		addRoom(x, 16000, rng)
		if e := energy(x); math.Abs(e-1) > 1e-4 {
			t.Errorf("seed %d: energy %g after 1", seed, e)
		}
		early, late := energy(x[:3200]), energy(x[16000:])
		if late > 1e-3*early || energy(x[1:]) < 1e-3 || energy(x[1:]) > 0.51 {
			t.Errorf("seed %d: energy %g in the first 0.2 s, %g after 1 s, %g behind the direct path", seed, early, late, energy(x[1:]))
		}
		silence := make([]float32, 1000)
		addRoom(silence, 16000, rng)
		if energy(silence) != 0 {
			t.Errorf("seed %d: a silent room is not", seed)
		}
	}
}

// TestClip bounds the signal 3 to 15 dB below its peak and leaves its signs.
func TestClip(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 6))
		x := random(rng, 2000, 0.1)
		y := append([]float32(nil), x...)
		clip(y, rng)
		before, after := slices.Max(x), slices.Max(y)
		if db := 20 * math.Log10(float64(before/after)); db < 1 || db > 16 {
			t.Errorf("seed %d: peak down by %.1f dB", seed, db)
		}
		for i, v := range x {
			if v*y[i] < 0 || magnitude(y[i]) > magnitude(v) {
				t.Fatalf("seed %d: %g became %g", seed, v, y[i])
			}
		}
		clip(make([]float32, 10), rng)
	}
}

// TestAugment draws equal crops from equal generators, others with room and clipping.
func TestAugment(t *testing.T) {
	draw := func(a Augment) []float32 {
		x := make([]float32, 8000)
		rng := rand.New(rand.NewPCG(1, 2))
		c := hum(rand.New(rand.NewPCG(1, 1)))
		c.Draw(x, a, rng)
		return append(x, rng.Float32())
	}
	a := Augment{Mixture: 1, Noise: 1, BandLimit: 1}
	off := draw(a)
	a.Room, a.Clipping = 1, 1
	on := draw(a)
	if slices.Equal(off, on) || !slices.Equal(off, draw(Augment{Mixture: 1, Noise: 1, BandLimit: 1})) {
		t.Error("room and clipping change nothing, or crops differ from time to time")
	}
}
