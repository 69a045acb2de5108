package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/entropy"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
	"gorgonia.org/gorgonia"
)

// EntropyConfig is the recipe of an entropy coder.
type EntropyConfig struct {
	Lags    int     `json:"lags"`
	Means   []int   `json:"means"`
	Trunk   int     `json:"trunk"`
	Hidden  int     `json:"hidden"`
	Out     int     `json:"out"`
	Epochs  float64 `json:"epochs"`
	Packets int     `json:"packets"` // of an update
	Frames  int     `json:"frames"`  // of a packet
	LR      float64 `json:"lr"`
	Decay   float64 `json:"decay"`
	Dropout float64 `json:"dropout"`
	Seed    uint64  `json:"seed"`
}

// DefaultEntropyConfig is the recipe of the released network.
func DefaultEntropyConfig() EntropyConfig {
	return EntropyConfig{
		Lags: 3, Means: []int{2, 4}, Trunk: 256, Hidden: 192, Out: 64,
		Epochs: 5, Packets: 48, Frames: 50, LR: 2e-3, Decay: 0.01, Dropout: 0.05, Seed: 1,
	}
}

// Entropy fits the network of an entropy coder (package internal/entropy) in
// floating point and rounds it to integers at the end. The forward pass is that
// of the coder on whole packets; the gradients are written out, for there is one
// fixed network and the tree of decisions touches few of its weights a frame.
type Entropy struct {
	EntropyConfig
	book   rvq.Config
	clips  [][]int32 // codes of the training clips, frame-major
	device backend.Backend
	rng    *rand.Rand

	shape     entropy.Config
	ranks     []uint16
	embedding []int8
	unit      float64 // value of 1 of the embedding

	trunk, skip, mix *nn.Linear
	part, out        []*nn.Linear
	trunkBias        *nn.Param // [Q, G]
	bias             *nn.Param // [Q, H]
	nodes            []*nn.Param
	nodeBias         []*nn.Param
	weights          []*Weight
	grads            map[*nn.Param][]float32
	solver           *AdamW

	batch *entropyBatch
}

// NewEntropy makes a network for the codebooks of a quantizer, from the codes of
// clips [T][Codebooks] that it learns from.
func NewEntropy(c EntropyConfig, q *rvq.GRVQ, clips [][]int32, device backend.Backend) (*Entropy, error) {
	for _, size := range q.Sizes() {
		if size != q.Size {
			return nil, fmt.Errorf("train: entropy: codebooks of %v entries: they must have one size", q.Sizes())
		}
	}
	frames := 0
	for _, clip := range clips {
		frames += len(clip) / q.Codebooks()
	}
	if frames < 10*c.Frames {
		return nil, fmt.Errorf("train: entropy: %d frames are not enough to learn from", frames)
	}
	e := &Entropy{
		EntropyConfig: c, book: q.Config, clips: clips, device: device, rng: rand.New(rand.NewPCG(c.Seed, 0)),
		shape: entropy.Config{Codebooks: q.Codebooks(), Size: q.Size, Dim: q.Dim, Lags: c.Lags, Means: c.Means,
			Trunk: c.Trunk, Hidden: c.Hidden, Out: c.Out, TrunkShift: 1, HiddenShift: 1, OutShift: 1, NodeShift: 1},
		grads: map[*nn.Param][]float32{},
	}
	if err := e.shape.Validate(); err != nil {
		return nil, err
	}
	e.embed(q)
	counts := e.counts()
	for i := range e.shape.Codebooks {
		e.ranks = append(e.ranks, entropyTree(e.entries(i), counts[i], e.shape.Dim)...)
	}
	e.build()
	return e, nil
}

