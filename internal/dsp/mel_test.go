package dsp

import (
	"math"
	"testing"
)

func TestMelFilters(t *testing.T) {
	const rate, n, bands = 16000.0, 1024, 80
	filters := MelFilters(int(rate), n, bands)
	if len(filters) != bands {
		t.Fatalf("%d filters, want %d", len(filters), bands)
	}
	hz := func(mel float64) float64 { return 700 * (math.Pow(10, mel/2595) - 1) }
	top := 2595 * math.Log10(1+8000/700.)
	for b, f := range filters {
		var sum float64
		for _, w := range f.Weights {
			sum += float64(w)
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("band %d sums to %g", b, sum)
		}
		lo, hi := hz(top*float64(b)/81), hz(top*float64(b+2)/81)
		if first := float64(f.First) * rate / n; first < lo || first > lo+rate/n+1e-9 {
			t.Errorf("band %d starts at %g Hz, its lower corner is %g", b, first, lo)
		}
		if last := float64(f.First+len(f.Weights)-1) * rate / n; last > hi || last < hi-rate/n-1e-9 {
			t.Errorf("band %d ends at %g Hz, its upper corner is %g", b, last, hi)
		}
	}
	if narrow := MelFilters(int(rate), 64, 80); len(narrow) >= 80 {
		t.Errorf("all %d bands of a 64-point spectrum hold a bin", len(narrow))
	}
}
