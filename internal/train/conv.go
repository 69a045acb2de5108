package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// ConvShape is a convolution with a leaky ReLU in a recipe. Groups, Rows and
// Dilation are 1 where they are 0.
type ConvShape struct {
	Width    int `json:"width"`              // channels that it gives
	Taps     int `json:"taps"`               // along a row
	Stride   int `json:"stride"`             // along a row
	Groups   int `json:"groups,omitempty"`   // of channels that do not mix
	Rows     int `json:"rows,omitempty"`     // taps across rows
	Dilation int `json:"dilation,omitempty"` // of these
}

// Conv is a convolution over the planes of a batch, through unfolded blocks of its
// input and matrix products. A plane is the rows of an item; a row holds places
// of In channels each. Time lies along a row in signals and across the rows in
// spectra, whose places are frequencies. Taps are odd, and zeros on both sides keep
// the size but for the stride.
//
// It looks at whole items: unlike the layers of package nn it does not stream.
type Conv struct {
	In, Out int
	ConvShape
	Act backend.Activation // Identity or LeakyReLU
	// Parts are the products of the groups, each [Rows·Taps·In/Groups, Out/Groups].
	Parts []*nn.Linear
}

// NewConv makes a convolution of zeros whose parameters are called name.weight
// and name.bias, with groups name.group0.weight and so on.
func NewConv(name string, in int, shape ConvShape, act backend.Activation) (*Conv, error) {
	shape.Groups, shape.Rows, shape.Dilation = max(shape.Groups, 1), max(shape.Rows, 1), max(shape.Dilation, 1)
	c := &Conv{In: in, Out: shape.Width, ConvShape: shape, Act: act}
	if in < 1 || shape.Width < 1 || shape.Taps < 1 || shape.Stride < 1 || shape.Taps%2 == 0 || shape.Rows%2 == 0 || in%shape.Groups != 0 || shape.Width%shape.Groups != 0 {
		return nil, fmt.Errorf("train: %s: no convolution from %d channels (taps and rows must be odd, groups divide both widths): %+v", name, in, shape)
	}
	for g := range shape.Groups {
		part := name
		if shape.Groups > 1 {
			part = fmt.Sprintf("%s.group%d", name, g)
		}
		c.Parts = append(c.Parts, nn.NewLinear(part, shape.Rows*shape.Taps*in/shape.Groups, shape.Width/shape.Groups))
	}
	return c, nil
}

// Init draws weights that keep the variance through a leaky ReLU (He et al. 2015).
func (c *Conv) Init(rng *rand.Rand) {
	for _, p := range c.Parts {
		scale := math.Sqrt(2 / (1.01 * float64(p.In)))
		for i := range p.Weight.Data {
			p.Weight.Data[i] = float32(scale * rng.NormFloat64())
		}
		p.Weight.Changed()
	}
}

// Params lists those of the groups.
func (c *Conv) Params() []*nn.Param {
	var all []*nn.Param
	for _, p := range c.Parts {
		all = append(all, p.Params()...)
	}
	return all
}

// plane is the geometry of a call: what the rows and places of an item become.
type plane struct {
	items, rows, places       int
	outRows, outPlaces, block int // block is the number of outputs that are unfolded at once
}

// unfoldedSize is the number of values of a block: it stays in the cache.
const unfoldedSize = 1 << 16

func (c *Conv) plane(items int, x *backend.Tensor) plane {
	p := plane{items: items, rows: x.Rows / items, places: x.Cols / c.In}
	p.outRows = p.rows + 2*c.rowPad() - (c.Rows-1)*c.Dilation
	p.outPlaces = (p.places+2*c.pad()-c.Taps)/c.Stride + 1
	p.block = max(unfoldedSize/c.Parts[0].In, 48)
	return p
}

func (c *Conv) pad() int    { return (c.Taps - 1) / 2 }
func (c *Conv) rowPad() int { return (c.Rows - 1) / 2 * c.Dilation }

// outputs is the number of places that the convolution gives for x.
func (p plane) outputs() int { return p.items * p.outRows * p.outPlaces }

// strip is a run of outputs of one row.
type strip struct {
	at         int // in the block
	item, row  int // of the output
	first, end int // places
}

