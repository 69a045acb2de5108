// Package train fits the models: Gorgonia graphs over nn layers, losses, data,
// optimiser and checkpoints.
//
// Gorgonia holds the graph, differentiates it and runs it; every operation in it
// is one of ours, so that a model is defined once, in nn, for inference and for
// training, and our kernels do the work.
package train

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Graph is the expression graph of one training step with static shapes. It is
// an nn.Runner, so that a model's forward pass builds it. Values are [B·T, C]
// matrices in the memory of one nn.Stream, which the host may look at after its Wait.
//
// Building does not fail call by call: Compile reports the first error.
type Graph struct {
	graph  *gorgonia.ExprGraph
	stream *nn.Stream
	probe  *nn.Stream // for the shapes that layers give

	weights []*Weight
	owner   map[*nn.Param]bool
	varies  map[*gorgonia.Node]bool // nodes that depend on a weight
	machine gorgonia.VM
	ops     int
	run     int
	flops   float64
	linears []prepared
	err     error
	fault   error // of the device, in a run
}

// prepared is a matrix product whose weights are packed before a run.
type prepared struct {
	*nn.Linear
	backward bool // dL/dx is needed
}

// Weight is a parameter in a graph: what a gorgonia.Solver updates.
type Weight struct {
	*nn.Param
	Gradient []float32
	// Rate is a factor of the learning rate.
	Rate float32

	memory      *backend.Tensor // of Gradient, on a device
	others      [][]float32     // gradients by graphs that run beside this one, which the optimiser adds
	node        *gorgonia.Node
	value, grad *tensor.Dense
}

// newWeight makes a weight of a parameter. A device takes it into its memory.
func newWeight(device backend.Backend, p *nn.Param) *Weight {
	w := &Weight{Param: p, Rate: 1}
	if _, ok := device.(backend.Waiter); ok {
		p.Place(device)
		w.memory = device.New(1, p.Len())
		w.Gradient = w.memory.Data
	} else {
		w.Gradient = make([]float32, p.Len())
	}
	return w
}

// Value is the parameter itself, sharing its memory.
func (w *Weight) Value() gorgonia.Value { return w.value }

// Grad is the gradient of the last run.
func (w *Weight) Grad() (gorgonia.Value, error) { return w.grad, nil }

// NewGraph makes an empty graph for batches of the given size.
func NewGraph(device backend.Backend, batch int) *Graph {
	return &Graph{
		graph:  gorgonia.NewGraph(),
		stream: nn.NewStream(device, batch),
		probe:  nn.NewStream(device, batch),
		owner:  map[*nn.Param]bool{},
		varies: map[*gorgonia.Node]bool{},
	}
}

// Input adds a matrix that is filled through the returned memory before each run.
func (g *Graph) Input(name string, rows, cols int) (*gorgonia.Node, []float32) {
	data := make([]float32, rows*cols)
	n := gorgonia.NewMatrix(g.graph, tensor.Float32, gorgonia.WithShape(rows, cols),
		gorgonia.WithName(name), gorgonia.WithValue(dense(data, rows, cols)))
	return n, data
}

// Apply adds a layer. One that is not nn.Differentiable stops the gradient. A
// layer with parameters can be applied once.
func (g *Graph) Apply(l nn.Layer, x *gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	if _, ok := l.(*nn.Dropout); ok {
		return x
	}
	rows, cols := x.Shape()[0], x.Shape()[1]
	g.probe.Begin()
	y := l.Step(g.probe, g.probe.New(rows, cols))
	op := &layerOp{node: g.newNode(fmt.Sprintf("%T", l)), layer: l, in: x.Shape(), out: tensor.Shape{y.Rows, y.Cols}}
	inputs := gorgonia.Nodes{x}
	for _, p := range l.Params() {
		if g.owner[p] {
			g.err = fmt.Errorf("train: the layer of %q is applied twice", p.Name)
			return nil
		}
		g.owner[p] = true
		w := newWeight(g.stream.Backend, p)
		w.value, w.grad = dense(p.Data, p.Shape...), dense(w.Gradient, p.Shape...)
		w.node = gorgonia.NewTensor(g.graph, tensor.Float32, len(p.Shape),
			gorgonia.WithShape(p.Shape...), gorgonia.WithName(p.Name), gorgonia.WithValue(w.value))
		op.weights = append(op.weights, w)
		g.weights = append(g.weights, w)
		inputs = append(inputs, w.node)
	}
	op.varies = g.varies[x]
	if linear, ok := l.(*nn.Linear); ok {
		products := 2.0 // y and the weights' gradient
		if op.varies {
			products++
		}
		g.linears = append(g.linears, prepared{linear, op.varies})
		g.flops += products * 2 * float64(rows) * float64(linear.In) * float64(linear.Out)
	}
	out := g.apply(op, inputs...)
	_, op.differentiable = l.(nn.Differentiable)
	g.varies[out] = op.differentiable && (op.varies || len(op.weights) > 0)
	return out
}