// embed rounds the codebooks to bytes of one unit; each group of a GRVQ has its
// own part of the values.
func (e *Entropy) embed(q *rvq.GRVQ) {
	all, dim := q.Entries(), q.Dim/q.Groups
	var largest float64
	for _, v := range all {
		largest = max(largest, math.Abs(float64(v)))
	}
	e.unit = max(largest, 1e-9) / 127
	e.embedding = make([]int8, e.shape.Codebooks*q.Size*q.Dim)
	for i, v := range all {
		book, code, k := i/(q.Size*dim), i/dim%q.Size, i%dim
		e.embedding[(book*q.Size+code)*q.Dim+book%q.Groups*dim+k] = int8(math.Round(float64(v) / e.unit))
	}
}

func (e *Entropy) entries(q int) []int8 {
	n := e.shape.Size * e.shape.Dim
	return e.embedding[q*n:][:n]
}

func (e *Entropy) counts() [][]float64 {
	counts := make([][]float64, e.shape.Codebooks)
	for q := range counts {
		counts[q] = make([]float64, e.shape.Size)
		for i := range counts[q] {
			counts[q][i] = 0.5
		}
	}
	for _, clip := range e.clips {
		for i, c := range clip {
			counts[i%len(counts)][c]++
		}
	}
	return counts
}

// entropyTree gives each of the entries [Size][dim] its leaf: sets are halved at
// the median of their first principal component, weighted by use, until one
// entry is left, so that a decision parts what lies apart.
func entropyTree(entries []int8, use []float64, dim int) []uint16 {
	ranks := make([]uint16, len(use))
	order := make([]int, len(use))
	for i := range order {
		order[i] = i
	}
	place := make([]float64, len(use))
	// Where the size is no power of two, the first leaves of a half are taken.
	var split func(set []int, leaf, leaves int)
	split = func(set []int, leaf, leaves int) {
		if len(set) == 0 {
			return
		}
		if leaves == 1 {
			ranks[set[0]] = uint16(leaf)
			return
		}
		axis := mainAxis(entries, use, set, dim)
		for _, i := range set {
			place[i] = 0
			for k, a := range axis {
				place[i] += a * float64(entries[i*dim+k])
			}
		}
		slices.SortStableFunc(set, func(a, b int) int {
			switch {
			case place[a] < place[b]:
				return -1
			case place[a] > place[b]:
				return 1
			}
			return a - b
		})
		half := (len(set) + 1) / 2
		split(set[:half], leaf, leaves/2)
		split(set[half:], leaf+leaves/2, leaves/2)
	}
	leaves := 1
	for leaves < len(use) {
		leaves *= 2
	}
	split(order, 0, leaves)
	return ranks
}

// mainAxis is the first principal axis of a set of entries, by power iteration.
func mainAxis(entries []int8, use []float64, set []int, dim int) []float64 {
	mean, axis, next := make([]float64, dim), make([]float64, dim), make([]float64, dim)
	var total float64
	for _, i := range set {
		total += use[i]
		for k := range mean {
			mean[k] += use[i] * float64(entries[i*dim+k])
		}
	}
	for k := range mean {
		mean[k] /= total
		axis[k] = 1 + 0.01*float64(k%7)
	}
	for range 40 {
		clear(next)
		for _, i := range set {
			var dot float64
			for k, a := range axis {
				dot += a * (float64(entries[i*dim+k]) - mean[k])
			}
			for k := range next {
				next[k] += use[i] * dot * (float64(entries[i*dim+k]) - mean[k])
			}
		}
		var norm float64
		for _, v := range next {
			norm += v * v
		}
		if norm = math.Sqrt(norm); norm < 1e-12 {
			break
		}
		for k := range axis {
			axis[k] = next[k] / norm
		}
	}
	return axis
}

