package nn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/dsp"
)

func device() backend.Backend { return cpu.New(2) }

func random(rows, cols int, rng *rand.Rand) *backend.Tensor {
	t := backend.Host(make([]float32, rows*cols), rows, cols)
	for i := range t.Data {
		t.Data[i] = float32(rng.NormFloat64())
	}
	return t
}

// timeLayers are the layers that look across time, each with its input width.
func timeLayers(t testing.TB, rng *rand.Rand) map[string]struct {
	layer Layer
	cols  int
} {
	conv := NewDepthwiseConv("conv", 5, 7, 2)
	for _, p := range conv.Params() {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64())
		}
	}
	stft, err := NewSTFT(64, 16, 32, dsp.Hann(64))
	if err != nil {
		t.Fatal(err)
	}
	istft, err := NewISTFT(96, 32, dsp.Hann(96))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]struct {
		layer Layer
		cols  int
	}{
		"depthwise": {conv, 5}, "delay": {&Delay{Rows: 3, Channels: 4}, 4}, "stft": {stft, 32}, "istft": {istft, 98},
	}
}

// Whatever the chunks, each row has the bits of a whole run, alone or in a
// batch.
func TestChunkedAndBatchedEqualWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, c := range timeLayers(t, rng) {
		t.Run(name, func(t *testing.T) {
			const steps = 23
			items := []*backend.Tensor{random(steps, c.cols, rng), random(steps, c.cols, rng)}
			var whole []*backend.Tensor
			for _, x := range items {
				s := NewStream(device(), 1)
				whole = append(whole, c.layer.Step(s, x))
			}
			for range 20 {
				s := NewStream(device(), 2)
				for at := 0; at < steps; {
					n := min(steps-at, rng.IntN(5))
					x := random(2*n, c.cols, rng)
					for i, item := range items {
						copy(x.Data[i*n*c.cols:], item.Slice(at, at+n).Data)
					}
					s.Begin()
					y := c.layer.Step(s, x)
					for i := range items {
						for r := range n {
							want := whole[i].Row(at + r)
							for k, v := range y.Row(i*n + r) {
								if v != want[k] {
									t.Fatalf("item %d row %d column %d: %g in chunks, %g whole", i, at+r, k, v, want[k])
								}
							}
						}
					}
					at += n
				}
			}
		})
	}
}

// The depthwise convolution is its formula.
func TestDepthwiseConvFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	l := timeLayers(t, rng)["depthwise"].layer.(*DepthwiseConv)
	x := random(30, 5, rng)
	y := l.Step(NewStream(device(), 1), x)
	for at := range 30 {
		for c := range 5 {
			want := float64(l.Bias.Data[c])
			for j := range 7 {
				if src := at - (6-j)*2; src >= 0 {
					want += float64(l.Weight.Data[j*5+c]) * float64(x.Row(src)[c])
				}
			}
			if got := float64(y.Row(at)[c]); got-want > 1e-5 || want-got > 1e-5 {
				t.Fatalf("row %d channel %d: %g, want %g", at, c, got, want)
			}
		}
	}
}

// Analysis and synthesis with square-root Hann windows give the signal back,
// ISTFT.Delay rows later.
func TestSynthesisUndoesAnalysis(t *testing.T) {
	const size, hop = 64, 32
	window := make([]float32, size)
	for i, w := range dsp.Hann(size) {
		window[i] = sqrt(w)
	}
	stft, _ := NewSTFT(size, hop, hop, window)
	istft, _ := NewISTFT(size, hop, window)
	rng := rand.New(rand.NewPCG(3, 3))
	x := random(20, hop, rng)
	s := NewStream(device(), 1)
	y := istft.Step(s, stft.Step(s, x))
	d := istft.Delay()
	for i := range 19 * hop {
		// A frame ends with its own row, so the signal trails by one delay.
		got, want := y.Data[d*hop+i], x.Data[i]
		if got-want > 2e-6 || want-got > 2e-6 {
			t.Fatalf("sample %d: %g, want %g", i, got, want)
		}
	}
}

// A reduced layer gives the product of its precision, of the weights as they are.
func TestReducedLinear(t *testing.T) {
	b, rng := device(), rand.New(rand.NewPCG(6, 1))
	l := NewLinear("l", 40, 30)
	x := random(5, 40, rng)
	for _, p := range []backend.Precision{backend.Float32, backend.BFloat16, backend.Int8} {
		r := l.Reduced(p)
		for range 2 {
			for i := range l.Weight.Data {
				l.Weight.Data[i] = float32(rng.NormFloat64())
			}
			l.Bias.Data[3]++
			l.Weight.Changed()
			want := b.New(5, 30)
			b.MatMul(want, x, b.PackReduced(l.Weight.Data, 40, 30, p), backend.Epilogue{Bias: l.Bias.Data})
			if got := r.Step(NewStream(b, 1), x); !slices.Equal(got.Data, want.Data) {
				t.Errorf("%v: another product", p)
			}
		}
	}
}
