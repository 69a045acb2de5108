package nn

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
)

// PadMode says what stands before the first row of a signal and after its last.
type PadMode int

// Pad modes.
const (
	// PadZero is zeros.
	PadZero PadMode = iota
	// PadReflect mirrors the signal at its first and last row, which are not
	// repeated. A signal that is too short for that is filled up with zeros at its
	// end first, as EnCodec does.
	PadReflect
	// PadReplicate repeats the first and the last row.
	PadReplicate
)

// Padding is what a convolution sees around a signal.
type Padding struct {
	Left, Right int // rows
	Mode        PadMode
	// Fill adds rows at the right until every row is under a kernel, as EnCodec
	// does: T rows give ⌈T/Stride⌉ where Left + Right is the kernel's reach less
	// Stride.
	Fill bool
}

// Conv1d is a convolution along time:
//
//	y[t,n] = b[n] + Σ_j Σ_c w[j,c,n]·x[t·Stride + j·Dilation − Left, c]
//
// The sum starts at 0 and adds by FMA in the order of tap and channel, the bias
// last; where every channel is a group of its own, the sum starts at the bias. With a
// stride of 1, 3 taps and more, one group, 16 channels and more that go in and more than
// 16 that come out, pairs of rows have sums in common: see backend.Convolver.
// Rows are given once all rows that they depend on are there.
type Conv1d struct {
	In, Out, Kernel, Stride, Dilation, Groups int
	Pad                                       Padding
	Weight                                    *Param    // [Kernel, In/Groups, Out]
	Bias                                      *Param    // [Out], may be nil
	After                                     Pointwise // fused, may be nil

	matrices derived
}

// NewConv1d makes a convolution of zeros without padding, with stride, dilation
// and groups of 1; its parameters are called name.weight and name.bias.
func NewConv1d(name string, in, out, kernel int) *Conv1d {
	return &Conv1d{
		In: in, Out: out, Kernel: kernel, Stride: 1, Dilation: 1, Groups: 1,
		Weight: NewParam(name+".weight", kernel, in, out), Bias: NewParam(name+".bias", out),
	}
}

// Params lists weight and bias.
func (l *Conv1d) Params() []*Param {
	if l.Bias == nil {
		return []*Param{l.Weight}
	}
	return []*Param{l.Weight, l.Bias}
}

// reach is the number of rows under the kernel.
func (l *Conv1d) reach() int { return (l.Kernel-1)*l.Dilation + 1 }

// Reach is how far the layer looks.
func (l *Conv1d) Reach() Reach {
	return Reach{
		Past:  float64(l.Pad.Left),
		Ahead: float64(max(l.reach()-l.Pad.Left-l.Stride, 0)),
		Rate:  1 / float64(l.Stride),
	}
}

// Step gives the rows that x settles.
func (l *Conv1d) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	ep := after(l.After)
	if l.Bias != nil {
		ep.Bias = l.Bias.Data
	}
	if l.Kernel == 1 && l.Stride == 1 && l.Groups == 1 && l.Pad.Left == 0 && l.Pad.Right == 0 {
		y := s.Tensor(x.Rows, l.Out)
		s.MatMul(y, x, l.weights(s.Backend, 1)[0], ep)
		return y
	}
	in := window{reach: l.reach(), stride: l.Stride, pad: l.Pad, align: 2 * l.Dilation}
	from, to, parts, joined := in.take(s, l, x, l.In)
	count := to - from
	y := s.Tensor(s.Batch*count, l.Out)
	for _, p := range parts {
		at := p.item*count - from
		l.convolve(s, s.Rows(y, at+p.from, at+p.to), p.rows, p.from, ep)
	}
	s.Release(joined)
	return y
}

