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

	shards    int
	latents   *meeting // of the shards
	distance  []float64
	coded     []float32 // [batch·rows, Dim]
	rowLevels []int
}

// NewQuantizer makes a quantizer for batches of the given size whose items are
// spread over a number of graphs that run side by side. The codebooks see the
// batch as one, in the order of its items.
func NewQuantizer(t *rvq.Trainer, batch, shards int) *Quantizer {
	q := &Quantizer{Trainer: t, Levels: make([]int, batch), shards: shards, latents: newMeeting(shards), distance: make([]float64, shards)}
	for range t.Codebooks() {
		q.Usage = append(q.Usage, make([]int64, t.Size))
	}
	return q
}

// Node adds the quantizer to the graph of a shard: latents [batch·rows, Dim] to quantized
// ones and to the commitment loss, weight times the mean of (z − q)² over the
// batch (van den Oord et al. 2017), which moves the latents alone.
func (q *Quantizer) Node(g *Graph, shard int, z *gorgonia.Node, weight float32) (quantized, commitment *gorgonia.Node) {
	if g.err != nil {
		return nil, nil
	}
	quantized = g.apply(&quantizeOp{node: g.newNode("quantize"), q: q, shard: shard, shape: z.Shape()}, z)
	g.varies[quantized] = g.varies[z]
	rows, cols := z.Shape()[0], z.Shape()[1]
	if n := rows * cols * q.shards; len(q.Latents) != n {
		q.Latents, q.coded = make([]float32, n), make([]float32, n)
	}
	c := &commitOp{node: g.newNode("commit"), q: q, shard: shard, weight: weight, grad: dense(make([]float32, rows*cols), rows, cols)}
	commitment = g.apply(c, z, quantized)
	if commitment != nil {
		g.varies[commitment] = true
	}
	return quantized, commitment
}

type quantizeOp struct {
	node
	q     *Quantizer
	shard int
	shape tensor.Shape
}

func (o *quantizeOp) Arity() int    { return 1 }
func (o *quantizeOp) Type() hm.Type { return hm.NewFnType(matrix, matrix) }
func (o *quantizeOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

func (o *quantizeOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return o.graph.do(func() gorgonia.Value {
		z := host(inputs[0])
		out := o.graph.stream.Tensor(z.Rows, z.Cols)
		o.graph.stream.Wait()
		o.q.run(o.shard, out.Data, z.Data)
		return o.wrap(out)
	})
}

// run waits until the latents of all shards are there; the last to come
// quantizes them.
func (q *Quantizer) run(shard int, out, z []float32) {
	at := shard * len(z)
	q.latents.meet(func() { copy(q.Latents[at:], z) }, q.quantize, func() { copy(out, q.coded[at:]) })
}

func (q *Quantizer) quantize() {
	if !q.Started() {
		copy(q.coded, q.Latents)
		return
	}
	q.rowLevels = q.rowLevels[:0]
	rows := len(q.Latents) / q.Dim
	for _, n := range q.Levels {
		for range rows / len(q.Levels) {
			q.rowLevels = append(q.rowLevels, n)
		}
	}
	q.Step(q.coded, q.Latents, q.rowLevels, q.Usage)
}

func (o *quantizeOp) DiffWRT(int) []bool { return []bool{true} }

func (o *quantizeOp) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{grad}, nil
}

type commitOp struct {
	node
	q      *Quantizer
	shard  int
	weight float32
	grad   *tensor.Dense
}

func (o *commitOp) Arity() int    { return 2 }
func (o *commitOp) Type() hm.Type { return hm.NewFnType(matrix, matrix, tensor.Float32) }
func (o *commitOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

func (o *commitOp) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	return o.graph.do(func() gorgonia.Value { return o.run(inputs) })
}

func (o *commitOp) run(inputs []gorgonia.Value) gorgonia.Value {
	o.graph.stream.Wait()
	z, e, grad := host(inputs[0]).Data, host(inputs[1]).Data, o.grad.Float32s()
	share := 1 / float64(len(z)*o.q.shards)
	step := 2 * o.weight * float32(share)
	var sum float64
	for i, v := range z {
		d := v - e[i]
		sum += float64(d * d)
		grad[i] = step * d
	}
	sum *= share
	o.q.latents.mu.Lock()
	defer o.q.latents.mu.Unlock()
	o.q.distance[o.shard] = sum
	o.q.Commitment = 0
	for _, d := range o.q.distance {
		o.q.Commitment += d
	}
	return gorgonia.NewF32(o.weight * float32(sum))
}

func (o *commitOp) DiffWRT(int) []bool { return []bool{true, false} }

func (o *commitOp) SymDiff(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	n, err := gorgonia.ApplyOp(&scaledOp{node: o.graph.newNode("commit.grad"), value: o.grad}, output, grad)
	return gorgonia.Nodes{n, nil}, err
}
