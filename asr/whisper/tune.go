package whisper

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// Tuner trains an adapter for causal use as arXiv:2508.12301 does: at some ends of
// chunks, given the sound up to there, the decoder has to say the words that ended
// before and then the end of text. All weights but the adapter's stay as they are.
type Tuner struct {
	*Model
	adapter *Adapter
	chunk   int // positions
	random  *rand.Rand
	order   []string // of layers
	slopes  map[string]*update
	moments map[string][2]update
	step    int
	tape    tape
	// table is the embedding [vocabulary, width], packed for slopes.
	table *backend.Weights
}

// Utterance is a recording with the times of its words.
type Utterance struct {
	PCM   []float32 // mono, 16 kHz, at most 30 s
	Words []Word    // times in seconds
}

// NewTuner begins an adapter of a model, or goes on with one. B starts at zero, so
// that a fresh adapter changes nothing.
func NewTuner(m *Model, a *Adapter, seed uint64) (_ *Tuner, err error) {
	defer backend.Recover(&err)
	if a.Rank < 1 || a.Rank > m.dims.AudioWidth || a.Chunk < positionTime || a.Chunk%positionTime != 0 {
		return nil, fmt.Errorf("whisper: an adapter of rank %d for chunks of %v", a.Rank, a.Chunk)
	}
	if m.precision != backend.Float32 || m.adapter != nil {
		return nil, fmt.Errorf("whisper: adapters are trained on a plain float32 model")
	}
	whole, err := m.whole()
	if err != nil {
		return nil, err
	}
	t := &Tuner{
		Model: whole, adapter: a, chunk: int(a.Chunk / positionTime), random: rand.New(rand.NewPCG(seed, 1)),
		slopes: map[string]*update{}, moments: map[string][2]update{},
	}
	t.order = adapterLayers(m.dims)
	if a.updates == nil {
		a.updates = map[string]*update{}
		for _, layer := range t.order {
			a.updates[layer] = freshUpdate(a.Rank, m.dims.AudioWidth, t.random)
		}
	}
	if err := a.fits(m.dims); err != nil {
		return nil, err
	}
	for layer, u := range a.updates {
		zero := func() update { return update{u.in, u.out, make([]float32, len(u.a)), make([]float32, len(u.b))} }
		s := zero()
		t.slopes[layer], t.moments[layer] = &s, [2]update{zero(), zero()}
	}
	backend.Wait(t.backend)
	t.table = t.backend.Pack(t.decoder.embedding.Data, t.dims.Vocabulary, t.dims.TextWidth)
	t.tape = tape{stream: nn.NewStream(m.backend, 1), tuner: t}
	return t, nil
}

// freshUpdate has A uniform as PEFT's, and B zero.
func freshUpdate(rank, width int, random *rand.Rand) *update {
	u := &update{in: width, out: width, a: make([]float32, rank*width), b: make([]float32, width*rank)}
	bound := 1 / math.Sqrt(float64(width))
	for i := range u.a {
		u.a[i] = float32((2*random.Float64() - 1) * bound)
	}
	return u
}

// adapterLayers lists the layers that an adapter changes.
func adapterLayers(d dims) []string {
	var all []string
	add := func(side string, layers int, parts ...string) {
		for i := range layers {
			for _, part := range parts {
				for _, p := range []string{"query", "key", "value", "out"} {
					all = append(all, fmt.Sprintf("%s.blocks.%d.%s.%s", side, i, part, p))
				}
			}
		}
	}
	add("encoder", d.AudioLayers, "attn")
	add("decoder", d.TextLayers, "attn", "cross_attn")
	return all
}

// partial is what the decoder has to say after some chunks.
type partial struct {
	positions int     // that it hears
	tokens    []int32 // read
	target    []int32 // to be predicted from them, −1 where anything goes
}