// build makes the weights.
func (e *Entropy) build() {
	s, leaves := e.shape, 1<<e.shape.Depth()
	linear := func(name string, in, out int, scale float64) *nn.Linear {
		l := nn.NewLinear(name, in, out)
		l.Bias = nil
		for i := range l.Weight.Data {
			l.Weight.Data[i] = float32(scale * e.rng.NormFloat64())
		}
		e.add(l.Weight)
		return l
	}
	f := s.Features()
	e.trunk = linear("trunk", f, s.Trunk, 1/math.Sqrt(float64(f)))
	e.skip = linear("skip", f, s.Hidden, 0.5/math.Sqrt(float64(f)))
	e.mix = linear("mix", s.Trunk, s.Hidden, 1/math.Sqrt(float64(s.Trunk)))
	e.trunkBias = e.add(nn.NewParam("trunk_bias", s.Codebooks, s.Trunk))
	e.bias = e.add(nn.NewParam("bias", s.Codebooks, s.Hidden))
	for q := range s.Codebooks {
		e.part = append(e.part, linear(fmt.Sprintf("part%d", q), s.Dim, s.Hidden, 1/math.Sqrt(float64(s.Dim))))
		out := linear(fmt.Sprintf("out%d", q), s.Hidden, s.Out, 1/math.Sqrt(float64(s.Hidden)))
		out.Bias = e.add(nn.NewParam(fmt.Sprintf("out%d.bias", q), s.Out))
		e.out = append(e.out, out)
		nodes := e.add(nn.NewParam(fmt.Sprintf("nodes%d", q), leaves, s.Out))
		for i := range nodes.Data {
			nodes.Data[i] = float32(0.05 * e.rng.NormFloat64())
		}
		e.direct(nodes.Data, q)
		e.nodes = append(e.nodes, nodes)
		e.nodeBias = append(e.nodeBias, e.add(nn.NewParam(fmt.Sprintf("node_bias%d", q), leaves)))
	}
	e.solver = NewAdamW(e.device, backend.AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: float32(e.Decay)}, 5)
}

// direct starts the nodes of codebook q as directions between the means of their
// two halves, where there is a value for each of an entry.
func (e *Entropy) direct(nodes []float32, q int) {
	s, leaves := e.shape, 1<<e.shape.Depth()
	if s.Out < s.Dim {
		return
	}
	var power float64
	mean, n := make([]float64, 2*leaves*s.Dim), make([]float64, 2*leaves)
	for c := range s.Size {
		leaf := leaves + int(e.ranks[q*s.Size+c])
		n[leaf] = 1
		for d, v := range e.entries(q)[c*s.Dim:][:s.Dim] {
			mean[leaf*s.Dim+d] = float64(v)
			power += float64(v) * float64(v) / float64(s.Size*s.Dim)
		}
	}
	for i := leaves - 1; i > 0; i-- {
		a, b := mean[2*i*s.Dim:][:s.Dim], mean[(2*i+1)*s.Dim:][:s.Dim]
		n[i] = n[2*i] + n[2*i+1]
		for d := range s.Dim {
			if n[2*i] > 0 && n[2*i+1] > 0 {
				nodes[i*s.Out+d] = float32(0.3 * (b[d] - a[d]) / math.Sqrt(power))
			}
			mean[i*s.Dim+d] = (n[2*i]*a[d] + n[2*i+1]*b[d]) / max(n[i], 1)
		}
	}
}

func (e *Entropy) add(p *nn.Param) *nn.Param {
	w := newWeight(nil, p)
	e.weights = append(e.weights, w)
	e.grads[p] = w.Gradient
	return p
}

// entropyBatch is the memory of an update: packets of frames, those of most
// codebooks first, so that codebook q concerns the first rows[q] rows.
type entropyBatch struct {
	codes     []int32 // [row][Q]
	codebooks []int   // of each packet
	rows      []int
	features  []float32   // [row][features]
	part      [][]float32 // [Q][row][D], sum of the entries of the codebooks before
	trunk     []float32
	context   []float32   // [row][H]
	hidden    [][]float32 // [Q][row][H]
	out       [][]float32 // [Q][row][O]
	loss      []float64   // [Q], summed
	dout      [][]float32 // slopes of the loss
	dhidden   []float32
	dcontext  []float32
	dtrunk    []float32
}

