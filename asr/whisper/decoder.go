package whisper

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// decoder predicts the next token from the tokens so far and the states of the
// encoder. Its output matrix is the embedding of its tokens.
type decoder struct {
	vocabulary, context, width int
	embedding                  *backend.Tensor // [vocabulary, width]
	positions                  *backend.Tensor // [context, width]
	blocks                     []*block
	norm                       *nn.LayerNorm
	logits                     *backend.Weights // [width, vocabulary]
}

func (l *loader) decoder() *decoder {
	d := l.dims
	r := &decoder{vocabulary: d.Vocabulary, context: d.TextContext, width: d.TextWidth}
	r.embedding = l.table("decoder.token_embedding.weight", d.Vocabulary, d.TextWidth)
	if l.err == nil {
		backend.Wait(l.backend)
		if l.precision == backend.Float32 {
			r.logits = l.backend.PackT(r.embedding.Data, d.Vocabulary, d.TextWidth)
		} else {
			r.logits = l.backend.PackReduced(transpose(r.embedding.Data, d.Vocabulary, d.TextWidth), d.TextWidth, d.Vocabulary, l.precision)
		}
	}
	r.positions = l.table("decoder.positional_embedding", d.TextContext, d.TextWidth)
	r.blocks = l.blocks("decoder", d.TextLayers, d.TextWidth, d.TextHeads, true)
	r.norm = l.norm("decoder.ln", d.TextWidth)
	return r
}

// decoding is a run of the decoder on one recording: several hypotheses of equal
// length side by side, which share the states of the encoder.
type decoding struct {
	*decoder
	stream *nn.Stream
	beams  int
	done   int               // tokens of each hypothesis
	audio  int               // states of the encoder
	cross  []*backend.Memory // of the states, a layer each
	keys   []*backend.Tensor // in it [audio context, width]
	own    []cache           // [beams·context, width], a hypothesis after the other
	// scores, if not nil, is called with the queries of each layer's
	// cross-attention.
	scores func(layer int, q *backend.Tensor)

	from, to []int32
}

func (d *decoder) start(b backend.Backend, beams, audio int) *decoding {
	r := &decoding{decoder: d, stream: nn.NewStream(b, 1), beams: beams}
	for _, block := range d.blocks {
		r.cross = append(r.cross, b.NewMemory(audio, d.width, block.cross.heads))
		r.keys = append(r.keys, b.New(audio, d.width))
		r.own = append(r.own, newCache(b, beams*d.context, d.width))
	}
	return r
}

// reset forgets the tokens.
func (r *decoding) reset() { r.done = 0 }

// deafen forgets the states of the encoder, and the tokens.
func (r *decoding) deafen() {
	r.audio, r.done = 0, 0
	for _, m := range r.cross {
		m.Rows = 0
	}
}

// listen adds states of the encoder.
func (r *decoding) listen(states *backend.Tensor) {
	s := r.stream
	s.Begin()
	for i, b := range r.blocks {
		keys, values := s.Rows(r.keys[i], r.audio, r.audio+states.Rows), s.Tensor(states.Rows, r.width)
		b.cross.key.Into(s.Backend, keys, states, backend.Epilogue{})
		b.cross.value.Into(s.Backend, values, states, backend.Epilogue{})
		s.Remember(r.cross[i], keys, values)
	}
	r.audio += states.Rows
}

// step reads the next tokens [hypotheses][n] and gives the normalised output
// [hypotheses·n, width], which live until the next step. There may be fewer
// hypotheses than beams. A token sees the tokens before it and all states of the
// encoder that are there when it is read.
func (r *decoding) step(tokens []int32, n int) *backend.Tensor {
	s := r.stream
	s.Begin()
	hypotheses := len(tokens) / n
	x := s.Tensor(len(tokens), r.width)
	s.Gather(x, r.embedding, tokens)
	for h := range hypotheses {
		rows := s.Rows(x, h*n, (h+1)*n)
		s.Backend.Add(rows, rows, s.Rows(r.positions, r.done, r.done+n))
	}
	for i, b := range r.blocks {
		x = r.attend(x, i, b, n)
		h := b.crossNorm.Step(s, x)
		q := b.cross.queries(s, h)
		if r.scores != nil {
			r.scores(i, q)
		}
		y := s.Tensor(q.Rows, q.Cols)
		s.Recall(y, q, r.cross[i], b.cross.scale())
		x = b.cross.project(s, x, y)
		x = b.perceive(s, x)
	}
	r.done += n
	return r.norm.Step(s, x)
}

// attend is the self-attention of block b.
func (r *decoding) attend(x *backend.Tensor, i int, b *block, n int) *backend.Tensor {
	s := r.stream
	h := b.norm.Step(s, x)
	q := b.attention.queries(s, h)
	for j := range x.Rows / n {
		r.own[i].fill(s, &b.attention, s.Rows(h, j*n, (j+1)*n), j*r.context+r.done)
	}
	y := s.Tensor(q.Rows, q.Cols)
	r.from, r.to = r.from[:0], r.to[:0]
	for m := range q.Rows {
		first := m / n * r.context
		r.from, r.to = append(r.from, int32(first)), append(r.to, int32(first+r.done+m%n+1))
	}
	s.Attention(y, q, r.own[i].keys, r.own[i].values, r.from, r.to, b.attention.heads, b.attention.scale())
	return b.attention.project(s, x, y)
}

// predict gives the logits [rows, vocabulary] of outputs of a step, which the host may
// change.
func (r *decoding) predict(y *backend.Tensor) *backend.Tensor {
	logits := r.stream.Tensor(y.Rows, r.vocabulary)
	r.stream.MatMul(logits, y, r.logits, backend.Epilogue{})
	r.stream.Wait()
	return logits
}

// rearrange makes hypothesis i continue what hypothesis sources[i] was.
func (r *decoding) rearrange(sources []int) {
	s := r.stream
	s.Begin()
	for i := range r.own {
		for _, t := range []*backend.Tensor{r.own[i].keys, r.own[i].values} {
			kept := map[int]*backend.Tensor{}
			for to, from := range sources {
				if to != from && kept[from] == nil {
					kept[from] = s.Tensor(r.done, r.width)
					s.Copy(kept[from], s.Rows(t, from*r.context, from*r.context+r.done))
				}
			}
			for to, from := range sources {
				if to != from {
					s.Copy(s.Rows(t, to*r.context, to*r.context+r.done), kept[from])
				}
			}
		}
	}
}