// convolve sets y, the signal's rows from first on, to the convolution of the rows of x,
// which suffice for it.
func (l *Conv1d) convolve(s *Stream, y, x *backend.Tensor, first int, ep backend.Epilogue) {
	if l.Groups == l.In && l.In == l.Out && l.Stride == 1 {
		s.DepthwiseConv(y, x, l.Weight.Data, ep.Bias, l.Kernel, l.Dilation)
		if l.After != nil {
			ep.Bias = nil
			s.Finish(y, y, ep)
		}
		return
	}
	if l.paired() {
		l.pairs(s, y, x, first, ep)
		return
	}
	if d, ok := s.Backend.(backend.Convolver); ok && l.fold() == 1 {
		in, out := l.In/l.Groups, l.Out/l.Groups
		for g, w := range l.weights(s.Backend, 1) {
			d.Convolve(s.Part(y, g*out, out), s.Part(x, g*in, in), w, l.Kernel, l.Stride, l.Dilation, slice(ep, g*out, out))
		}
		return
	}
	switch {
	case l.Dilation == 1:
		l.groups(s, y, x, ep)
	case l.Stride == 1:
		// Rows that are Dilation apart form signals of their own.
		d := l.Dilation
		phase := s.Tensor((x.Rows+d-1)/d, l.In)
		for p := range min(d, y.Rows) {
			in := s.Rows(phase, 0, (x.Rows-p+d-1)/d)
			s.Copy(in, s.every(x, p, d))
			l.groups(s, s.every(y, p, d), in, ep)
		}
		s.Release(phase)
	default:
		panic("nn: a convolution with both stride and dilation")
	}
}

// pairedInputs is the number of channels from which on a convolution by pairs is worth
// its differences.
const pairedInputs = 16

// paired says whether rows are computed in pairs. The answer is part of the layer's
// arithmetic, so it depends on its sizes alone.
func (l *Conv1d) paired() bool {
	return l.Stride == 1 && l.Groups == 1 && l.Kernel >= 3 && l.In >= pairedInputs && l.fold() == 1
}

// pairs is convolve for pairs of rows, see backend.Convolver. On a device that does not
// have them, the factors of each row are laid side by side.
func (l *Conv1d) pairs(s *Stream, y, x *backend.Tensor, first int, ep backend.Epilogue) {
	if d, ok := s.Backend.(backend.Convolver); ok {
		w := l.matrices.of(s.Backend, l.Weight, 0, func() []*backend.Weights {
			w := backend.PairWeights(l.Weight.Data, l.Kernel, l.In, l.Out)
			return []*backend.Weights{s.Pack(w, backend.PairTaps(l.Kernel)*l.In, l.Out)}
		})[0]
		d.ConvolvePairs(y, x, w, l.Kernel, l.Dilation, first, ep)
		return
	}
	half, d := l.Kernel/2, l.Dilation
	w := l.matrices.of(s.Backend, l.Weight, 1, func() []*backend.Weights {
		all := backend.PairWeights(l.Weight.Data, l.Kernel, l.In, l.Out)
		g, rest := all[:half*l.In*l.Out], all[half*l.In*l.Out:]
		even := rest[:(l.Kernel-half)*l.In*l.Out]
		odd := rest[half*l.In*l.Out:]
		return []*backend.Weights{
			s.Pack(slices.Concat(g, even), l.Kernel*l.In, l.Out), s.Pack(slices.Concat(g, odd), l.Kernel*l.In, l.Out),
		}
	})
	minus := slices.Repeat([]float32{-1}, l.In)
	for r := range min(2*d, y.Rows) { // rows of one kind, 2·d apart
		to := s.every(y, r, 2*d)
		factors := s.Tensor(to.Rows, l.Kernel*l.In)
		from := func(tap int) *backend.Tensor {
			t := s.every(x, r+tap*d, 2*d)
			t.Rows = to.Rows
			return t
		}
		at := 0
		next := func() *backend.Tensor {
			at++
			return s.Part(factors, (at-1)*l.In, l.In)
		}
		last := func() {
			if l.Kernel%2 == 1 {
				s.Copy(next(), from(l.Kernel-1))
			}
		}
		kind := (first + r) / d % 2
		for i := range half {
			s.Copy(next(), from(2*i+1-kind))
		}
		if kind == 1 {
			last()
		}
		for i := range half {
			s.ScaleAdd(next(), from(2*i+1-kind), minus, from(2*i+kind))
		}
		if kind == 0 {
			last()
		}
		s.MatMul(to, factors, w[kind], ep)
		s.Release(factors)
	}
}