// draw fills the batch with random packets.
func (e *Entropy) draw() *entropyBatch {
	s := e.shape
	n, books := e.Packets*e.Frames, s.Codebooks
	b := e.batch
	if b == nil {
		b = &entropyBatch{
			codes: make([]int32, n*books), codebooks: make([]int, e.Packets), rows: make([]int, books),
			features: make([]float32, n*s.Features()), trunk: make([]float32, n*s.Trunk), context: make([]float32, n*s.Hidden),
			dhidden: make([]float32, n*s.Hidden), dcontext: make([]float32, n*s.Hidden), dtrunk: make([]float32, n*s.Trunk),
			loss: make([]float64, books),
		}
		for range books {
			b.part = append(b.part, make([]float32, n*s.Dim))
			b.hidden = append(b.hidden, make([]float32, n*s.Hidden))
			b.out = append(b.out, make([]float32, n*s.Out))
			b.dout = append(b.dout, make([]float32, n*s.Out))
		}
		e.batch = b
	}
	for i := range b.codebooks {
		// All of them in a third of the packets.
		b.codebooks[i] = min(1+e.rng.IntN(books*3/2), books)
	}
	slices.SortFunc(b.codebooks, func(x, y int) int { return y - x })
	for q := range b.rows {
		b.rows[q] = 0
		for _, k := range b.codebooks {
			if k > q {
				b.rows[q] += e.Frames
			}
		}
	}
	for i, k := range b.codebooks {
		e.packet(b, i, k)
	}
	return b
}

// packet fills packet i with random frames; those after the end of a clip
// repeat it.
func (e *Entropy) packet(b *entropyBatch, i, codebooks int) {
	s := e.shape
	var clip []int32
	for len(clip) == 0 {
		clip = e.clips[e.rng.IntN(len(e.clips))]
		// Clips in proportion to their length.
		if float64(len(clip)) < e.rng.Float64()*float64(e.longest()) {
			clip = nil
		}
	}
	frames := len(clip) / s.Codebooks
	at := 0
	if frames > e.Frames {
		at = e.rng.IntN(frames - e.Frames + 1)
	}
	codes := b.codes[i*e.Frames*s.Codebooks:][:e.Frames*s.Codebooks]
	for t := range e.Frames {
		copy(codes[t*s.Codebooks:][:s.Codebooks], clip[(at+t)%frames*s.Codebooks:])
	}
	// As Coder does it.
	frame := make([]int32, s.Dim)
	past := make([]int32, e.Frames*s.Dim)
	means := make([]int32, len(s.Means)*s.Dim)
	for t := range e.Frames {
		row := i*e.Frames + t
		f := b.features[row*s.Features():][:s.Features()]
		clear(f)
		for k := 1; k <= s.Lags && k <= t; k++ {
			for d, v := range past[(t-k)*s.Dim:][:s.Dim] {
				f[(k-1)*s.Dim+d] = float32(float64(v) * e.unit)
			}
		}
		for d, m := range means {
			f[s.Lags*s.Dim+d] = float32(float64(m>>7) * e.unit)
		}
		clear(frame)
		for q := range codebooks {
			c := int(codes[t*s.Codebooks+q])
			part := b.part[q][row*s.Dim:][:s.Dim]
			for d, v := range e.entries(q)[c*s.Dim:][:s.Dim] {
				part[d] = float32(float64(frame[d]) * e.unit)
				frame[d] += int32(v)
			}
		}
		copy(past[t*s.Dim:], frame)
		for j, shift := range s.Means {
			for d, v := range frame {
				m := &means[j*s.Dim+d]
				*m += (v<<8 - *m) >> shift
			}
		}
	}
}

func (e *Entropy) longest() int {
	n := 0
	for _, c := range e.clips {
		n = max(n, len(c))
	}
	return n
}