// partials draws ends of chunks, a share of all, at least one: the words that ended
// before each, then the end of text.
func (t *Tuner) partials(u *Utterance, language int, share float64) []partial {
	total := min((len(u.PCM)+stepSamples-1)/stepSamples, t.dims.AudioContext)
	chunks := (total + t.chunk - 1) / t.chunk
	start := t.adapter.Startup // chunks that the first one waits for
	var ends []int
	for c := min(start, chunks-1); c < chunks; c++ {
		if t.random.Float64() < share {
			ends = append(ends, c)
		}
	}
	if len(ends) == 0 {
		ends = []int{t.random.IntN(chunks)}
	}
	var all []partial
	for _, c := range ends {
		s := partial{positions: min((c+1)*t.chunk, t.dims.AudioContext)}
		s.tokens = append(t.tokenizer.sequence(language, false), t.tokenizer.noTimestamps)
		first := len(s.tokens)
		for _, w := range u.Words {
			// Tokens end evenly spread over the word.
			ids := t.tokenizer.Encode(w.Text)
			for i, id := range ids {
				end := w.Start + (w.End-w.Start)*float64(i+1)/float64(len(ids))
				if end*statesPerSecond > float64(s.positions) || len(s.tokens) >= t.dims.TextContext-1 {
					break
				}
				s.tokens = append(s.tokens, id)
			}
		}
		for i := range s.tokens {
			switch {
			case i < first-1:
				s.target = append(s.target, -1)
			case i+1 < len(s.tokens):
				s.target = append(s.target, s.tokens[i+1])
			default:
				s.target = append(s.target, t.tokenizer.eot)
			}
		}
		all = append(all, s)
	}
	return all
}

// Loss is the mean cross-entropy, in nats a token, at a share of the ends of
// chunks of an utterance.
func (t *Tuner) Loss(u *Utterance, language string, share float64) (_ float64, err error) {
	defer backend.Recover(&err)
	l, err := t.language(language)
	if err != nil {
		return 0, err
	}
	return t.forward(u, t.partials(u, l, share)), nil
}

// Learn takes a step of AdamW with the gradients of some utterances, and gives
// their mean loss.
func (t *Tuner) Learn(batch []*Utterance, language string, share, rate float64) (_ float64, err error) {
	defer backend.Recover(&err)
	l, err := t.language(language)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, s := range t.slopes {
		clear(s.a)
		clear(s.b)
	}
	for _, u := range batch {
		sum += t.forward(u, t.partials(u, l, share))
		t.tape.backward()
	}
	t.step++
	a := backend.AdamW{LR: float32(rate), Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, Scale: 1 / float32(len(batch)), Step: t.step}
	for _, layer := range t.order {
		u, s, m := t.adapter.updates[layer], t.slopes[layer], t.moments[layer]
		if u == nil {
			continue
		}
		for i, part := range [][]float32{s.a, s.b} {
			w := [][]float32{u.a, u.b}[i]
			first, second := [][]float32{m[0].a, m[0].b}[i], [][]float32{m[1].a, m[1].b}[i]
			t.backend.AdamWStep(w, part, first, second, a)
		}
	}
	return sum / float64(len(batch)), nil
}