// groups convolves with dilation 1, each group of channels apart.
func (l *Conv1d) groups(s *Stream, y, x *backend.Tensor, ep backend.Epilogue) {
	if l.Groups == 1 {
		l.product(s, y, x, 0, ep)
		return
	}
	in, out := l.In/l.Groups, l.Out/l.Groups
	part := s.Tensor(x.Rows, in)
	for g := range l.Groups {
		s.Copy(part, s.Part(x, g*in, in))
		l.product(s, s.Part(y, g*out, out), part, g, slice(ep, g*out, out))
	}
	s.Release(part)
}

// product multiplies the overlapping rows of a dense x that lie under the kernel,
// one after the other, with the weights of a group.
func (l *Conv1d) product(s *Stream, y, x *backend.Tensor, group int, ep backend.Epilogue) {
	cols, out := x.Cols, y.Cols
	fold := l.fold()
	if fold > 1 && y.Dense() && ep.Act != backend.Snake {
		if n := y.Rows / fold; n > 0 {
			rows := s.shape(x, n, ((fold-1)*l.Stride+l.Kernel)*cols, fold*l.Stride*cols)
			wide := ep
			if ep.Bias != nil {
				wide.Bias = slices.Repeat(ep.Bias[:out], fold)
			}
			s.MatMul(s.shape(y, n, fold*out, fold*out), rows, l.weights(s.Backend, fold)[group], wide)
			done := n * fold
			if done == y.Rows {
				return
			}
			y, x = s.Rows(y, done, y.Rows), s.Rows(x, done*l.Stride, x.Rows)
		}
	}
	s.MatMul(y, s.shape(x, y.Rows, l.Kernel*cols, l.Stride*cols), l.weights(s.Backend, 1)[group], ep)
}

// fold is the number of rows of the output that one row of a product gives. The
// kernels of a product run across outputs: where channels are few, rows are added
// to them, and the weights get zeros, which change no sum.
func (l *Conv1d) fold() int {
	const lanes = 32
	out := l.Out / l.Groups
	best, least := 1, 0.0
	for f := 1; f*out <= lanes; f++ {
		cost := float64((f-1)*l.Stride+l.Kernel) / float64(f)
		if f == 1 || cost < least {
			best, least = f, cost
		}
	}
	return best
}

// weights are the matrices of the groups for products that give fold rows at once:
// [(fold−1)·Stride + Kernel, In/Groups] rows by [fold, Out/Groups] columns.
func (l *Conv1d) weights(b backend.Backend, fold int) []*backend.Weights {
	which := 0
	if fold > 1 {
		which = 1
	}
	return l.matrices.of(b, l.Weight, which, func() []*backend.Weights {
		in, out := l.In/l.Groups, l.Out/l.Groups
		all := make([]*backend.Weights, l.Groups)
		for g := range all {
			w := l.Weight.Data
			if l.Groups > 1 || fold > 1 {
				k, n := ((fold-1)*l.Stride+l.Kernel)*in, fold*out
				w = make([]float32, k*n)
				for f := range fold {
					for r := range l.Kernel * in {
						copy(w[(f*l.Stride*in+r)*n+f*out:][:out], l.Weight.Data[r*l.Out+g*out:])
					}
				}
			}
			all[g] = b.Pack(w, ((fold-1)*l.Stride+l.Kernel)*in, fold*out)
		}
		return all
	})
}