// step sets the gradients of a batch and gives the mean cost of a frame of all
// codebooks, in bits.
func (e *Entropy) step(b *entropyBatch, dropout float64) float64 {
	s := e.shape
	n := e.Packets * e.Frames
	host := backend.Host
	f := host(b.features, n, s.Features())
	trunk, context := host(b.trunk, n, s.Trunk), host(b.context, n, s.Hidden)
	for _, w := range e.weights {
		clear(w.Gradient)
	}

	// Forward.
	e.trunk.Into(e.device, trunk, f, backend.Epilogue{})
	for i, k := range b.codebooks {
		bias := e.trunkBias.Data[(k-1)*s.Trunk:][:s.Trunk]
		for t := range e.Frames {
			for j, v := range bias {
				u := &b.trunk[(i*e.Frames+t)*s.Trunk+j]
				*u = max(*u+v, 0)
			}
		}
	}
	e.skip.Into(e.device, context, f, backend.Epilogue{})
	mixed := host(b.dcontext, n, s.Hidden)
	e.mix.Into(e.device, mixed, trunk, backend.Epilogue{})
	e.device.Add(context, context, mixed)
	keep := float32(1 / (1 - dropout))
	threshold := uint32(dropout * (1 << 32))
	for q, rows := range b.rows {
		if rows == 0 {
			continue
		}
		h := host(b.hidden[q], rows, s.Hidden)
		e.part[q].Into(e.device, h, host(b.part[q], rows, s.Dim), backend.Epilogue{Residual: context.Slice(0, rows)})
		bias := e.bias.Data[q*s.Hidden:][:s.Hidden]
		for r := range rows {
			row := h.Row(r)
			for i, v := range row {
				if v += bias[i]; i >= s.Hidden/2 && v < 0 {
					v = 0
				}
				if dropout > 0 {
					if e.rng.Uint32() < threshold {
						v = 0
					}
					v *= keep
				}
				row[i] = v
			}
		}
		e.out[q].Into(e.device, host(b.out[q], rows, s.Out), h, backend.Epilogue{})
	}

	// Decisions, and the slope of their cost at what they weigh.
	order := make([]int, s.Codebooks)
	for i := range order {
		order[i] = i
	}
	each(order, func(_, q int) { e.decide(b, q) })

	// Backward.
	clear(b.dcontext)
	for q, rows := range b.rows {
		if rows == 0 {
			continue
		}
		h, dh, dout := host(b.hidden[q], rows, s.Hidden), host(b.dhidden, rows, s.Hidden), host(b.dout[q], rows, s.Out)
		e.device.MatMulTN(host(e.grads[e.out[q].Weight], s.Hidden, s.Out), h, dout)
		e.device.ColumnSum(e.grads[e.out[q].Bias], dout, nil)
		e.out[q].BackwardInto(e.device, dh, dout)
		for i, v := range h.Data {
			if v == 0 { // rectified, or dropped
				dh.Data[i] = 0
			}
		}
		if dropout > 0 {
			for i := range dh.Data {
				dh.Data[i] *= keep
			}
		}
		e.device.MatMulTN(host(e.grads[e.part[q].Weight], s.Dim, s.Hidden), host(b.part[q], rows, s.Dim), dh)
		e.device.ColumnSum(e.grads[e.bias][q*s.Hidden:][:s.Hidden], dh, nil)
		sum := host(b.dcontext, rows, s.Hidden)
		e.device.Add(sum, sum, dh)
	}
	dcontext, dtrunk := host(b.dcontext, n, s.Hidden), host(b.dtrunk, n, s.Trunk)
	e.device.MatMulTN(host(e.grads[e.skip.Weight], s.Features(), s.Hidden), f, dcontext)
	e.device.MatMulTN(host(e.grads[e.mix.Weight], s.Trunk, s.Hidden), trunk, dcontext)
	e.mix.BackwardInto(e.device, dtrunk, dcontext)
	for i, k := range b.codebooks {
		db := e.grads[e.trunkBias][(k-1)*s.Trunk:][:s.Trunk]
		for t := range e.Frames {
			at := (i*e.Frames + t) * s.Trunk
			for j := range s.Trunk {
				if b.trunk[at+j] == 0 {
					b.dtrunk[at+j] = 0
				}
				db[j] += b.dtrunk[at+j]
			}
		}
	}
	e.device.MatMulTN(host(e.grads[e.trunk.Weight], s.Features(), s.Trunk), f, dtrunk)
	var cost float64
	for q, rows := range b.rows {
		cost += b.loss[q] / float64(max(rows, 1)) / math.Ln2
	}
	return cost
}

