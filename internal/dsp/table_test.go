package dsp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// Tables decide tokens: their bits are the same on every machine.
func TestTablesHoldTheCommittedBits(t *testing.T) {
	hash := func(parts ...any) string {
		h := sha256.New()
		for _, p := range parts {
			if err := binary.Write(h, binary.LittleEndian, p); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf("%x", h.Sum(nil)[:8])
	}
	var bands []any
	for _, f := range MelFilters(16000, 640, 80) {
		bands = append(bands, int64(f.First), f.Weights)
	}
	fft, err := NewRealFFT(640)
	if err != nil {
		t.Fatal(err)
	}
	twiddles := []any{fft.twiddle}
	for _, st := range fft.stages {
		twiddles = append(twiddles, st.twiddle)
	}
	for _, c := range []struct{ name, got, want string }{
		{"Hann window of 640 samples", hash(Hann(640)), "626f8fddb500fdc4"},
		{"80 mel bands of 640 points at 16 kHz", hash(bands...), "1cee34561fafaf00"},
		{"twiddles of 640 points", hash(twiddles...), "0bfb6107886228b9"},
	} {
		if c.got != c.want {
			t.Errorf("%s: hash %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestLogarithmAndExponential(t *testing.T) {
	for x := 1e-3; x < 1e6; x *= 1.0137 {
		want := math.Log(x)
		if got := Log(x); math.Abs(got-want) > 2e-15 {
			t.Fatalf("ln %g = %.17g, want %.17g", x, got, want)
		}
		if got := Exp(want); math.Abs(got/x-1) > 4e-15 {
			t.Fatalf("exp(%g) = %.17g, want %.17g", want, got, x)
		}
	}
	if Log(1) != 0 || Exp(0) != 1 {
		t.Errorf("ln 1 = %g, exp(0) = %g", Log(1), Exp(0))
	}
}
