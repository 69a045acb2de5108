package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

func random(rng *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * scale)
	}
	return v
}

// project is a scalar cost Σ c·y, whose gradient is c.
type project struct{ c []float32 }

func (project) Name() string { return "project" }
func (p project) Eval(x, y []float32, weight float32, grad []float32) float64 {
	var s float64
	for i, v := range y {
		s += float64(v) * float64(p.c[i])
		grad[i] += weight * p.c[i]
	}
	return s
}

// TestLayerGradients compares the graph's gradients of every layer, with respect
// to its input and parameters, with central differences. A layer in front makes
// the input's gradient visible as that layer's weights' gradient.
func TestLayerGradients(t *testing.T) {
	const batch, steps, in = 2, 5, 8
	hann := make([]float32, 16)
	for i := range hann {
		hann[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/16))
	}
	istft, err := nn.NewISTFT(16, 8, hann)
	if err != nil {
		t.Fatal(err)
	}
	windows, err := newAnalysis(8, 2)
	if err != nil {
		t.Fatal(err)
	}
	conv := func(in int, shape ConvShape) func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
		c, err := NewConv("l", in, shape, backend.Identity)
		if err != nil {
			t.Fatal(err)
		}
		return func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(c, x) }
	}
	for _, c := range []struct {
		name  string
		build func(r *Graph, x *gorgonia.Node) *gorgonia.Node
		front int // columns that the layer takes
	}{
		{"Linear", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(nn.NewLinear("l", 6, 7), x) }, 6},
		{"LayerNorm", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(nn.NewLayerNorm("l", 9), x) }, 9},
		{"LayerNorm without weights", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return r.Apply(&nn.LayerNorm{Eps: 1e-5}, x)
		}, 9},
		{"GELU", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return r.Apply(nn.Activation{Func: backend.GELU}, x)
		}, 5},
		{"SiLU", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return r.Apply(nn.Activation{Func: backend.SiLU}, x)
		}, 5},
		{"Conv along rows", conv(3, ConvShape{Width: 4, Taps: 5, Stride: 3}), 21},
		{"Conv of groups", conv(4, ConvShape{Width: 6, Taps: 3, Stride: 1, Groups: 2}), 20},
		{"Conv over planes", conv(2, ConvShape{Width: 3, Taps: 3, Stride: 2, Rows: 3, Dilation: 2}), 14},
		{"AveragePool", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return r.Apply(&AveragePool{Channels: 2, Taps: 4, Stride: 2, Pad: 2}, x)
		}, 14},
		{"phases", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(phases{3}, x) }, 10},
		{"spectra", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(spectra{windows}, x) }, 18},
		{"LayerScale", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(nn.NewLayerScale("l", 6, 0.7), x) }, 6},
		{"DepthwiseConv", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(nn.NewDepthwiseConv("l", 6, 3, 2), x) }, 6},
		{"Delay", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return r.Apply(&nn.Delay{Rows: 2, Channels: 6}, x)
		}, 6},
		{"Expand", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(nn.Expand{Eps: 0.05}, x) }, 6},
		{"ISTFT", func(r *Graph, x *gorgonia.Node) *gorgonia.Node { return r.Apply(istft, x) }, 18},
		{"ConvNeXt with lookahead", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			return nn.ApplyConvNeXt(r, nn.NewConvNeXt("l", 6, 12, 3, 1, 0.5), x)
		}, 6},
		{"two paths", func(r *Graph, x *gorgonia.Node) *gorgonia.Node {
			h := r.Apply(nn.NewLinear("l", 6, 6), x)
			h = r.Add(h, r.Apply(nn.Activation{Func: backend.GELU}, h))
			return r.Add(r.Add(x, h), r.Apply(nn.NewLinear("m", 6, 6), h))
		}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			g := NewGraph(testDevice(), batch)
			x, data := g.Input("x", batch*steps, in)
			copy(data, random(rng, len(data), 1))
			out := c.build(g, g.Apply(nn.NewLinear("front", in, c.front), x))
			if g.err != nil {
				t.Fatal(g.err)
			}
			rows, cols := out.Shape()[0]/batch, out.Shape()[1]
			o := NewObjective([]Weighted{{Term: project{random(rng, rows*cols, 1)}, Weight: batch, Quantized: 1}},
				make([]float32, batch*rows*cols), make([]bool, batch), batch, 0, cols)
			if err := g.Compile(o.Node(g, out)); err != nil {
				t.Fatal(err)
			}
			for _, w := range g.Weights() {
				copy(w.Data, random(rng, w.Len(), 0.5))
				w.Changed()
			}
			checkGradients(t, g, func() float64 {
				if err := g.Run(); err != nil {
					t.Fatal(err)
				}
				return o.Values[0][0] + o.Values[0][1]
			})
		})
	}
}