// decide walks the tree of codebook q for every row.
func (e *Entropy) decide(b *entropyBatch, q int) {
	s := e.shape
	depth := s.Depth()
	nodes, bias := e.nodes[q].Data, e.nodeBias[q].Data
	dnodes, dbias := e.grads[e.nodes[q]], e.grads[e.nodeBias[q]]
	scale := 1 / float32(e.Packets*e.Frames)
	b.loss[q] = 0
	for r := range b.rows[q] {
		u, d := b.out[q][r*s.Out:][:s.Out], b.dout[q][r*s.Out:][:s.Out]
		clear(d)
		leaf := int(e.ranks[q*s.Size+int(b.codes[r*s.Codebooks+q])])
		for node, i := 1, depth-1; i >= 0; i-- {
			bit := leaf >> i & 1
			w, dw := nodes[node*s.Out:][:len(u)], dnodes[node*s.Out:][:len(u)]
			logit := float64(bias[node] + dot(u, w))
			if bit == 0 {
				logit = -logit
			}
			// cost = ln(1 + exp(−logit))
			p := 1 / (1 + math.Exp(-logit))
			b.loss[q] -= math.Log(max(p, 1e-30))
			slope := float32(p-1) * scale
			if bit == 0 {
				slope = -slope
			}
			dbias[node] += slope
			for k, v := range u {
				dw[k] += slope * v
				d[k] += slope * w[k]
			}
			node = 2*node + bit
		}
	}
}

func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// Run trains to the end of the recipe and writes the state of things to
// progress from time to time.
func (e *Entropy) Run(ctx context.Context, progress io.Writer) (err error) {
	defer backend.Recover(&err)
	frames := 0
	for _, c := range e.clips {
		frames += len(c) / e.shape.Codebooks
	}
	updates := max(1, int(e.Epochs*float64(frames)/float64(e.Packets*e.Frames)))
	schedule := Schedule{Peak: e.LR, Floor: 0.01, Warmup: min(100, updates/10+1)}
	all := make([]gorgonia.ValueGrad, len(e.weights))
	for i, w := range e.weights {
		all[i] = w
	}
	begin, last, cost, n := time.Now(), time.Now(), 0.0, 0
	for i := range updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		cost += e.step(e.draw(), e.Dropout)
		n++
		e.solver.LR = float32(schedule.At(i, float64(i)/float64(updates)))
		if err := e.solver.Step(all); err != nil {
			return err
		}
		if time.Since(last) > 10*time.Second || i+1 == updates {
			last = time.Now()
			fmt.Fprintf(progress, "update %d of %d: %.2f bits a frame, %s\n", i+1, updates, cost/float64(n), last.Sub(begin).Round(time.Second))
			cost, n = 0, 0
		}
	}
	return nil
}

// Network rounds the weights to integers. Units are scaled so that the largest
// seen on packets of the training clips fills their range.
func (e *Entropy) Network() (*entropy.Network, error) {
	s := e.shape
	b := e.draw()
	e.step(b, 0)
	trunkScale, unitScale, outScale := 2047/float64(largest(b.trunk)), math.Inf(1), math.Inf(1)
	var part, out, nodes float64
	for q, rows := range b.rows {
		unitScale = min(unitScale, 2047/float64(largest(b.hidden[q][:rows*s.Hidden])))
		outScale = min(outScale, 2047/float64(largest(b.out[q][:rows*s.Out])))
		part = max(part, float64(largest(e.part[q].Weight.Data)))
		out = max(out, float64(largest(e.out[q].Weight.Data)))
		nodes = max(nodes, float64(largest(e.nodes[q].Data)))
	}
	// The largest shift whose weights fit.
	shift := func(limit, weight float64) int {
		k := 1
		for k < 20 && weight*math.Exp2(float64(k+1)) <= limit {
			k++
		}
		return k
	}
	trunkFactor := e.unit * trunkScale
	s.TrunkShift = shift(math.MaxInt16, float64(largest(e.trunk.Weight.Data))*trunkFactor)
	hidden := max(float64(largest(e.skip.Weight.Data))*e.unit, float64(largest(e.mix.Weight.Data))/trunkScale, part*e.unit)
	s.HiddenShift = shift(math.MaxInt16, hidden*unitScale)
	s.OutShift = shift(math.MaxInt16, out*outScale/unitScale)
	s.NodeShift = shift(math.MaxInt8, nodes*128/outScale)
	for {
		n, err := entropy.NewNetwork(s, e.round(s, trunkScale, unitScale, outScale))
		if !errors.Is(err, entropy.ErrRange) || min(s.TrunkShift, s.HiddenShift, s.OutShift) == 1 {
			return n, err
		}
		s.TrunkShift--
		s.HiddenShift--
		s.OutShift--
	}
}

