package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/backend/ref"
)

// randomize fills the parameters of a layer.
func randomize[L Layer](l L, rng *rand.Rand) L {
	for _, p := range l.Params() {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64())
		}
		p.Changed()
	}
	return l
}

// whole runs a layer over a signal in one step.
func whole(b backend.Backend, l Layer, x *backend.Tensor) *backend.Tensor {
	s := NewStream(b, 1)
	s.Last = true
	return l.Step(s, x)
}

// pieces runs a layer over a batch of signals of one length in random pieces,
// perhaps with an empty last one, and gives the rows of each.
func pieces(s *Stream, l Layer, items []*backend.Tensor, rng *rand.Rand) [][]float32 {
	all := make([][]float32, len(items))
	total, cols := items[0].Rows, items[0].Cols
	s.Reset()
	for at, done := 0, false; !done; {
		n := min(total-at, rng.IntN(9))
		if rng.IntN(8) == 0 {
			n = total - at
		}
		done = at+n == total && rng.IntN(2) == 0
		x := backend.Host(make([]float32, len(items)*n*cols), len(items)*n, cols)
		for i, item := range items {
			copy(x.Data[i*n*cols:], item.Data[at*cols:(at+n)*cols])
		}
		s.Begin()
		s.Last = done
		y := l.Step(s, x)
		rows := y.Rows / len(items)
		for i := range items {
			all[i] = append(all[i], y.Data[i*rows*y.Cols:(i+1)*rows*y.Cols]...)
		}
		at += n
	}
	return all
}

// holdsInPieces checks that pieces and batches have the bits of the whole.
func holdsInPieces(t *testing.T, l Layer, cols int, rng *rand.Rand) {
	t.Helper()
	b := device()
	s := NewStream(b, 2)
	for range 12 {
		steps := rng.IntN(60)
		items := []*backend.Tensor{random(steps, cols, rng), random(steps, cols, rng)}
		got := pieces(s, l, items, rng)
		for i, x := range items {
			if want := whole(b, l, x); !slices.Equal(got[i], want.Data) {
				t.Fatalf("item %d of %d rows: %d values in pieces, %d whole, or other bits", i, steps, len(got[i]), len(want.Data))
			}
		}
	}
}

// padded is the signal with what stands around it, written as EnCodec's paper code
// does it: rows of float64.
func padded(x *backend.Tensor, left, right int, mode PadMode) [][]float64 {
	var rows [][]float64
	for t := range x.Rows {
		rows = append(rows, row64(x.Row(t)))
	}
	zero := make([]float64, x.Cols)
	cut := 0
	if mode == PadReflect && len(rows) <= max(left, right) {
		cut = max(left, right) - len(rows) + 1
		for range cut {
			rows = append(rows, zero)
		}
	}
	n := len(rows)
	var out [][]float64
	for i := -left; i < n+right; i++ {
		switch {
		case i >= 0 && i < n:
			out = append(out, rows[i])
		case mode == PadReflect && i < 0:
			out = append(out, rows[-i])
		case mode == PadReflect:
			out = append(out, rows[2*n-2-i])
		case mode == PadReplicate:
			out = append(out, rows[min(max(i, 0), n-1)])
		default:
			out = append(out, zero)
		}
	}
	return out[:len(out)-cut]
}

func row64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// conv64 is the definition of a convolution of a padded signal.
func conv64(l *Conv1d, x *backend.Tensor) [][]float64 {
	right := l.Pad.Right
	if l.Pad.Fill {
		// get_extra_padding_for_conv1d of EnCodec.
		total := l.Pad.Left + l.Pad.Right
		frames := float64(x.Rows-l.reach()+total)/float64(l.Stride) + 1
		right += (int(math.Ceil(frames))-1)*l.Stride + l.reach() - total - x.Rows
	}
	rows := padded(x, l.Pad.Left, right, l.Pad.Mode)
	in, out := l.In/l.Groups, l.Out/l.Groups
	var y [][]float64
	for t := 0; t+l.reach() <= len(rows); t += l.Stride {
		row := make([]float64, l.Out)
		for n := range row {
			if l.Bias != nil {
				row[n] = float64(l.Bias.Data[n])
			}
			for j := range l.Kernel {
				for c := range in {
					row[n] += float64(l.Weight.Data[(j*in+c)*l.Out+n]) * rows[t+j*l.Dilation][n/out*in+c]
				}
			}
		}
		y = append(y, row)
	}
	return y
}