// forward runs the model on an utterance and gives the mean loss of partials.
func (t *Tuner) forward(u *Utterance, partials []partial) float64 {
	p := &t.tape
	p.begin()
	most := 0
	for _, s := range partials {
		most = max(most, s.positions)
	}
	// The encoder hears once: its mask makes states of earlier chunks the same.
	e := t.encoder.start(t.backend)
	bands := melStream{melBands: t.mel}
	mel := bands.push(nil, u.PCM)
	for len(mel) < (2*most+1)*t.dims.Mels {
		mel = bands.push(mel, make([]float32, hop))
	}
	top := never
	for i := 0; i < len(mel); i += t.dims.Mels {
		frame := mel[i : i+t.dims.Mels]
		top = max(top, maximum(frame))
		for k, v := range frame {
			frame[k] = normalise(v, top)
		}
	}
	e.mel = mel
	e.stream.Begin()
	x := &value{x: e.stem(most)}
	to := make([]int32, most)
	for i := range to {
		block := max(i/t.chunk, t.adapter.Startup)
		to[i] = int32(min((block+1)*t.chunk, most))
	}
	for i, b := range t.encoder.blocks {
		name := fmt.Sprintf("encoder.blocks.%d.", i)
		h := p.norm(b.norm, x)
		x = p.attend(name+"attn", &b.attention, x, h, h, make([]int32, most), to)
		x = p.perceive(b, x)
	}
	states := p.norm(t.encoder.norm, x)

	// The partials follow each other as rows.
	var tokens, target, from, until, none, heard, place []int32
	for _, s := range partials {
		first := int32(len(tokens))
		for i := range s.tokens {
			from, until = append(from, first), append(until, first+int32(i)+1)
			none, heard = append(none, 0), append(heard, int32(s.positions))
			place = append(place, int32(i))
		}
		tokens, target = append(tokens, s.tokens...), append(target, s.target...)
	}
	y := &value{x: t.backend.New(len(tokens), t.dims.TextWidth)}
	t.backend.Gather(y.x, t.decoder.embedding, tokens)
	places := p.stream.Tensor(len(tokens), t.dims.TextWidth)
	t.backend.Gather(places, t.decoder.positions, place)
	t.backend.Add(y.x, y.x, places)
	for i, b := range t.decoder.blocks {
		name := fmt.Sprintf("decoder.blocks.%d.", i)
		h := p.norm(b.norm, y)
		y = p.attend(name+"attn", &b.attention, y, h, h, from, until)
		y = p.attend(name+"cross_attn", &b.cross, y, p.norm(b.crossNorm, y), states, none, heard)
		y = p.perceive(b, y)
	}
	return p.crossEntropy(p.norm(t.decoder.norm, y), target)
}

// value is a matrix on a tape, and the slope of the loss in it.
type value struct{ x, slope *backend.Tensor }

// tape remembers what was computed, so that it can be gone back.
type tape struct {
	stream *nn.Stream
	tuner  *Tuner
	back   []func()
}

func (p *tape) begin() {
	p.stream.Begin()
	p.back = p.back[:0]
}

func (p *tape) backward() {
	for _, f := range slices.Backward(p.back) {
		f()
	}
}

// add adds a slope to that of v.
func (p *tape) add(v *value, slope *backend.Tensor) {
	if v.slope == nil {
		v.slope = slope
		return
	}
	sum := p.stream.Tensor(slope.Rows, slope.Cols)
	p.stream.Backend.Add(sum, v.slope, slope)
	v.slope = sum
}

func (p *tape) norm(n *nn.LayerNorm, x *value) *value {
	y := &value{x: n.Step(p.stream, x.x)}
	p.back = append(p.back, func() {
		dx := p.stream.Tensor(x.x.Rows, x.x.Cols)
		p.stream.LayerNormGrad(dx, nil, nil, x.x, y.slope, n.Gamma.On(p.stream.Backend), n.Eps)
		p.add(x, dx)
	})
	return y
}

// linear is a layer with its update, if it has one.
func (p *tape) linear(name string, l *nn.Linear, x *value) *value {
	s := p.stream
	y := &value{x: s.Tensor(x.x.Rows, l.Out)}
	l.Into(s.Backend, y.x, x.x, backend.Epilogue{})
	u := p.tuner.adapter.updates[name]
	var low *value
	scale := slices.Repeat([]float32{float32(p.tuner.adapter.Alpha / float64(p.tuner.adapter.Rank))}, p.tuner.adapter.Rank)
	if u != nil {
		rank := p.tuner.adapter.Rank
		low = &value{x: s.Tensor(x.x.Rows, rank)}
		s.MatMul(low.x, x.x, s.PackT(u.a, rank, u.in), backend.Epilogue{})
		s.ScaleAdd(low.x, low.x, scale, nil)
		sum := s.Tensor(y.x.Rows, y.x.Cols)
		s.MatMul(sum, low.x, s.PackT(u.b, u.out, rank), backend.Epilogue{Residual: y.x})
		y.x = sum
	}
	p.back = append(p.back, func() {
		dx := s.Tensor(x.x.Rows, l.In)
		l.BackwardInto(s.Backend, dx, y.slope)
		p.add(x, dx)
		if u == nil {
			return
		}
		rank, slopes := p.tuner.adapter.Rank, p.tuner.slopes[name]
		// B [out, rank] += dyᵀ·low, dlow = dy·B, A [rank, in] += dlowᵀ·x, dx += dlow·A.
		s.MatMulTN(backend.Host(slopes.b, u.out, rank), y.slope, low.x)
		dlow := s.Tensor(x.x.Rows, rank)
		s.MatMul(dlow, y.slope, s.Pack(u.b, u.out, rank), backend.Epilogue{})
		s.ScaleAdd(dlow, dlow, scale, nil)
		s.MatMulTN(backend.Host(slopes.a, rank, u.in), dlow, x.x)
		more := s.Tensor(x.x.Rows, l.In)
		s.MatMul(more, dlow, s.Pack(u.a, rank, u.in), backend.Epilogue{})
		p.add(x, more)
	})
	return y
}

