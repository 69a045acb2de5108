package published

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/nn"
)

// claims is a layer that says it looks at everything, and does not.
type claims struct{ nn.Layer }

func (claims) Reach() nn.Reach { return nn.Everything() }

// toy is a codec of 400 Hz with frames of 4 samples: a strided convolution and its
// transpose around 64 entries, each after another layer.
func toy(before, after func(channels int) nn.Layer) *Codec {
	rng := rand.New(rand.NewPCG(3, 3))
	fill := func(l interface{ Params() []*nn.Param }, scale float64) {
		for _, p := range l.Params() {
			for i := range p.Data {
				p.Data[i] = float32(rng.NormFloat64() * scale)
			}
		}
	}
	down := nn.NewConv1d("down", 1, 6, 12)
	down.Stride, down.Pad = 4, nn.Padding{Left: 4, Right: 4, Fill: true}
	up := nn.NewConvTranspose1d("up", 6, 1, 12, 4)
	up.TrimLeft, up.TrimRight = 4, 4
	book := nn.NewCodebook("book", 64, 6)
	fill(down, 0.3)
	fill(up, 0.3)
	fill(book, 1)
	in, out := nn.Chain{down}, nn.Chain{}
	if l := before(6); l != nil {
		in = append(in, l)
	}
	if l := after(6); l != nil {
		out = append(out, l)
	}
	return New("toy", &Model{Name: "toy", SampleRate: 400, Hop: 4, Encoder: in, Quantizer: &Residual{Levels: []Level{{Book: book}}}, Decoder: append(out, up)})
}

func none(int) nn.Layer { return nil }

func local(channels int) nn.Layer {
	rng := rand.New(rand.NewPCG(4, 4))
	l := nn.NewConv1d("local", channels, channels, 9)
	l.Pad = nn.Padding{Left: 4, Right: 4}
	for i := range l.Weight.Data {
		l.Weight.Data[i] = float32(rng.NormFloat64() * 0.2)
	}
	return claims{l}
}

func norm(channels int) nn.Layer { return nn.NewGroupNorm("norm", 2, channels) }

func signal(n int) []float32 {
	rng := rand.New(rand.NewPCG(5, 5))
	x := make([]float32, n)
	phase := 0.0
	for i := range x {
		phase += 0.1 + 0.05*math.Sin(float64(i)/300)
		x[i] = float32(math.Sin(phase)*(0.6+0.3*math.Sin(float64(i)/1500)) + 0.02*rng.NormFloat64())
	}
	return x
}

func run(t *testing.T, c *Codec, x []float32) ([]int32, []float32) {
	t.Helper()
	tokens, err := c.Encode(context.Background(), x, 0)
	if err != nil {
		t.Fatal(err)
	}
	wave, err := c.Decode(context.Background(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	if want := (len(x) + 3) / 4; tokens.Frames != want || len(wave) != 4*want {
		t.Fatalf("%d samples give %d frames and %d samples", len(x), tokens.Frames, len(wave))
	}
	return tokens.Codes, wave
}

// Where the parts that look at everything do not, windows give what the whole
// gives: nothing is lost, moved or given twice at a seam.
func TestWindowsOfLocalParts(t *testing.T) {
	x := signal(12_345)
	for name, c := range map[string]*Codec{"encoder": toy(local, none), "decoder": toy(none, local), "both": toy(local, local)} {
		if c.Info().Streaming != codec.StreamingWindowed {
			t.Fatalf("%s: %s", name, c.Info().Streaming)
		}
		codes, wave := run(t, c, x)
		cut := c.Windowed(9 * time.Second)
		got, sound := run(t, cut, x)
		if !slices.Equal(got, codes) {
			t.Errorf("%s: other codes in windows", name)
		}
		for i, v := range sound {
			if d := math.Abs(float64(v - wave[i])); d > 1e-6 {
				t.Fatalf("%s: sample %d is off by %g", name, i, d)
			}
		}
		// Signals around the length of a window.
		for _, n := range []int{0, 1, 3599, 3600, 3601, 6400, 6401} {
			run(t, cut, x[:n])
		}
	}
	if c := toy(none, none); c.Info().Streaming != codec.StreamingExact || c.Info().Latency != 30*time.Millisecond {
		t.Errorf("without such parts: %+v", c.Info())
	}
}

// With a norm over everything, windows differ from the whole, but no seam clicks:
// the largest step near one is no larger than elsewhere.
func TestNoClickAtSeams(t *testing.T) {
	x := signal(24_000)
	c := toy(norm, norm).Windowed(9 * time.Second)
	_, wave := run(t, c, x)
	window, overlap := 3600, 800
	near, far := 0.0, 0.0
	for i := 2; i < len(wave); i++ {
		bend := math.Abs(float64(wave[i] - 2*wave[i-1] + wave[i-2]))
		seam := false
		for at := window - overlap; at < len(wave); at += window - overlap {
			seam = seam || i >= at && i < at+overlap
		}
		if seam {
			near = max(near, bend)
		} else {
			far = max(far, bend)
		}
	}
	if near > 1.1*far {
		t.Errorf("a bend of %g at a seam, at most %g elsewhere", near, far)
	}
}

// Decoding needs as much memory for an hour as for a minute: what is held never
// exceeds a window.
func TestWindowsAreBounded(t *testing.T) {
	c := toy(norm, norm).Windowed(9 * time.Second)
	e, err := c.NewEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.NewDecoder(0)
	if err != nil {
		t.Fatal(err)
	}
	x := signal(1000)
	given, frames := 0, 0
	for range 100 {
		codes, err := e.Encode(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		wave, err := d.Decode(nil, codes)
		if err != nil {
			t.Fatal(err)
		}
		frames += len(codes)
		given += len(wave)
		if n := len(e.(*windowEncoder).pcm); n > 3600 {
			t.Fatalf("%d samples are held", n)
		}
		if n := len(d.(*windowDecoder).codes); n > 900 {
			t.Fatalf("%d codes are held", n)
		}
	}
	if given < 100_000-2*4*900 {
		t.Errorf("only %d samples of 100000 came out", given)
	}
}

// A cancelled context ends both ways; codes outside of their codebook are errors.
func TestRefusals(t *testing.T) {
	c := toy(none, none)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Encode(ctx, signal(5000), 0); err == nil {
		t.Error("a cancelled context encodes")
	}
	tokens, err := c.Encode(context.Background(), signal(5000), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decode(ctx, tokens); err == nil {
		t.Error("a cancelled context decodes")
	}
	for _, bad := range []int32{-1, 64} {
		tokens.Codes[7] = bad
		if _, err := c.Decode(context.Background(), tokens); err == nil {
			t.Errorf("code %d is taken", bad)
		}
	}
	if _, err := c.NewEncoder(2); err == nil {
		t.Error("two codebooks of one")
	}
}

// Concealed frames are as long as lost ones.
func TestConceal(t *testing.T) {
	for _, c := range []*Codec{toy(none, none), toy(none, norm)} {
		d, err := c.NewDecoder(0)
		if err != nil {
			t.Fatal(err)
		}
		wave, err := d.Conceal(nil, 3)
		if err == nil {
			wave, err = d.Decode(wave, []int32{1, 2, 3})
		}
		if err == nil {
			wave, err = d.Conceal(wave, 5)
		}
		if err == nil {
			wave, err = d.Flush(wave)
		}
		if err != nil || len(wave) != 11*4 {
			t.Errorf("%d samples of 11 frames (%v)", len(wave), err)
		}
	}
}