func near(t *testing.T, what string, got *backend.Tensor, want [][]float64) {
	t.Helper()
	if got.Rows != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, got.Rows, len(want))
	}
	for r, row := range want {
		for c, v := range row {
			if d := math.Abs(float64(got.Row(r)[c]) - v); !(d < 1e-4) {
				t.Fatalf("%s: row %d column %d is %g, want %g", what, r, c, got.Row(r)[c], v)
			}
		}
	}
}

// plain is a backend without what others may have besides.
type plain struct{ backend.Backend }

func TestConv1d(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	for i := range 150 {
		groups := 1
		if rng.IntN(4) == 0 {
			groups = 1 + rng.IntN(4)
		}
		l := NewConv1d("c", groups*(1+rng.IntN(5)), groups*(1+rng.IntN(24)), 1+rng.IntN(9))
		l.Groups = groups
		switch rng.IntN(6) {
		case 0: // depthwise
			l = NewConv1d("c", 7, 7, 1+rng.IntN(7))
			l.Groups = 7
		case 1: // in pairs
			l = NewConv1d("c", 16+rng.IntN(20), 17+rng.IntN(50), 3+rng.IntN(9))
		}
		l.Weight = NewParam("c.weight", l.Kernel, l.In/l.Groups, l.Out)
		if rng.IntN(2) == 0 {
			l.Stride = 1 + rng.IntN(6)
		} else {
			l.Dilation = 1 + rng.IntN(4)
		}
		l.Pad = Padding{Left: rng.IntN(8), Right: rng.IntN(8), Mode: PadMode(rng.IntN(3))}
		if rng.IntN(2) == 0 && l.reach() >= l.Stride {
			total := l.reach() - l.Stride
			l.Pad.Left = rng.IntN(total + 1)
			l.Pad.Right, l.Pad.Fill = total-l.Pad.Left, true
		}
		if rng.IntN(4) == 0 {
			l.Bias = nil
		}
		randomize(l, rng)
		what := fmt.Sprintf("case %d: %d to %d in %d groups, kernel %d, stride %d, dilation %d, %+v", i, l.In, l.Out, l.Groups, l.Kernel, l.Stride, l.Dilation, l.Pad)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for range 4 {
				x := random(1+rng.IntN(50), l.In, rng)
				y := whole(device(), l, x)
				near(t, what, y, conv64(l, x))
				if want := whole(ref.Backend{}, l, x); !slices.Equal(y.Data, want.Data) {
					t.Fatal(what + ": the naive backend gives other bits")
				}
				if want := whole(plain{ref.Backend{}}, l, x); !slices.Equal(y.Data, want.Data) {
					t.Fatal(what + ": a backend of products alone gives other bits")
				}
			}
			if t.Failed() {
				return
			}
			holdsInPieces(t, l, l.In, rng)
		})
	}
}

// What follows a convolution gives the same fused and apart.
func TestConvAfter(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	snake := randomize(NewSnake("s", 12), rng)
	for _, p := range []Pointwise{Activation{backend.ELU}, Activation{backend.LeakyReLU100}, snake} {
		for _, groups := range []int{1, 3, 12} {
			l := NewConv1d("c", 12, 12, 5)
			l.Groups, l.Weight = groups, NewParam("c.weight", 5, 12/groups, 12)
			randomize(l, rng)
			tr := randomize(NewConvTranspose1d("t", 12, 12, 4, 2), rng)
			x := random(40, 12, rng)
			want := whole(device(), p, whole(device(), l, x))
			wantT := whole(device(), p, whole(device(), tr, x))
			l.After, tr.After = p, p
			if !slices.Equal(whole(device(), l, x).Data, want.Data) || !slices.Equal(whole(device(), tr, x).Data, wantT.Data) {
				t.Errorf("%T in %d groups differs", p, groups)
			}
		}
	}
}

