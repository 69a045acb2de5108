package train

import (
	"fmt"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Discriminator tells recordings from decoded signals: a chain from samples, a row
// an item, to verdicts. A fixed front lays the samples out; convolutions with
// leaky ReLUs follow, whose outputs are its features, and one of a single channel
// gives the verdicts.
type Discriminator struct {
	Name  string
	Front []nn.Differentiable // without parameters
	Convs []*Conv             // the last one gives the verdicts
}

// newDiscriminator puts convolutions behind a front that gives places of in
// channels. The verdict has the given taps.
func newDiscriminator(name string, front []nn.Differentiable, in int, shapes []ConvShape, verdict ConvShape) (*Discriminator, error) {
	d := &Discriminator{Name: name, Front: front}
	verdict.Width, verdict.Stride = 1, 1
	for i, shape := range append(append([]ConvShape(nil), shapes...), verdict) {
		act, part := backend.LeakyReLU, fmt.Sprintf("%s.conv%d", name, i)
		if i == len(shapes) {
			act, part = backend.Identity, name+".verdict"
		}
		c, err := NewConv(part, in, shape, act)
		if err != nil {
			return nil, err
		}
		d.Convs = append(d.Convs, c)
		in = c.Out
	}
	return d, nil
}

// Init draws the weights.
func (d *Discriminator) Init(rng *rand.Rand) {
	for _, c := range d.Convs {
		c.Init(rng)
	}
}

// Params lists those of the convolutions.
func (d *Discriminator) Params() []*nn.Param {
	var all []*nn.Param
	for _, c := range d.Convs {
		all = append(all, c.Params()...)
	}
	return all
}

// pass is what a discriminator computed of a batch: the input and the output of
// each layer.
type pass struct {
	front []*backend.Tensor // the samples first
	convs []*backend.Tensor // what the front gives first, the verdicts last
}

func (p pass) verdicts() *backend.Tensor   { return p.convs[len(p.convs)-1] }
func (p pass) features() []*backend.Tensor { return p.convs[1 : len(p.convs)-1] }

// forward runs the chain on samples [items, n]; it lives until the stream's next
// Begin.
func (d *Discriminator) forward(s *nn.Stream, x *backend.Tensor) pass {
	p := pass{front: []*backend.Tensor{x}}
	for _, l := range d.Front {
		x = l.Step(s, x)
		p.front = append(p.front, x)
	}
	p.convs = []*backend.Tensor{x}
	for _, c := range d.Convs {
		x = c.Step(s, x)
		p.convs = append(p.convs, x)
	}
	return p
}

// backwardInput gives the gradient of the samples from those of the verdicts and
// of the features, which may be nil. add adds the latter for feature i to its
// argument.
func (d *Discriminator) backwardInput(s *nn.Stream, p pass, verdicts *backend.Tensor, add func(i int, grad *backend.Tensor)) *backend.Tensor {
	dy := verdicts
	for i := len(d.Convs) - 1; i >= 0; i-- {
		dy = d.Convs[i].BackwardInput(s, p.convs[i], p.convs[i+1], dy)
		if i > 0 && add != nil {
			add(i-1, dy)
		}
	}
	for i := len(d.Front) - 1; i >= 0; i-- {
		dy = d.Front[i].Backward(s, p.front[i], p.front[i+1], dy, nil)
	}
	return dy
}

// backwardWeights adds to the gradients of Params.
func (d *Discriminator) backwardWeights(s *nn.Stream, p pass, verdicts *backend.Tensor, grads [][]float32) {
	dy := verdicts
	for i := len(d.Convs) - 1; i >= 0; i-- {
		n := 2 * len(d.Convs[i].Parts)
		own := grads[len(grads)-n:]
		grads = grads[:len(grads)-n]
		dy = d.Convs[i].back(s, p.convs[i], p.convs[i+1], dy, own, i > 0)
	}
}

// flops is the number of multiplications and additions of a forward pass.
func (d *Discriminator) flops(p pass) float64 {
	var n float64
	for i, c := range d.Convs {
		y := p.convs[i+1]
		n += 2 * float64(y.Rows*y.Cols) * float64(c.Parts[0].In)
	}
	return n
}