// derived caches what backends hold of a parameter, in two forms.
type derived struct {
	mu       sync.Mutex
	device   [2]backend.Backend
	version  [2]uint64
	matrices [2][]*backend.Weights
}

func (d *derived) of(b backend.Backend, w *Param, form int, make func() []*backend.Weights) []*backend.Weights {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.device[form] != b || d.version[form] != w.version {
		d.device[form], d.version[form], d.matrices[form] = b, w.version, make()
	}
	return d.matrices[form]
}

// slice is the part of an epilogue for columns from on.
func slice(ep backend.Epilogue, from, n int) backend.Epilogue {
	for _, v := range []*[]float32{&ep.Bias, &ep.Alpha, &ep.Inverse, &ep.Scale} {
		if *v != nil {
			*v = (*v)[from : from+n]
		}
	}
	return ep
}

// window cuts a padded signal into the pieces under a kernel.
type window struct {
	reach, stride int
	pad           Padding
	align         int  // pieces of x begin with a multiple of so many outputs
	whole         bool // outputs are not cut into pieces
}

// rows is the number of outputs that n rows settle.
func (w window) rows(n int, last bool) int {
	if n == 0 || !last && w.pad.Mode == PadReflect && n <= w.pad.Left {
		return 0
	}
	padded := w.pad.Left + n
	if last {
		padded += w.right(n)
	}
	if padded < w.reach {
		return 0
	}
	return (padded-w.reach)/w.stride + 1
}

// right is the number of rows after the last of n.
func (w window) right(n int) int {
	r := w.pad.Right
	if w.pad.Fill {
		over := n - w.reach + w.pad.Left + w.pad.Right
		if over > 0 {
			r += (w.stride - over%w.stride) % w.stride
		} else {
			r -= over // one kernel
		}
	}
	return r
}

// source is the row of the signal that stands at i, -1 for zeros.
func (w window) source(i, n int) int {
	if i >= 0 && i < n {
		return i
	}
	switch w.pad.Mode {
	case PadReflect:
		end := max(n, max(w.pad.Left, w.right(n))+1) // zeros follow up to here
		if i < 0 {
			i = -i
		} else if i >= end {
			i = 2*(end-1) - i
		}
		if i >= 0 && i < n {
			return i
		}
	case PadReplicate:
		return min(max(i, 0), n-1)
	}
	return -1
}

// hold is the most rows that stay for later steps.
func (w window) hold() int {
	return max(w.reach-1, w.pad.Left, w.mirror())
}

// mirror is the number of last rows that padding at the right may show.
func (w window) mirror() int {
	switch w.pad.Mode {
	case PadReflect:
		return w.pad.Right + w.stride + 1
	case PadReplicate:
		return 1
	}
	return 0
}

// piece is the outputs from to to of one item of a batch, and the rows of its padded
// signal that they depend on.
type piece struct {
	item, from, to int
	rows           *backend.Tensor
}

// body is the outputs, of those from to to, that depend on nothing but rows of x, which
// are the signal's from seen to n.
func (w window) body(from, to, seen, n int) (first, end int) {
	first = max(from, (seen+w.pad.Left+w.stride-1)/w.stride)
	if a := max(w.align, 1); first > from {
		first = (first + a - 1) / a * a
	}
	end = min(to, (n+w.pad.Left-w.reach)/w.stride+1)
	if n+w.pad.Left < w.reach {
		end = first
	}
	// Few of them cost less together with the others.
	if w.whole || end-first < max(pieceRows, 2*(to-from-(end-first))) {
		return to, to
	}
	return first, end
}

// under is the number of rows under the kernel of so many outputs.
func (w window) under(outputs int) int {
	if outputs == 0 {
		return 0
	}
	return (outputs-1)*w.stride + w.reach
}

