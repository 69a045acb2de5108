package train

import (
	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/sotto-audio/sotto/rvq"
)

// Quantizer passes latents through codebooks that learn on the way. The
// gradient goes straight through (Bengio et al. 2013).
type Quantizer struct {
	*rvq.Trainer
	// Levels of each item of the batch; 0 leaves it unquantized. None is
	// quantized before the codebooks were started.
	Levels []int
	// Usage counts the codes of each codebook.
	Usage [][]int64
	// Latents are those of the last run, [batch·rows, Dim].
	Latents []float32
	// Commitment is the mean squared distance to the codes in the last run.
	Commitment float64

	rowLevels []int
}

// NewQuantizer makes a quantizer for batches of the given size.
func NewQuantizer(t *rvq.Trainer, batch int) *Quantizer {
	q := &Quantizer{Trainer: t, Levels: make([]int, batch)}
	for range t.Codebooks() {
		q.Usage = append(q.Usage, make([]int64, t.Size))
	}
	return q
}

// Node adds the quantizer to a graph: latents [batch·rows, Dim] to quantized
// ones and to the commitment loss, weight times the mean of (z − q)² (van den
// Oord et al. 2017), which moves the latents alone.
func (q *Quantizer) Node(g *Graph, z *gorgonia.Node, weight float32) (quantized, commitment *gorgonia.Node) {
	if g.err != nil {
		return nil, nil
	}
	quantized = g.apply(&quantizeOp{node: g.newNode("quantize"), q: q, shape: z.Shape()}, z)
	g.varies[quantized] = g.varies[z]
	rows, cols := z.Shape()[0], z.Shape()[1]
	c := &commitOp{node: g.newNode("commit"), q: q, weight: weight, grad: dense(make([]float32, rows*cols), rows, cols)}
	commitment = g.apply(c, z, quantized)
	if commitment != nil {
		g.varies[commitment] = true
	}
	return quantized, commitment
}

type quantizeOp struct {
	node
	q     *Quantizer
	shape tensor.Shape
}

func (o *quantizeOp) Arity() int    { return 1 }
func (o *quantizeOp) Type() hm.Type { return hm.NewFnType(matrix, matrix) }
func (o *quantizeOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

func (o *quantizeOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	z, q := host(inputs[0]), o.q
	q.Latents = z.Data
	out := o.graph.stream.Tensor(z.Rows, z.Cols)
	if !q.Started() {
		copy(out.Data, z.Data)
		return o.wrap(out), nil
	}
	q.rowLevels = q.rowLevels[:0]
	for _, n := range q.Levels {
		for range z.Rows / len(q.Levels) {
			q.rowLevels = append(q.rowLevels, n)
		}
	}
	q.Step(out.Data, z.Data, q.rowLevels, q.Usage)
	return o.wrap(out), nil
}

func (o *quantizeOp) DiffWRT(int) []bool { return []bool{true} }

func (o *quantizeOp) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{grad}, nil
}

type commitOp struct {
	node
	q      *Quantizer
	weight float32
	grad   *tensor.Dense
}

func (o *commitOp) Arity() int    { return 2 }
func (o *commitOp) Type() hm.Type { return hm.NewFnType(matrix, matrix, tensor.Float32) }
func (o *commitOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

func (o *commitOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	z, e, grad := host(inputs[0]).Data, host(inputs[1]).Data, o.grad.Float32s()
	step := 2 * o.weight / float32(len(z))
	var sum float64
	for i, v := range z {
		d := v - e[i]
		sum += float64(d * d)
		grad[i] = step * d
	}
	o.q.Commitment = sum / float64(len(z))
	return gorgonia.NewF32(o.weight * float32(o.q.Commitment)), nil
}

func (o *commitOp) DiffWRT(int) []bool { return []bool{true, false} }

func (o *commitOp) SymDiff(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	n, err := gorgonia.ApplyOp(&scaledOp{node: o.graph.newNode("commit.grad"), value: o.grad}, output, grad)
	return gorgonia.Nodes{n, nil}, err
}