func TestConvTranspose1d(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	for i := range 80 {
		stride := 1 + rng.IntN(8)
		l := NewConvTranspose1d("t", 1+rng.IntN(6), 1+rng.IntN(6), stride+rng.IntN(2*stride), stride)
		if rng.IntN(4) == 0 {
			l = NewConvTranspose1d("t", 5, 5, l.Kernel, stride)
			l.Groups, l.Weight = 5, NewParam("t.weight", l.Kernel, 1, 5)
		}
		l.TrimRight = rng.IntN(l.Kernel - stride + 1)
		l.TrimLeft = rng.IntN(l.Kernel)
		if l.TrimLeft+l.TrimRight > l.Kernel {
			l.TrimLeft = 0
		}
		randomize(l, rng)
		what := fmt.Sprintf("case %d: %d to %d in %d groups, kernel %d, stride %d, trim %d and %d", i, l.In, l.Out, l.Groups, l.Kernel, stride, l.TrimLeft, l.TrimRight)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for range 4 {
				x := random(1+rng.IntN(20), l.In, rng)
				sum := make([][]float64, (x.Rows-1)*stride+l.Kernel)
				for r := range sum {
					sum[r] = row64(l.Bias.Data)
				}
				for r := range x.Rows {
					for j := range l.Kernel {
						for n := range l.Out {
							for c := range l.In / l.Groups {
								src := c
								if l.Groups > 1 {
									src = n
								}
								sum[r*stride+j][n] += float64(x.Row(r)[src]) * float64(l.Weight.Data[(j*l.In/l.Groups+c)*l.Out+n])
							}
						}
					}
				}
				near(t, what, whole(device(), l, x), sum[l.TrimLeft:len(sum)-l.TrimRight])
			}
			holdsInPieces(t, l, l.In, rng)
		})
	}
}

// A residual whose paths have different lookahead, norms over the whole signal and
// recurrent layers give in pieces what they give whole.
func TestPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 1))
	ahead := NewConv1d("a", 6, 6, 7)
	ahead.Pad = Padding{Left: 3, Right: 3, Mode: PadReflect}
	dilated := NewConv1d("d", 6, 6, 3)
	dilated.Dilation, dilated.Pad = 5, Padding{Left: 5, Right: 5}
	block := func(branch, shortcut Layer) Layer { return &Residual{Branch: branch, Shortcut: shortcut} }
	for name, l := range map[string]Layer{
		"identity shortcut": block(ahead, nil),
		"two paths":         block(Chain{ahead, Activation{backend.ELU}, dilated}, NewConv1d("p", 6, 6, 1)),
		"shortcut behind":   block(NewConv1d("p", 6, 6, 1), ahead),
		"group norm":        NewGroupNorm("g", 3, 6),
		"norm inside":       block(Chain{NewGroupNorm("g", 3, 6), ahead}, nil),
		"rms norm":          NewRMSNorm("r", 6),
		"trim":              &Trim{Left: 3, Right: 2},
		"blocks":            &Blocks{Rows: 4, Layer: NewConv1d("p", 6, 6, 1)},
		"lstm":              NewLSTMStack("l", 6, 9, 2, false),
		"lstm beside":       block(NewLSTMStack("l", 6, 6, 2, false), nil),
		"both directions":   NewLSTMStack("l", 6, 5, 2, true),
	} {
		t.Run(name, func(t *testing.T) { holdsInPieces(t, randomize(l, rng), 6, rng) })
	}
}

// lstm64 is the definition of the layer.
func lstm64(l *LSTM, x [][]float64) [][]float64 {
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	h, c := make([]float64, l.Size), make([]float64, l.Size)
	y := make([][]float64, len(x))
	for i := range x {
		t := i
		if l.Backward {
			t = len(x) - 1 - i
		}
		gates := row64(l.Input.Bias.Data)
		for n := range gates {
			for k, v := range x[t] {
				gates[n] += v * float64(l.Input.Weight.Data[k*len(gates)+n])
			}
			for k, v := range h {
				gates[n] += v * float64(l.Hidden.Weight.Data[k*len(gates)+n])
			}
		}
		for k := range h {
			c[k] = sigmoid(gates[l.Size+k])*c[k] + sigmoid(gates[k])*math.Tanh(gates[2*l.Size+k])
		}
		for k := range h {
			h[k] = sigmoid(gates[3*l.Size+k]) * math.Tanh(c[k])
		}
		y[t] = slices.Clone(h)
	}
	return y
}