// take adds x to what the layer holds of each item, and gives the outputs that are
// settled, from and to, in pieces that live until the next take of the layer. Most of
// the rows are those of x where they lie; joined is the memory of the others, for
// Release.
func (w window) take(s *Stream, l Layer, x *backend.Tensor, cols int) (from, to int, pieces []piece, joined *backend.Tensor) {
	hold := w.hold()
	st := s.State(l, hold, cols)
	steps := x.Rows / s.Batch
	n := st.Seen + steps
	from = st.Given
	to = max(w.rows(n, s.Last), from)
	base := st.Seen - st.Held // the first row that is held
	first, end := to, to
	if x.Dense() {
		first, end = w.body(from, to, st.Seen, n)
	}
	edges := [2][2]int{{from, first}, {end, to}}
	size := w.under(first-from) + w.under(to-end)
	joined = s.Tensor(s.Batch*size, cols)
	keep := min(max(to*w.stride-w.pad.Left, 0), max(n-w.mirror(), 0))
	if w.pad.Mode == PadReflect && to == 0 {
		keep = 0
	}
	keep = max(keep, base)
	if s.Last {
		keep = n
	}
	if n-keep > hold {
		panic(fmt.Sprintf("nn: a convolution holds %d rows of at most %d", n-keep, hold))
	}
	var zeros *backend.Tensor
	pieces = st.pieces[:0]
	for i := range s.Batch {
		held := s.Rows(st.History, i*hold, i*hold+st.Held)
		fresh := s.Rows(x, i*steps, (i+1)*steps)
		// row is the signal's row k, and how many of the rows from there on lie
		// together.
		row := func(k int) (*backend.Tensor, int, int) {
			if k < st.Seen {
				return held, k - base, st.Seen - k
			}
			return fresh, k - st.Seen, n - k
		}
		at := i * size
		for _, e := range edges {
			if e[0] == e[1] {
				continue
			}
			start, count := e[0]*w.stride-w.pad.Left, w.under(e[1]-e[0])
			out := s.Rows(joined, at, at+count)
			at += count
			pieces = append(pieces, piece{i, e[0], e[1], out})
			for r := 0; r < count; {
				k := start + r
				switch src := w.source(k, n); {
				case src < 0:
					if zeros == nil {
						zeros = s.Tensor(1, cols)
						s.Upload(zeros, make([]float32, cols))
					}
					s.Copy(s.Rows(out, r, r+1), zeros)
					r++
				case src != k:
					t, from, _ := row(src)
					s.Copy(s.Rows(out, r, r+1), s.Rows(t, from, from+1))
					r++
				default:
					t, from, run := row(k)
					run = min(run, count-r)
					s.Copy(s.Rows(out, r, r+run), s.Rows(t, from, from+run))
					r += run
				}
			}
		}
		if end > first {
			start := first*w.stride - w.pad.Left - st.Seen
			pieces = append(pieces, piece{i, first, end, s.Rows(fresh, start, start+w.under(end-first))})
		}
		// What stays moves to the front; the rows that move lie in order.
		for k := keep; k < n; {
			t, at, run := row(k)
			if t == held {
				for j := range run {
					if at+j != k-keep+j {
						s.Copy(s.Rows(st.History, i*hold+k-keep+j, i*hold+k-keep+j+1), s.Rows(held, at+j, at+j+1))
					}
				}
			} else {
				s.Copy(s.Rows(st.History, i*hold+k-keep, i*hold+k-keep+run), s.Rows(fresh, at, at+run))
			}
			k += run
		}
	}
	st.Held, st.Seen, st.Given = n-keep, n, to
	st.pieces = pieces
	return from, to, pieces, joined
}

// join is take with all outputs of an item in one piece.
func (w window) join(s *Stream, l Layer, x *backend.Tensor, cols int) (from, to int, joined *backend.Tensor) {
	w.whole = true
	from, to, _, joined = w.take(s, l, x, cols)
	return from, to, joined
}
