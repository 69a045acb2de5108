package metrics

import (
	"bufio"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

func read(t testing.TB, name string) ([]float32, int) {
	t.Helper()
	x, f, err := audio.ReadFile("testdata/" + name + ".flac")
	if err != nil {
		t.Fatal(err)
	}
	return x[0], f.SampleRate
}

// TestPairs holds every measure to the values that pystoi and NumPy give for
// committed clips (testdata/make.py).
func TestPairs(t *testing.T) {
	f, err := os.Open("testdata/pairs.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	measures := []struct {
		name  string
		bound float64
		of    func(x, y []float32, rate int) (float64, error)
	}{
		{"ESTOI", 1e-3, ESTOI},
		{"STOI", 1e-3, STOI},
		{"SI-SDR", 1e-3, func(x, y []float32, _ int) (float64, error) { return SISDR(x, y) }},
		{"mel distance", 1e-4, MelDistance},
	}
	worst := make([]float64, len(measures))
	pairs := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		row := strings.Split(lines.Text(), "\t")
		if row[0] == "reference" {
			continue
		}
		pairs++
		x, rate := read(t, row[0])
		y, _ := read(t, row[1])
		for i, m := range measures {
			want, err := strconv.ParseFloat(row[2+i], 64)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.of(x, y, rate)
			if err != nil {
				t.Fatalf("%s: %s: %v", row[1], m.name, err)
			}
			worst[i] = max(worst[i], math.Abs(got-want))
			if !(math.Abs(got-want) <= m.bound) {
				t.Errorf("%s: %s is %.6f, want %.6f", row[1], m.name, got, want)
			}
		}
	}
	if pairs != 20 {
		t.Errorf("%d pairs, want 20", pairs)
	}
	for i, m := range measures {
		t.Logf("%s: worst difference %.1e", m.name, worst[i])
	}
}

func TestEqualSignals(t *testing.T) {
	x, rate := read(t, "a")
	for name, of := range map[string]func(x, y []float32, rate int) (float64, error){"STOI": STOI, "ESTOI": ESTOI} {
		if v, err := of(x, x, rate); err != nil || math.Abs(v-1) > 1e-9 {
			t.Errorf("%s of equal signals is %v, %v; want 1", name, v, err)
		}
	}
	if v, err := MelDistance(x, x, rate); err != nil || v != 0 {
		t.Errorf("mel distance of equal signals is %v, %v; want 0", v, err)
	}
	if v, err := SISDR(x, x); err != nil || !math.IsInf(v, 1) {
		t.Errorf("SI-SDR of equal signals is %v, %v; want +Inf", v, err)
	}
}

// TestSISDRScale: orthogonal noise of a tenth of the amplitude is 20 dB down,
// whatever the scale of the degraded signal.
func TestSISDRScale(t *testing.T) {
	x, y := make([]float32, 400), make([]float32, 400)
	for i := range x {
		s, c := math.Sincos(2 * math.Pi * float64(i) / 40)
		x[i], y[i] = float32(s), float32(-3*(s+0.1*c))
	}
	if v, err := SISDR(x, y); err != nil || math.Abs(v-20) > 1e-4 {
		t.Errorf("SI-SDR is %v, %v; want 20", v, err)
	}
}

// TestMelGain: an amplitude factor of e moves every natural log by 1.
func TestMelGain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x, y := make([]float32, 16384), make([]float32, 16384)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 0.1)
		y[i] = x[i] * math.E
	}
	// The last frames hold few samples, so the floor may not be met anywhere.
	if v, err := MelDistance(x, y, 16000); err != nil || math.Abs(v-1) > 1e-3 {
		t.Errorf("mel distance is %v, %v; want 1", v, err)
	}
}