func TestLSTM(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 1))
	c := randomize(NewLSTMStack("l", 7, 6, 1, true), rng)
	l := c[0].(*BiLSTM)
	x := random(30, 7, rng)
	var rows [][]float64
	for r := range x.Rows {
		rows = append(rows, row64(x.Row(r)))
	}
	f, b := lstm64(l.Forward, rows), lstm64(l.Back, rows)
	var want [][]float64
	for r := range f {
		want = append(want, append(f[r], b[r]...))
	}
	near(t, "both directions", whole(device(), c, x), want)
	near(t, "forward", whole(device(), l.Forward, x), lstm64(l.Forward, rows))
}

// The reach of layers is what their outputs depend on.
func TestReach(t *testing.T) {
	rng := rand.New(rand.NewPCG(26, 1))
	down := NewConv1d("d", 2, 3, 8)
	down.Stride, down.Pad = 4, Padding{Left: 2, Right: 2}
	mid := NewConv1d("m", 3, 3, 3)
	mid.Dilation, mid.Pad = 3, Padding{Left: 3, Right: 3}
	up := NewConvTranspose1d("u", 3, 2, 8, 4)
	up.TrimLeft, up.TrimRight = 2, 2
	c := randomize(Chain{down, &Residual{Branch: mid}, up}, rng)
	r := c.Reach()
	if r.Rate != 1 {
		t.Fatalf("rate %g", r.Rate)
	}
	x := random(200, 2, rng)
	y := slices.Clone(whole(device(), c, x).Data)
	past, ahead := 0, 0
	for at := 60; at < 64; at++ {
		z := backend.Host(slices.Clone(x.Data), 200, 2)
		z.Row(at)[0]++
		for i, v := range whole(device(), c, z).Data {
			if v != y[i] {
				past, ahead = max(past, i/2-at), max(ahead, at-i/2)
			}
		}
	}
	// A frame of 4 rows stands for its rows.
	if float64(past) > r.Past+3 || float64(ahead) > r.Ahead+3 || float64(past) < r.Past-4 || float64(ahead) < r.Ahead-4 {
		t.Errorf("reach %+v, but rows depend on %d before and %d after", r, past, ahead)
	}
}

// Large tensors go through a chain in pieces, with the bits of one layer after the
// other.
func TestLargePieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 1))
	conv := func(in, out, kernel, stride, dilation int) *Conv1d {
		l := NewConv1d("c", in, out, kernel)
		l.Stride, l.Dilation = stride, dilation
		total := l.reach() - stride
		l.Pad = Padding{Left: total - total/2, Right: total / 2, Mode: PadReflect, Fill: true}
		return l
	}
	up := NewConvTranspose1d("u", 24, 24, 6, 3)
	up.TrimLeft, up.TrimRight = 1, 2
	c := Chain{
		conv(2, 24, 7, 1, 1), Activation{backend.ELU}, &Residual{Branch: Chain{conv(24, 24, 3, 1, 5), Activation{backend.ELU}, conv(24, 24, 3, 1, 1)}},
		conv(24, 24, 4, 2, 1), NewGroupNorm("g", 4, 24), up, &Residual{Branch: Chain{conv(24, 24, 3, 1, 1), NewGroupNorm("h", 2, 24)}, Shortcut: conv(24, 24, 5, 1, 1)},
		conv(24, 1, 5, 1, 1), conv(1, 8, 400, 200, 1), // pieces would have too few rows here
	}
	randomize(c, rng)
	x := random(50_001, 2, rng)
	s := NewStream(device(), 1)
	for range 2 { // the second time with the memory of the first
		s.Reset()
		s.Begin()
		s.Last = true
		got := c.Step(s, x)
		want := x
		for _, l := range c {
			want = whole(device(), l, want)
		}
		if got.Rows != want.Rows || !slices.Equal(got.Data, want.Data) {
			t.Fatal("other bits in pieces")
		}
	}
}