// Add gives a + b.
func (g *Graph) Add(a, b *gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	out := g.apply(&addOp{node: g.newNode("add"), shape: a.Shape()}, a, b)
	g.varies[out] = g.varies[a] || g.varies[b]
	return out
}

// Compile differentiates the cost with respect to every weight and makes the
// graph ready to run.
func (g *Graph) Compile(cost *gorgonia.Node) error {
	if g.err != nil {
		return g.err
	}
	var wrt gorgonia.Nodes
	for _, w := range g.weights {
		wrt = append(wrt, w.node)
	}
	if _, err := gorgonia.Grad(cost, wrt...); err != nil {
		return fmt.Errorf("train: differentiating the graph: %w", err)
	}
	var options []gorgonia.VMOpt
	if _, ok := g.stream.Backend.(backend.Waiter); ok {
		options = append(options, gorgonia.WithEngine(engine{graph: g}))
	}
	g.machine = gorgonia.NewTapeMachine(g.graph, options...)
	return nil
}

// Run evaluates cost and gradients for the values that the inputs hold.
func (g *Graph) Run() error {
	g.run++
	g.fault = nil
	g.stream.Begin()
	g.stream.Reset()
	defer g.machine.Reset()
	if err := g.machine.RunAll(); g.fault != nil {
		return fmt.Errorf("train: %w", g.fault)
	} else if err != nil {
		return fmt.Errorf("train: running the graph: %w", err)
	}
	return nil
}

// do runs an operation, in a goroutine of Gorgonia's: a device that fails is an error
// of the run.
func (g *Graph) do(f func() gorgonia.Value) (v gorgonia.Value, err error) {
	defer func() {
		if err != nil {
			g.fault = err
		}
	}()
	defer backend.Recover(&err)
	return f(), nil
}

// Weights lists the parameters in the order in which layers were applied.
func (g *Graph) Weights() []*Weight { return g.weights }

// ValueGrads is Weights as Gorgonia's solvers take them.
func (g *Graph) ValueGrads() []gorgonia.ValueGrad {
	all := make([]gorgonia.ValueGrad, len(g.weights))
	for i, w := range g.weights {
		all[i] = w
	}
	return all
}

func (g *Graph) apply(op gorgonia.Op, inputs ...*gorgonia.Node) *gorgonia.Node {
	n, err := gorgonia.ApplyOp(op, inputs...)
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("train: adding %v: %w", op, err)
	}
	return n
}

// node is what all of our operations have in common. Gorgonia merges operations
// of equal hash, so each gets a number.
type node struct {
	graph *Graph
	name  string
	id    int
	out   *tensor.Dense
}

func (g *Graph) newNode(name string) node {
	g.ops++
	return node{graph: g, name: name, id: g.ops}
}

func (n *node) ReturnsPtr() bool      { return false }
func (n *node) CallsExtern() bool     { return false }
func (n *node) OverwritesInput() int  { return -1 }
func (n *node) String() string        { return fmt.Sprintf("%s#%d", n.name, n.id) }
func (n *node) WriteHash(h hash.Hash) { fmt.Fprint(h, n.String()) }
func (n *node) Hashcode() uint32 {
	h := fnv.New32a()
	n.WriteHash(h)
	return h.Sum32()
}

// wrap gives t as a Gorgonia value, the same one while its memory is.
func (n *node) wrap(t *backend.Tensor) gorgonia.Value {
	if n.out == nil || &n.out.Float32s()[0] != &t.Data[0] {
		n.out = dense(t.Data[:t.Rows*t.Cols], t.Rows, t.Cols)
	}
	return n.out
}

// engine adds up gradients, which is all that Gorgonia does itself, on the device where
// they are.
type engine struct {
	tensor.StdEng
	graph *Graph
}

// Add gives a + b.
func (e engine) Add(a, b tensor.Tensor, _ ...tensor.FuncOpt) (tensor.Tensor, error) {
	y, err := e.graph.do(func() gorgonia.Value {
		return dense(e.graph.stream.Add(host(a), host(b)).Data, a.Shape()...)
	})
	if err != nil {
		return nil, err
	}
	return y.(tensor.Tensor), nil
}

