// Package kernels measures the operations of the processor one by one, each beside
// the limit of the machine that it runs into.
package kernels

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/bench"
	"github.com/sotto-audio/sotto/internal/bench/blas"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Limits of a kernel.
const (
	FMA  = "fma"  // multiply-adds of all cores
	Copy = "copy" // copying the same number of bytes, read and written ones added up
)

// Result is what a kernel reached.
type Result struct {
	Kernel  string  `json:"kernel"`
	Shape   string  `json:"shape"`
	Seconds float64 `json:"seconds"` // of a call
	// Rate counts operations a second, an FMA being two, where the limit is FMA,
	// otherwise bytes.
	Rate  float64 `json:"rate"`
	Limit string  `json:"limit"`
	Share float64 `json:"share"` // of the limit, measured in turns with the kernel
	// OpenBLAS is its rate, Ratio ours over it; 0 where it has no such function or
	// is not installed.
	OpenBLAS float64 `json:"openblas,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
}

// kernel is something to measure. Work is in operations or bytes, by the limit.
type kernel struct {
	name, shape, limit string
	work               float64
	run                func()
}

// Run measures all kernels with a number of threads. l may be nil.
func Run(ctx context.Context, threads int, l *blas.Library, report func(Result)) error {
	m := &machine{cpu.New(threads), rand.New(rand.NewPCG(1, 1)), threads}
	for _, s := range blas.Shapes {
		rows, err := blas.Compare(ctx, l, threads, []blas.Shape{s})
		if err != nil {
			return err
		}
		r, work := rows[0], 2*float64(s.M)*float64(s.K)*float64(s.N)
		result := Result{
			Kernel: "matrix product", Shape: fmt.Sprintf("%d x %d x %d", s.M, s.K, s.N), Seconds: work / r.Ours,
			Rate: r.Ours, Limit: FMA, Share: r.Peak, Ratio: r.Ratio,
		}
		if s.M == 1 { // each weight is read for one multiply-add
			bytes := 4 * float64(s.K) * float64(s.N)
			x, y, w := m.tensor(1, s.K), m.device.New(1, s.N), m.device.Pack(m.values(s.K*s.N), s.K, s.N)
			result, err = m.measure(ctx, kernel{"matrix by vector", fmt.Sprintf("%d x %d", s.K, s.N), Copy, bytes, func() { m.device.MatMul(y, x, w, backend.Epilogue{}) }})
			if err != nil {
				return err
			}
			result.Ratio = r.Ratio
		}
		if r.Ratio > 0 {
			result.OpenBLAS = result.Rate / r.Ratio
		}
		report(result)
	}
	for _, k := range m.kernels() {
		r, err := m.measure(ctx, k)
		if err != nil {
			return err
		}
		report(r)
	}
	return nil
}

type machine struct {
	device  *cpu.Backend
	rng     *rand.Rand
	threads int
}

// measure runs a kernel in turns with its limit.
func (m *machine) measure(ctx context.Context, k kernel) (Result, error) {
	runs := []func(){k.run}
	peak := 0.0
	switch k.limit {
	case FMA:
		peak = m.device.Peak() * float64(m.threads)
	case Copy:
		n := int(k.work / 8)
		x, y := make([]float32, n), make([]float32, n)
		runs = append(runs, func() {
			m.device.Each(n, 1024, 0.05, func(lo, hi int) { copy(y[lo:hi], x[lo:hi]) })
		})
	}
	times, err := bench.Turns(ctx, m.threads, runs...)
	if err != nil {
		return Result{}, err
	}
	r := Result{Kernel: k.name, Shape: k.shape, Seconds: times[0], Rate: k.work / times[0], Limit: k.limit}
	if k.limit == FMA {
		peak = max(peak, m.device.Peak()*float64(m.threads))
		if peak > 0 {
			r.Share = r.Rate / peak
		}
		return r, nil
	}
	r.Share = times[1] / times[0]
	return r, nil
}

func (m *machine) values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(m.rng.NormFloat64())
	}
	return x
}

func (m *machine) tensor(rows, cols int) *backend.Tensor {
	t := m.device.New(rows, cols)
	copy(t.Data, m.values(rows*cols))
	return t
}

// layer runs a layer of random weights on rows of one signal.
func (m *machine) layer(l nn.Layer, rows, cols int) func() {
	for _, p := range l.Params() {
		copy(p.Data, m.values(p.Len()))
	}
	s, x := nn.NewStream(m.device, 1), m.tensor(rows, cols)
	return func() {
		s.Begin()
		l.Step(s, x)
	}
}

func (m *machine) kernels() []kernel {
	var all []kernel
	add := func(name, shape, limit string, work float64, run func()) {
		all = append(all, kernel{name, shape, limit, work, run})
	}
	d := m.device
	for _, p := range []backend.Precision{backend.BFloat16, backend.Int8} {
		for _, s := range [][3]int{{512, 512, 512}, {256, 384, 1152}, {256, 1152, 384}, {1, 384, 1152}} {
			x, y, w := m.tensor(s[0], s[1]), d.New(s[0], s[2]), d.PackReduced(m.values(s[1]*s[2]), s[1], s[2], p)
			add(p.String()+" matrix product", fmt.Sprintf("%d x %d x %d", s[0], s[1], s[2]), FMA,
				2*float64(s[0])*float64(s[1])*float64(s[2]), func() { d.MatMul(y, x, w, backend.Epilogue{}) })
		}
	}
	{
		x, dy, dw := m.tensor(400, 384), m.tensor(400, 1152), d.New(384, 1152)
		add("gradient of weights", "384 x 400 x 1152", FMA, 2*400*384*1152, func() { d.MatMulTN(dw, x, dy) })
	}

	conv := nn.NewConv1d("conv", 512, 512, 7)
	conv.Pad = nn.Padding{Left: 6}
	add("convolution", "100 rows, 512 to 512, 7 taps", FMA, 2*100*7*512*512, m.layer(conv, 100, 512))
	strided := nn.NewConv1d("strided", 256, 512, 16)
	strided.Stride = 8
	strided.Pad = nn.Padding{Left: 8}
	add("convolution", "800 rows, 256 to 512, 16 taps, stride 8", FMA, 2*100*16*256*512, m.layer(strided, 800, 256))
	add("transposed convolution", "100 rows, 512 to 256, 16 taps, stride 8", FMA, 2*100*16*256*512,
		m.layer(nn.NewConvTranspose1d("up", 512, 256, 16, 8), 100, 512))

	const rows, cols = 400, 384
	const bytes = 2 * 4 * rows * cols // one tensor read, one written
	shape := fmt.Sprintf("%d x %d", rows, cols)
	x, y := m.tensor(rows, cols), d.New(rows, cols)
	v, u := m.values(cols), m.values(cols)
	around, taps := m.tensor(rows+6, cols), m.values(7*cols)
	add("depthwise convolution", shape+", 7 taps", Copy, bytes, func() { d.DepthwiseConv(y, around, taps, v, 7, 1) })
	add("layer norm", shape, Copy, bytes, func() { d.LayerNorm(y, x, v, u, 1e-6) })
	add("RMS norm", shape, Copy, bytes, func() { d.RMSNorm(y, x, v, 1e-6) })
	add("group norm", shape+", 8 groups", Copy, bytes, func() { d.GroupNorm(y, x, 8, v, u, 1e-6) })
	for _, f := range []struct {
		name string
		act  backend.Activation
	}{
		{"GELU by exp", backend.GELU}, {"GELU by erf", backend.GELUErf}, {"SiLU", backend.SiLU}, {"ELU", backend.ELU},
		{"tanh", backend.Tanh}, {"sigmoid", backend.Sigmoid}, {"leaky ReLU", backend.LeakyReLU},
	} {
		add(f.name, shape, Copy, bytes, func() { d.Activate(y, x, f.act) })
	}
	snake := backend.Epilogue{Act: backend.Snake, Alpha: v, Inverse: u}
	add("snake by sin²", shape, Copy, bytes, func() { d.Finish(y, x, snake) })
	add("add", shape, Copy, bytes*1.5, func() { d.Add(y, x, y) })

	const heads, width, keys = 8, 512, 256
	q, k, values, out := m.tensor(keys, width), m.tensor(keys, width), m.tensor(keys, width), d.New(keys, width)
	from, to := make([]int32, keys), make([]int32, keys)
	for i := range to {
		to[i] = int32(i + 1)
	}
	add("causal attention", fmt.Sprintf("%d queries, %d heads of %d", keys, heads, width/heads), FMA,
		2*keys*(keys+1)*width, func() { d.Attention(out, q, k, values, from, to, heads, 0.125) })
	memory := d.NewMemory(1500, width, heads)
	d.Remember(memory, m.tensor(1500, width), m.tensor(1500, width))
	one, result := m.tensor(1, width), d.New(1, width)
	add("attention to a cache", fmt.Sprintf("1 query, 1500 keys, %d heads of %d", heads, width/heads), Copy,
		2*4*1500*width, func() { d.Recall(result, one, memory, 0.125) })

	const hidden = 512
	add("LSTM", fmt.Sprintf("1 step of %d", hidden), Copy, 2*4*4*hidden*hidden, m.layer(nn.NewLSTM("lstm", hidden, hidden), 1, hidden))

	for _, n := range []int{320, 512, 640, 1024, 1280, 2048} {
		const frames, hop = 128, 160
		f, err := dsp.NewRealFFT(n)
		if err != nil {
			panic(err)
		}
		signal, window := m.values(n+frames*hop), dsp.Hann(n)
		add("real FFT", fmt.Sprintf("%d frames of %d", frames, n), FMA, frames*2.5*float64(n)*math.Log2(float64(n)), func() {
			d.Each(frames, dsp.Width, 0.8*float64(n), func(lo, hi int) {
				lanes := f.TakeLanes()
				defer lanes.Release()
				for t := lo; t < hi; t += dsp.Width {
					lanes.Forward(signal[t*hop:], hop, min(dsp.Width, hi-t), window)
				}
			})
		})
	}

	for _, s := range [][2]int{{1024, 64}, {1024, 8}, {4096, 512}} {
		book, half := d.PackT(m.values(s[0]*s[1]), s[0], s[1]), m.values(s[0])
		z, codes := m.tensor(256, s[1]), make([]int32, 256)
		add("nearest code", fmt.Sprintf("256 rows, %d entries of %d", s[0], s[1]), FMA, 2*256*float64(s[0])*float64(s[1]),
			func() { d.Nearest(codes, z, book, half) })
	}
	return all
}