// Rows of a long step are read where they lie, apart from those at its edges: the same
// bits, wherever steps begin.
func TestLongSteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(28, 1))
	for range 12 {
		l := NewConv1d("c", 16+rng.IntN(30), 17+rng.IntN(30), 2+rng.IntN(10))
		l.Dilation = 1 + rng.IntN(5)
		l.Pad = Padding{Left: rng.IntN(l.reach()), Right: rng.IntN(l.reach()), Mode: PadMode(rng.IntN(3))}
		randomize(l, rng)
		strided := randomize(NewConv1d("s", 6, 20, 5), rng)
		strided.Stride, strided.Pad = 3, Padding{Left: 1, Right: 1, Mode: PadReflect}
		tr := randomize(NewConvTranspose1d("t", 5, 4, 7, 3), rng)
		tr.TrimLeft, tr.TrimRight = 2, 2
		for _, c := range []struct {
			l    Layer
			cols int
		}{{l, l.In}, {strided, 6}, {tr, tr.In}, {&Residual{Branch: Chain{l, NewConv1d("p", l.Out, l.In, 1)}}, l.In}} {
			items := []*backend.Tensor{random(700, c.cols, rng), random(700, c.cols, rng)}
			var got [2][]float32
			s := NewStream(device(), 2)
			for at := 0; at < 700; {
				n := min(700-at, 1+rng.IntN(400))
				x := random(2*n, c.cols, rng)
				for i, item := range items {
					copy(x.Data[i*n*c.cols:], item.Slice(at, at+n).Data)
				}
				at += n
				s.Begin()
				s.Last = at == 700
				y := c.l.Step(s, x)
				for i := range got {
					got[i] = append(got[i], y.Data[i*len(y.Data)/2:(i+1)*len(y.Data)/2]...)
				}
			}
			for i, x := range items {
				if want := whole(plain{ref.Backend{}}, c.l, x); !slices.Equal(got[i], want.Data) {
					t.Fatalf("%T: item %d has other bits in long steps", c.l, i)
				}
			}
		}
	}
}

// Released memory is used again, and what lives is left alone.
func TestRelease(t *testing.T) {
	s := NewStream(cpu.New(1), 1)
	for range 3 {
		s.Begin()
		a, b := s.Tensor(10, 10), s.Tensor(5, 5)
		memory := &a.Data[0]
		s.Release(b, a, a)
		c, d, e := s.Tensor(4, 4), s.Tensor(9, 9), s.Tensor(1, 1)
		if &d.Data[0] != memory || &c.Data[0] == memory || &e.Data[0] == memory {
			t.Fatal("memory is not used again, or twice")
		}
	}
	chain := Chain{NewConv1d("a", 3, 3, 5), NewConv1d("b", 3, 3, 5), NewConv1d("c", 3, 3, 5)}
	x := random(50, 3, rand.New(rand.NewPCG(1, 1)))
	step := func() {
		s.Begin()
		chain.Step(s, x)
	}
	step()
	step()
	if n := testing.AllocsPerRun(20, step); n > 3 { // the biases of folded products
		t.Errorf("%g allocations a step", n)
	}
}

// BenchmarkConv1d runs the convolutions of a codec of 24 kHz on half a second.
func BenchmarkConv1d(b *testing.B) {
	for _, c := range []struct{ in, out, kernel, stride, dilation, rows int }{
		{1, 32, 7, 1, 1, 12000}, {32, 16, 3, 1, 1, 12000}, {32, 16, 3, 1, 3, 12000}, {16, 32, 1, 1, 1, 12000}, {32, 64, 4, 2, 1, 12000},
		{128, 256, 10, 5, 1, 1500}, {256, 512, 16, 8, 1, 300}, {512, 128, 7, 1, 1, 38}, {32, 1, 7, 1, 1, 12000}, {64, 64, 11, 1, 5, 4000},
	} {
		b.Run(fmt.Sprintf("%dx%d-%d-s%d-d%d", c.in, c.out, c.kernel, c.stride, c.dilation), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			l := NewConv1d("c", c.in, c.out, c.kernel)
			l.Stride, l.Dilation = c.stride, c.dilation
			randomize(l, rng)
			x := random(c.rows, c.in, rng)
			s := NewStream(cpu.New(1), 1)
			for b.Loop() {
				s.Reset()
				s.Begin()
				s.Last = true
				l.Step(s, x)
			}
			flops := 2 * float64(c.rows/c.stride*c.in*c.out*c.kernel) * float64(b.N)
			b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
