package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// naiveConv is the definition in float64: y, and the gradients of Σ dy·y.
func naiveConv(c *Conv, items int, x, dy *backend.Tensor) (y, dx []float64, grads [][]float64) {
	rows, places := x.Rows/items, x.Cols/c.In
	outPlaces := (places-1)/c.Stride + 1
	y, dx = make([]float64, items*rows*outPlaces*c.Out), make([]float64, len(x.Data))
	for _, p := range c.Params() {
		grads = append(grads, make([]float64, p.Len()))
	}
	in, out := c.In/c.Groups, c.Out/c.Groups
	for item := range items {
		for row := range rows {
			for place := range outPlaces {
				for ch := range c.Out {
					g, o := ch/out, ch%out
					at := ((item*rows+row)*outPlaces+place)*c.Out + ch
					s := float64(c.Parts[g].Bias.Data[o])
					type use struct{ x, w int }
					var uses []use
					for r := range c.Rows {
						for tap := range c.Taps {
							from, p := row+(r-c.Rows/2)*c.Dilation, place*c.Stride+tap-c.Taps/2
							if from < 0 || from >= rows || p < 0 || p >= places {
								continue
							}
							for i := range in {
								u := use{((item*rows+from)*places+p)*c.In + g*in + i, ((r*c.Taps+tap)*in+i)*out + o}
								s += float64(x.Data[u.x]) * float64(c.Parts[g].Weight.Data[u.w])
								uses = append(uses, u)
							}
						}
					}
					slope := 1.0
					if c.Act == backend.LeakyReLU && s < 0 {
						slope = 0.1
					}
					y[at] = s * slope
					d := slope * float64(dy.Data[at])
					grads[2*g+1][o] += d
					for _, u := range uses {
						dx[u.x] += d * float64(c.Parts[g].Weight.Data[u.w])
						grads[2*g][u.w] += d * float64(x.Data[u.x])
					}
				}
			}
		}
	}
	return y, dx, grads
}

// TestConv compares convolutions and all of their gradients with the definition,
// on planes below and above the size of a block.
func TestConv(t *testing.T) {
	for i, c := range []struct {
		items, rows, places, in int
		shape                   ConvShape
		act                     backend.Activation
	}{
		{1, 1, 1, 1, ConvShape{Width: 1, Taps: 1, Stride: 1}, backend.Identity},
		{2, 1, 50, 1, ConvShape{Width: 5, Taps: 15, Stride: 1}, backend.LeakyReLU},
		{2, 3, 47, 8, ConvShape{Width: 32, Taps: 5, Stride: 3}, backend.LeakyReLU},
		{1, 1, 700, 40, ConvShape{Width: 7, Taps: 41, Stride: 4}, backend.LeakyReLU},
		{2, 2, 90, 12, ConvShape{Width: 8, Taps: 11, Stride: 2, Groups: 4}, backend.LeakyReLU},
		{1, 1, 9, 6, ConvShape{Width: 6, Taps: 41, Stride: 1, Groups: 3}, backend.Identity},
		{2, 9, 20, 2, ConvShape{Width: 16, Taps: 9, Stride: 1, Rows: 3}, backend.LeakyReLU},
		{2, 9, 33, 16, ConvShape{Width: 33, Taps: 9, Stride: 2, Rows: 3, Dilation: 4}, backend.LeakyReLU},
		{3, 40, 60, 32, ConvShape{Width: 2, Taps: 3, Stride: 1, Rows: 3}, backend.Identity},
		{1, 2, 5, 3, ConvShape{Width: 2, Taps: 1, Stride: 3, Rows: 5}, backend.Identity},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			conv, err := NewConv("c", c.in, c.shape, c.act)
			if err != nil {
				t.Fatal(err)
			}
			conv.Init(rng)
			for _, p := range conv.Parts {
				copy(p.Bias.Data, random(rng, p.Out, 0.3))
			}
			s := nn.NewStream(testDevice(), c.items)
			x := backend.Host(random(rng, c.items*c.rows*c.places*c.in, 1), c.items*c.rows, c.places*c.in)
			y := conv.Step(s, x)
			dy := backend.Host(random(rng, len(y.Data), 1), y.Rows, y.Cols)
			var grads [][]float32
			for _, p := range conv.Params() {
				grads = append(grads, make([]float32, p.Len()))
			}
			dx := conv.Backward(s, x, y, dy, grads)
			alone := conv.BackwardInput(s, x, y, dy)
			wantY, wantX, wantGrads := naiveConv(conv, c.items, x, dy)
			close64(t, "y", y.Data, wantY)
			close64(t, "dx", dx.Data, wantX)
			close64(t, "dx alone", alone.Data, wantX)
			for i, p := range conv.Params() {
				close64(t, p.Name, grads[i], wantGrads[i])
			}
		})
	}
	for _, bad := range []ConvShape{{Width: 4, Taps: 4, Stride: 1}, {Width: 4, Taps: 3, Stride: 0}, {Width: 4, Taps: 3, Stride: 1, Groups: 3}} {
		if _, err := NewConv("c", 6, bad, backend.Identity); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// close64 bounds differences by 2e-5 of the largest value and a little for zeros.
func close64(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	var largest float64
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range want {
		if !(math.Abs(v-float64(got[i])) <= 2e-5*largest+1e-7) {
			t.Errorf("%s[%d] = %g, want %g (largest %g)", name, i, got[i], v, largest)
			return
		}
	}
}

// TestAveragePool counts the zeros beside the ends.
func TestAveragePool(t *testing.T) {
	s := nn.NewStream(testDevice(), 1)
	x := backend.Host([]float32{4, 8, 12, 16, 20}, 1, 5)
	y := (&AveragePool{Channels: 1, Taps: 4, Stride: 2, Pad: 2}).Step(s, x)
	close64(t, "y", y.Data, []float64{3, 10, 12})
}