// layerOp is y = Step(x); its other inputs are the parameters.
type layerOp struct {
	node
	layer          nn.Layer
	weights        []*Weight
	in, out        tensor.Shape
	differentiable bool
	varies         bool // x depends on a weight
}

func (o *layerOp) Arity() int { return 1 + len(o.weights) }

func (o *layerOp) Type() hm.Type {
	types := []hm.Type{matrix}
	for _, w := range o.weights {
		types = append(types, gorgonia.TensorType{Dims: len(w.Shape), Of: tensor.Float32})
	}
	return hm.NewFnType(append(types, matrix)...)
}

func (o *layerOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.out.Clone(), nil }

func (o *layerOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return o.graph.do(func() gorgonia.Value { return o.wrap(o.layer.Step(o.graph.stream, host(inputs[0]))) })
}

func (o *layerOp) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = o.differentiable && (i > 0 || o.varies)
	}
	return wrt
}

// SymDiff adds one node for dL/dx and one for each dL/dparam; they share a
// single call of Backward.
func (o *layerOp) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	call := &backward{op: o}
	grads := make(gorgonia.Nodes, len(inputs))
	for i, in := range inputs {
		if i == 0 && !o.varies {
			continue
		}
		g := &gradOp{node: o.graph.newNode(o.name + ".grad"), call: call, which: i - 1, shape: in.Shape()}
		n, err := gorgonia.ApplyOp(g, inputs[0], output, grad)
		if err != nil {
			return nil, err
		}
		grads[i] = n
	}
	return grads, nil
}

// DoDiff is for Gorgonia's other machine, which we do not use.
func (o *layerOp) DoDiff(gorgonia.ExecutionContext, gorgonia.Nodes, *gorgonia.Node) error {
	return fmt.Errorf("train: %v runs on the tape machine only", o)
}

// backward is one call of a layer's Backward in a run, whose results several
// nodes give.
type backward struct {
	op    *layerOp
	run   int
	calls int
	dx    *backend.Tensor
}

func (b *backward) do(inputs []gorgonia.Value) {
	if b.run == b.op.graph.run {
		return
	}
	b.run = b.op.graph.run
	b.calls++
	grads := make([][]float32, len(b.op.weights))
	for i, w := range b.op.weights {
		b.op.graph.stream.Clear(w.Gradient)
		grads[i] = w.Gradient
	}
	x, y, dy := host(inputs[0]), host(inputs[1]), host(inputs[2])
	if l, ok := b.op.layer.(weightsOnly); ok && !b.op.varies {
		l.BackwardWeights(b.op.graph.stream, x, dy, grads)
		return
	}
	b.dx = b.op.layer.(nn.Differentiable).Backward(b.op.graph.stream, x, y, dy, grads)
}

// weightsOnly is a layer that can leave out dL/dx, for the first one of a model.
type weightsOnly interface {
	BackwardWeights(s *nn.Stream, x, dy *backend.Tensor, grads [][]float32)
}

// gradOp gives dL/dx (which = -1) or the gradient of parameter which.
type gradOp struct {
	node
	call  *backward
	which int
	shape tensor.Shape
}

func (o *gradOp) Arity() int { return 3 }

func (o *gradOp) Type() hm.Type {
	return hm.NewFnType(matrix, matrix, matrix, gorgonia.TensorType{Dims: len(o.shape), Of: tensor.Float32})
}

func (o *gradOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

func (o *gradOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return o.graph.do(func() gorgonia.Value {
		o.call.do(inputs)
		if o.which < 0 {
			return o.wrap(o.call.dx)
		}
		return o.call.op.weights[o.which].grad
	})
}

// addOp is a + b.
type addOp struct {
	node
	shape tensor.Shape
}

func (o *addOp) Arity() int    { return 2 }
func (o *addOp) Type() hm.Type { return hm.NewFnType(matrix, matrix, matrix) }
func (o *addOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

func (o *addOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return o.graph.do(func() gorgonia.Value { return o.wrap(o.graph.stream.Add(host(inputs[0]), host(inputs[1]))) })
}

func (o *addOp) DiffWRT(n int) []bool { return []bool{true, true} }

func (o *addOp) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{grad, grad}, nil
}

var matrix = gorgonia.TensorType{Dims: 2, Of: tensor.Float32}

func dense(data []float32, shape ...int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// host gives a Gorgonia matrix as a tensor of the host backend.
func host(v gorgonia.Value) *backend.Tensor {
	return backend.Host(v.Data().([]float32), v.Shape()[0], v.Shape()[1])
}