// strips calls f for the blocks of outputs, whole rows where they fit.
func (p plane) strips(f func(from, to int, strips []strip)) {
	var all []strip
	n := p.outputs()
	for from := 0; from < n; {
		to := min(n, from+p.block)
		if whole := to / p.outPlaces * p.outPlaces; whole > from {
			to = whole
		}
		all = all[:0]
		for at := from; at < to; {
			row, place := at/p.outPlaces, at%p.outPlaces
			end := min(p.outPlaces, place+to-at)
			all = append(all, strip{at - from, row / p.outRows, row % p.outRows, place, end})
			at += end - place
		}
		f(from, to, all)
		from = to
	}
}

// unfoldedBlocks are memory for blocks.
var unfoldedBlocks = sync.Pool{New: func() any { return new([]float32) }}

// blocks calls f for all blocks with memory for each and the rows of y, a view of
// the outputs as one place each.
func (c *Conv) blocks(p plane, f func(unfolded *backend.Tensor, from, to int, strips []strip)) {
	k := c.Parts[0].In
	buf := unfoldedBlocks.Get().(*[]float32)
	defer unfoldedBlocks.Put(buf)
	if size := p.block * k; len(*buf) < size {
		*buf = make([]float32, size)
	}
	p.strips(func(from, to int, strips []strip) {
		f(backend.Host(*buf, to-from, k), from, to, strips)
	})
}

// group is the view of the channels of a group at the outputs from to to.
func (c *Conv) group(y *backend.Tensor, g, from, to int) *backend.Tensor {
	width := c.Out / c.Groups
	return &backend.Tensor{Rows: to - from, Cols: width, Stride: c.Out, Data: y.Data[from*c.Out+g*width:]}
}

// inputRow is the row of the input that a tap across rows reads, if any.
func (c *Conv) inputRow(p plane, s strip, tap int) (row int, ok bool) {
	row = s.row + tap*c.Dilation - c.rowPad()
	return s.item*p.rows + row, row >= 0 && row < p.rows
}

// unfold copies what each output of a group sees into a row.
func (c *Conv) unfold(dst, x *backend.Tensor, p plane, strips []strip, g int) {
	width := c.In / c.Groups
	seen := c.Taps * width
	for _, s := range strips {
		for tap := range c.Rows {
			row, ok := c.inputRow(p, s, tap)
			if !ok {
				for i := range s.end - s.first {
					clear(dst.Row(s.at + i)[tap*seen:][:seen])
				}
				continue
			}
			src := x.Row(row)
			for place := s.first; place < s.end; place++ {
				out := dst.Row(s.at + place - s.first)[tap*seen:][:seen]
				start := place*c.Stride - c.pad()
				lo, hi := max(0, -start), min(c.Taps, p.places-start)
				clear(out[:lo*width])
				clear(out[hi*width:])
				if c.Groups == 1 {
					copy(out[lo*width:hi*width], src[(start+lo)*width:])
					continue
				}
				for j := lo; j < hi; j++ {
					copy(out[j*width:][:width], src[(start+j)*c.In+g*width:])
				}
			}
		}
	}
}

// fold adds unfolded gradients to those of the input: the transpose of unfold.
// Taps that lie side by side in steps of the stride do not overlap from one output
// to the next and are added together.
func (c *Conv) fold(b backend.Backend, dx, src *backend.Tensor, p plane, strips []strip, g int) {
	width := c.In / c.Groups
	together := c.Stride
	if c.Groups > 1 {
		together = 1
	}
	for _, s := range strips {
		for tap := range c.Rows {
			row, ok := c.inputRow(p, s, tap)
			if !ok {
				continue
			}
			out := dx.Row(row)
			for j := 0; j < c.Taps; j += together {
				n := min(together, c.Taps-j)
				// The outputs whose n taps all lie inside, and the ones at the edges.
				first, end := s.first, s.end
				inside := func(place int) bool {
					at := place*c.Stride - c.pad() + j
					return at >= 0 && at+n <= p.places
				}
				edge := func(place int) {
					for t := range n {
						if at := place*c.Stride - c.pad() + j + t; at >= 0 && at < p.places {
							from := src.Row(s.at + place - s.first)[(tap*c.Taps+j+t)*width:][:width]
							for i, v := range from {
								out[at*c.In+g*width+i] += v
							}
						}
					}
				}
				for ; first < end && !inside(first); first++ {
					edge(first)
				}
				for ; end > first && !inside(end-1); end-- {
					edge(end - 1)
				}
				if first == end {
					continue
				}
				to := &backend.Tensor{
					Rows: end - first, Cols: n * width, Stride: c.Stride * c.In,
					Data: out[(first*c.Stride-c.pad()+j)*c.In+g*width:],
				}
				from := &backend.Tensor{
					Rows: end - first, Cols: n * width, Stride: src.Stride,
					Data: src.Data[(s.at+first-s.first)*src.Stride+(tap*c.Taps+j)*width:],
				}
				b.Add(to, to, from)
			}
		}
	}
}