// attend adds attention of queries h over keys and values of z to x.
func (p *tape) attend(name string, a *attention, x, h, z *value, from, to []int32) *value {
	s := p.stream
	q, k, v := p.linear(name+".query", a.query, h), p.linear(name+".key", a.key, z), p.linear(name+".value", a.value, z)
	y := &value{x: s.Tensor(q.x.Rows, q.x.Cols)}
	s.Attention(y.x, q.x, k.x, v.x, from, to, a.heads, a.scale())
	p.back = append(p.back, func() {
		dq, dk, dv := s.Tensor(q.x.Rows, q.x.Cols), s.Tensor(k.x.Rows, k.x.Cols), s.Tensor(v.x.Rows, v.x.Cols)
		s.Clear(dk.Data)
		s.Clear(dv.Data)
		s.AttentionGrad(dq, dk, dv, q.x, k.x, v.x, y.x, y.slope, from, to, a.heads, a.scale())
		p.add(q, dq)
		p.add(k, dk)
		p.add(v, dv)
	})
	return p.sum(x, p.linear(name+".out", a.out, y))
}

// perceive adds the perceptron of a block to x.
func (p *tape) perceive(b *block, x *value) *value {
	s := p.stream
	h := p.linear("", b.expand, p.norm(b.perceptronNorm, x))
	g := &value{x: s.Tensor(h.x.Rows, h.x.Cols)}
	s.Activate(g.x, h.x, backend.GELUErf)
	p.back = append(p.back, func() {
		dh := s.Tensor(h.x.Rows, h.x.Cols)
		s.ActivateGrad(dh, h.x, g.slope, backend.GELUErf)
		p.add(h, dh)
	})
	return p.sum(x, p.linear("", b.contract, g))
}

func (p *tape) sum(x, z *value) *value {
	y := &value{x: p.stream.Add(x.x, z.x)}
	p.back = append(p.back, func() {
		p.add(x, y.slope)
		p.add(z, y.slope)
	})
	return y
}

// crossEntropy is the mean of −log p(target) over the rows that have one.
func (p *tape) crossEntropy(y *value, target []int32) float64 {
	s, d := p.stream, p.tuner.decoder
	logits := s.Tensor(y.x.Rows, d.vocabulary)
	s.MatMul(logits, y.x, d.logits, backend.Epilogue{})
	s.Wait()
	count, loss := 0, 0.0
	for _, t := range target {
		if t >= 0 {
			count++
		}
	}
	for i, t := range target {
		x := logits.Row(i)
		if t < 0 {
			clear(x)
			continue
		}
		norm := logSumExp(x)
		loss += (norm - float64(x[t])) / float64(count)
		for k, v := range x {
			x[k] = float32(math.Exp(float64(v)-norm) / float64(count))
		}
		x[t] -= 1 / float32(count)
	}
	p.back = append(p.back, func() {
		y.slope = s.Tensor(y.x.Rows, y.x.Cols)
		s.MatMul(y.slope, logits, p.tuner.table, backend.Epilogue{})
	})
	return loss
}
