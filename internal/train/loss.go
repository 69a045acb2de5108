package train

import (
	"sync"
	"time"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Term is one loss between two signals. It is safe for concurrent use.
type Term interface {
	// Name is that in the log.
	Name() string
	// Eval gives the loss of output y against target x, of equal length, and adds
	// weight·dL/dy to grad.
	Eval(x, y []float32, weight float32, grad []float32) float64
}

// Weighted is a term of an objective.
type Weighted struct {
	Term
	Weight float64
	// Quantized is a further factor for items that pass the quantizer.
	Quantized float64
	// From is the share of the run after which the term counts.
	From float64
}

// Objective is the sum over items of weighted losses, divided by the batch size, of decoded samples.
type Objective struct {
	Terms []Weighted
	// Values holds the losses of the last run, [term][item], without weights.
	Values [][]float64
	// Took is the time of the last evaluation.
	Took time.Duration
	// Progress is the share of the run that is done.
	Progress float64

	batch, total, delay, hop int
	target                   []float32 // [batch][rows][hop]
	quantized                []bool

	critic   *critic   // nil for none
	balancer *Balancer // nil for the weights as they are
	shard    int
	parts    [][]float32 // gradients of each loss, to be balanced
}

// NewObjective makes the objective of signals that trail their targets by delay
// rows of hop samples, as a part of a batch of total items. It reads targets and, for each item, whether it was
// quantized, from memory that is filled before each run.
func NewObjective(terms []Weighted, targets []float32, quantized []bool, total, delay, hop int) *Objective {
	o := &Objective{Terms: terms, batch: len(quantized), total: total, delay: delay, hop: hop, target: targets, quantized: quantized}
	for range terms {
		o.Values = append(o.Values, make([]float64, o.batch))
	}
	return o
}

// Node adds the objective to a graph; output is [batch·rows, hop].
func (o *Objective) Node(g *Graph, output *gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	rows := output.Shape()[0]
	op := &objectiveOp{node: g.newNode("objective"), o: o, grad: make([]float32, rows*o.hop)}
	op.value = dense(op.grad, rows, o.hop)
	n := g.apply(op, output)
	g.varies[n] = true
	return n
}

// eval gives the mean weighted loss and sets grad. Items run side by side.
func (o *Objective) eval(output, grad []float32) float64 {
	begin := time.Now()
	defer func() { o.Took = time.Since(begin) }()
	clear(grad)
	if o.balancer != nil {
		return o.balanced(output, grad)
	}
	size := len(output) / o.batch
	skip := o.delay * o.hop
	var wait sync.WaitGroup
	for i := range o.batch {
		wait.Go(func() {
			y := output[i*size+skip : (i+1)*size]
			x := o.target[i*size : (i+1)*size-skip]
			dy := grad[i*size+skip : (i+1)*size]
			for k, t := range o.Terms {
				o.Values[k][i] = 0
				if w := o.weight(k, i); w != 0 {
					o.Values[k][i] = t.Eval(x, y, float32(w), dy)
				}
			}
		})
	}
	wait.Wait()
	var total float64
	for k := range o.Terms {
		for i, v := range o.Values[k] {
			total += o.weight(k, i) * v
		}
	}
	if o.critic.active(o.Progress) {
		total += o.judged(output, grad)
	}
	return total
}

func (o *Objective) weight(term, item int) float64 {
	if o.Progress < o.Terms[term].From {
		return 0
	}
	w := o.Terms[term].Weight / float64(o.total)
	if o.quantized[item] {
		w *= o.Terms[term].Quantized
	}
	return w
}

// objectiveOp computes the gradient with the value, since they share all
// spectra.
type objectiveOp struct {
	node
	o     *Objective
	grad  []float32
	value *tensor.Dense
}

func (p *objectiveOp) Arity() int    { return 1 }
func (p *objectiveOp) Type() hm.Type { return hm.NewFnType(matrix, tensor.Float32) }
func (p *objectiveOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

func (p *objectiveOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return p.graph.do(func() gorgonia.Value {
		p.graph.stream.Wait()
		return gorgonia.NewF32(float32(p.o.eval(host(inputs[0]).Data, p.grad)))
	})
}

func (p *objectiveOp) DiffWRT(int) []bool { return []bool{true} }

func (p *objectiveOp) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	n, err := gorgonia.ApplyOp(&scaledOp{node: p.graph.newNode("objective.grad"), value: p.value}, output, grad)
	return gorgonia.Nodes{n}, err
}

// scaledOp gives the gradient that an operation of scalar value left behind,
// times the gradient of that value.
type scaledOp struct {
	node
	value *tensor.Dense
}

func (o *scaledOp) Arity() int    { return 2 }
func (o *scaledOp) Type() hm.Type { return hm.NewFnType(tensor.Float32, tensor.Float32, matrix) }
func (o *scaledOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.value.Shape().Clone(), nil
}

func (o *scaledOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	if s := inputs[1].Data().(float32); s != 1 {
		for i := range o.value.Float32s() {
			o.value.Float32s()[i] *= s
		}
	}
	return o.value, nil
}

// sumOp adds scalars.
type sumOp struct {
	node
	n int
}

// Sum gives a cost made of several.
func (g *Graph) Sum(costs ...*gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	n := g.apply(&sumOp{node: g.newNode("sum"), n: len(costs)}, costs...)
	g.varies[n] = true
	return n
}

func (o *sumOp) Arity() int { return o.n }
func (o *sumOp) Type() hm.Type {
	types := make([]hm.Type, o.n+1)
	for i := range types {
		types[i] = tensor.Float32
	}
	return hm.NewFnType(types...)
}
func (o *sumOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

func (o *sumOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	var s float32
	for _, v := range inputs {
		s += v.Data().(float32)
	}
	return gorgonia.NewF32(s), nil
}

func (o *sumOp) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = true
	}
	return wrt
}

func (o *sumOp) SymDiff(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	grads := make(gorgonia.Nodes, len(inputs))
	for i := range grads {
		grads[i] = grad
	}
	return grads, nil
}