// Step convolves each item.
func (c *Conv) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	p := c.plane(s.Batch, x)
	y := s.Tensor(p.items*p.outRows, p.outPlaces*c.Out)
	c.blocks(p, func(unfolded *backend.Tensor, from, to int, strips []strip) {
		for g, part := range c.Parts {
			c.unfold(unfolded, x, p, strips, g)
			part.Into(s.Backend, c.group(y, g, from, to), unfolded, backend.Epilogue{Act: c.Act})
		}
	})
	return y
}

// slope gives the gradient in front of the activation: a leaky ReLU keeps the
// sign, so that its output tells its slope.
func (c *Conv) slope(s *nn.Stream, y, dy *backend.Tensor) *backend.Tensor {
	if c.Act == backend.Identity {
		return dy
	}
	d := s.Tensor(dy.Rows, dy.Cols)
	s.ActivateGrad(d, y, dy, c.Act)
	return d
}

// Backward gives both gradients.
func (c *Conv) Backward(s *nn.Stream, x, y, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	return c.back(s, x, y, dy, grads, true)
}

// BackwardInput gives dL/dx alone.
func (c *Conv) BackwardInput(s *nn.Stream, x, y, dy *backend.Tensor) *backend.Tensor {
	return c.back(s, x, y, dy, nil, true)
}

// back gives dL/dx where it is wanted and adds to the gradients of the parameters
// where they are.
func (c *Conv) back(s *nn.Stream, x, y, dy *backend.Tensor, grads [][]float32, wanted bool) (dx *backend.Tensor) {
	p := c.plane(s.Batch, x)
	dy = c.slope(s, y, dy)
	if wanted {
		dx = s.Tensor(x.Rows, x.Cols)
		clear(dx.Data)
	}
	c.blocks(p, func(unfolded *backend.Tensor, from, to int, strips []strip) {
		for g, part := range c.Parts {
			view := c.group(dy, g, from, to)
			if grads != nil {
				c.unfold(unfolded, x, p, strips, g)
				s.MatMulTN(backend.Host(grads[2*g], part.In, part.Out), unfolded, view)
				s.ColumnSum(grads[2*g+1], view, nil)
			}
			if wanted {
				part.BackwardInto(s.Backend, unfolded, view)
				c.fold(s.Backend, dx, unfolded, p, strips, g)
			}
		}
	})
	return dx
}

// AveragePool gives the mean of Taps places every Stride of them, with zeros
// beside the ends, which count.
type AveragePool struct{ Channels, Taps, Stride, Pad int }

// Params is empty.
func (*AveragePool) Params() []*nn.Param { return nil }

func (l *AveragePool) outputs(places int) int { return (places+2*l.Pad-l.Taps)/l.Stride + 1 }

// Step pools each row.
func (l *AveragePool) Step(s *nn.Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, l.outputs(x.Cols/l.Channels)*l.Channels)
	clear(y.Data)
	l.add(y, x, false)
	return y
}

// Backward hands the gradient of a mean to what it is of.
func (l *AveragePool) Backward(s *nn.Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	clear(dx.Data)
	l.add(dy, dx, true)
	return dx
}

// add adds the means of x to y or, turned, what y gives to each value of x.
func (l *AveragePool) add(y, x *backend.Tensor, turned bool) {
	scale := 1 / float32(l.Taps)
	places := x.Cols / l.Channels
	for r := range x.Rows {
		for o := range l.outputs(places) {
			start := o*l.Stride - l.Pad
			for in := max(0, start); in < min(places, start+l.Taps); in++ {
				to, from := y.Row(r)[o*l.Channels:][:l.Channels], x.Row(r)[in*l.Channels:][:l.Channels]
				if turned {
					to, from = from, to
				}
				for i, v := range from {
					to[i] += scale * v
				}
			}
		}
	}
}