func largest(v []float32) float32 {
	var m float32 = 1e-9
	for _, x := range v {
		m = max(m, x, -x)
	}
	return m
}

// round gives the weights as integers.
func (e *Entropy) round(s entropy.Config, trunkScale, unitScale, outScale float64) entropy.Weights {
	leaves := 1 << s.Depth()
	w := entropy.Weights{Ranks: e.ranks, Embedding: e.embedding}
	trunk, hidden := math.Exp2(float64(s.TrunkShift))*trunkScale, math.Exp2(float64(s.HiddenShift))*unitScale
	out, node := math.Exp2(float64(s.OutShift))*outScale, math.Exp2(float64(s.NodeShift))*128
	w.Trunk = rounded[int16](nil, e.trunk.Weight.Data, trunk*e.unit, math.MaxInt16)
	w.TrunkBias = rounded[int32](nil, e.trunkBias.Data, trunk, math.MaxInt32)
	w.Skip = rounded[int16](nil, e.skip.Weight.Data, hidden*e.unit, math.MaxInt16)
	w.Mix = rounded[int16](nil, e.mix.Weight.Data, hidden/trunkScale, math.MaxInt16)
	w.Bias = rounded[int32](nil, e.bias.Data, hidden, math.MaxInt32)
	for q := range s.Codebooks {
		w.Part = rounded(w.Part, e.part[q].Weight.Data, hidden*e.unit, math.MaxInt16)
		w.Out = rounded(w.Out, e.out[q].Weight.Data, out/unitScale, math.MaxInt16)
		w.OutBias = rounded(w.OutBias, e.out[q].Bias.Data, out, math.MaxInt32)
		w.Nodes = rounded(w.Nodes, e.nodes[q].Data, node/outScale, math.MaxInt8)
		w.NodeBias = rounded(w.NodeBias, e.nodeBias[q].Data, node, math.MaxInt32)
	}
	for q, counts := range e.counts() {
		tree := make([]float64, 2*leaves)
		for c, n := range counts {
			tree[leaves+int(e.ranks[q*s.Size+c])] = n
		}
		for i := leaves - 1; i > 0; i-- {
			tree[i] = tree[2*i] + tree[2*i+1]
		}
		for i := range leaves {
			p := 0.5
			if i > 0 && tree[i] > 0 {
				p = tree[2*i+1] / tree[i]
			}
			w.Static = append(w.Static, uint16(min(max(math.Round(p*65536), 1), 65535)))
		}
	}
	for i := range 4096 {
		p := 1 / (1 + math.Exp(-float64(i-2048)/128))
		w.Sigmoid = append(w.Sigmoid, uint16(min(max(math.Round(p*65536), 1), 65535)))
	}
	return w
}

// rounded appends values times a factor as integers up to a limit.
func rounded[T int8 | int16 | int32](dst []T, v []float32, factor, limit float64) []T {
	for _, x := range v {
		dst = append(dst, T(min(max(math.Round(float64(x)*factor), -limit), limit)))
	}
	return dst
}