func TestRefused(t *testing.T) {
	tone := make([]float32, 16000)
	for i := range tone {
		tone[i] = float32(math.Sin(float64(i) * 0.2))
	}
	nan := append([]float32{float32(math.NaN())}, tone[1:]...)
	measures := map[string]func(x, y []float32, rate int) (float64, error){
		"STOI": STOI, "ESTOI": ESTOI, "mel": MelDistance,
		"SI-SDR": func(x, y []float32, _ int) (float64, error) { return SISDR(x, y) },
	}
	for name, of := range measures {
		if _, err := of(tone, tone[1:], 16000); err == nil {
			t.Errorf("%s takes signals of different lengths", name)
		}
		if _, err := of(tone, nan, 16000); err == nil {
			t.Errorf("%s takes NaN", name)
		}
		if _, err := of(nil, nil, 16000); !errors.Is(err, ErrTooShort) {
			t.Errorf("%s of nothing: %v, want ErrTooShort", name, err)
		}
		if name == "SI-SDR" {
			continue
		}
		for _, rate := range []int{0, -1} {
			if _, err := of(tone, tone, rate); err == nil {
				t.Errorf("%s takes a rate of %d Hz", name, rate)
			}
		}
	}
	silence := make([]float32, 16000)
	for _, of := range []func(x, y []float32, rate int) (float64, error){STOI, ESTOI} {
		if _, err := of(silence, tone, 16000); !errors.Is(err, ErrTooShort) {
			t.Errorf("silent reference: %v, want ErrTooShort", err)
		}
		if v, err := of(tone, silence, 16000); err != nil || math.Abs(v) > 0.1 {
			t.Errorf("silent degraded signal: %v, %v; want about 0", v, err)
		}
		if _, err := of(tone[:6000], tone[:6000], 16000); !errors.Is(err, ErrTooShort) {
			t.Errorf("0.38 s: %v, want ErrTooShort", err)
		}
	}
}

// BenchmarkESTOI measures a clip of 13 s.
func BenchmarkESTOI(b *testing.B) {
	clip, rate := read(b, "a")
	y, _ := read(b, "a-noise0")
	var long, other []float32
	for len(long) < 13*rate {
		long, other = append(long, clip...), append(other, y...)
	}
	for b.Loop() {
		if _, err := ESTOI(long, other, rate); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMelDistance measures a clip of 13 s.
func BenchmarkMelDistance(b *testing.B) {
	x := make([]float32, 13*16000)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) * 0.2))
	}
	for b.Loop() {
		if _, err := MelDistance(x, x, 16000); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLoudness holds the filters to the tables of BS.1770-4 and the loudness to its
// calibration, a full-scale sine of 997 Hz, at several rates.
func TestLoudness(t *testing.T) {
	shelf, high := kWeighting(48000)
	for i, pair := range [][2]float64{
		{shelf.b0, 1.53512485958697}, {shelf.b1, -2.69169618940638}, {shelf.b2, 1.19839281085285},
		{shelf.a1, -1.69065929318241}, {shelf.a2, 0.73248077421585},
		{high.a1, -1.99004745483398}, {high.a2, 0.99007225036621},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("coefficient %d is %.14f, the table has %.14f", i, pair[0], pair[1])
		}
	}
	for _, rate := range []int{16000, 24000, 48000} {
		for _, level := range []float64{0, -23} {
			pcm := make([]float32, 3*rate)
			for i := range pcm {
				pcm[i] = float32(math.Pow(10, level/20) * math.Sin(2*math.Pi*997*float64(i)/float64(rate)))
			}
			// The blocks at the edge of silence count, those within do not.
			silent := append(pcm, make([]float32, 2*rate)...)
			for i, x := range [][]float32{pcm, silent} {
				got, err := Loudness(x, rate)
				if want := level - 3.01; err != nil || math.Abs(got-want) > 0.05+0.25*float64(i) {
					t.Errorf("%g dB at %d Hz, %d samples: %.2f LUFS, %v; want %.2f", level, rate, len(x), got, err, want)
				}
			}
		}
	}
	if got, err := Loudness(make([]float32, 16000), 16000); err != nil || !math.IsInf(got, -1) {
		t.Errorf("silence: %g, %v", got, err)
	}
	if _, err := Loudness(make([]float32, 100), 16000); err == nil {
		t.Error("too short a sound was measured")
	}
}