// checkGradients bounds the difference between the gradients of a run and
// central differences of cost by 3e-3 of the largest gradient of a parameter,
// which float32 sums need at steps of 1/64 in values near one.
func checkGradients(t *testing.T, g *Graph, cost func() float64) {
	t.Helper()
	for _, w := range g.Weights() {
		cost()
		grad := append([]float32(nil), w.Gradient...)
		var largest float64
		for _, v := range grad {
			largest = max(largest, math.Abs(float64(v)))
		}
		if largest == 0 {
			t.Errorf("%s: gradient is zero", w.Name)
		}
		stride := max(1, len(grad)/24)
		for i := 0; i < len(grad); i += stride {
			at := func(step float32) float64 {
				old := w.Data[i]
				w.Data[i] += step
				w.Changed()
				v := cost()
				w.Data[i] = old
				w.Changed()
				return v
			}
			// Richardson's extrapolation removes the error of the third derivative.
			const h = 1.0 / 64
			d1 := (at(h) - at(-h)) / (2 * h)
			d2 := (at(2*h) - at(-2*h)) / (4 * h)
			want := (4*d1 - d2) / 3
			if math.Abs(want-float64(grad[i])) > 3e-3*largest {
				t.Errorf("%s[%d]: gradient %g, differences give %g (largest %g)", w.Name, i, grad[i], want, largest)
			}
		}
	}
}

// TestOneBackwardPerRun holds the adapter to a single call of Backward for all
// gradients of a layer.
func TestOneBackwardPerRun(t *testing.T) {
	g := NewGraph(testDevice(), 1)
	x, data := g.Input("x", 4, 3)
	for i := range data {
		data[i] = float32(i)
	}
	counter := &counting{Linear: nn.NewLinear("l", 3, 3)}
	h := g.Apply(nn.NewLinear("front", 3, 3), x)
	out := g.Apply(counter, h)
	o := NewObjective([]Weighted{{Term: Waveform{}, Weight: 1, Quantized: 1}}, make([]float32, 12), []bool{false}, 1, 0, 3)
	if err := g.Compile(o.Node(g, out)); err != nil {
		t.Fatal(err)
	}
	for run := 1; run <= 3; run++ {
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		if counter.calls != run {
			t.Fatalf("%d calls of Backward after %d runs", counter.calls, run)
		}
	}
}

type counting struct {
	*nn.Linear
	calls int
}

func (c *counting) Backward(s *nn.Stream, x, y, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	c.calls++
	return c.Linear.Backward(s, x, y, dy, grads)
}

// TestLayerTwice refuses a graph that Backward's sums would get wrong.
func TestLayerTwice(t *testing.T) {
	g := NewGraph(testDevice(), 1)
	x, _ := g.Input("x", 4, 3)
	l := nn.NewLinear("l", 3, 3)
	out := g.Apply(l, g.Apply(l, x))
	if err := g.Compile(out); err == nil {
		t.Fatal("a layer applied twice was accepted")
	}
}
