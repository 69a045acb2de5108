package whisper

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// encoder turns mel frames into states, one for two frames: two convolutions of
// 3 taps, the second with stride 2, positions, blocks and a norm.
type encoder struct {
	bands, context int
	conv1, conv2   *nn.Linear
	positions      *backend.Tensor // [context, width]
	blocks         []*block
	norm           *nn.LayerNorm
}

func (l *loader) encoder() *encoder {
	d := l.dims
	e := &encoder{
		bands: d.Mels, context: d.AudioContext,
		conv1: l.convolution("encoder.conv1", d.Mels, d.AudioWidth),
		conv2: l.convolution("encoder.conv2", d.AudioWidth, d.AudioWidth),
	}
	e.positions = l.table("encoder.positional_embedding", d.AudioContext, d.AudioWidth)
	e.blocks = l.blocks("encoder", d.AudioLayers, d.AudioWidth, d.AudioHeads, false)
	e.norm = l.norm("encoder.ln_post", d.AudioWidth)
	return e
}

func (l *loader) table(name string, rows, cols int) *backend.Tensor {
	v := l.values(name, rows, cols)
	if l.err != nil {
		return nil
	}
	t := l.backend.New(rows, cols)
	l.backend.Upload(t, v)
	return t
}

// encoding is a run of the encoder over frames that arrive in parts. Every
// position sees the positions of its own part and of those before: one part is the
// encoder as it was trained, several are its block-causal form.
type encoding struct {
	*encoder
	stream *nn.Stream
	mel    []float32 // frames so far [2·done + 1 or more, bands]
	caches []cache
	done   int // positions
	to     []int32
}

func (e *encoder) start(b backend.Backend) *encoding {
	r := &encoding{encoder: e, stream: nn.NewStream(b, 1)}
	for range e.blocks {
		r.caches = append(r.caches, newCache(b, e.context, e.norm.Gamma.Len()))
	}
	return r
}

// reset begins with no frames.
func (r *encoding) reset() { r.mel, r.done = r.mel[:0], 0 }

// step encodes the next n positions, which need the mel frames up to 2·(done+n)
// inclusive; frames that are not there are zeros, as at the end of the encoder's
// input. The states [n, width] live until the next step.
func (r *encoding) step(n int) *backend.Tensor {
	s := r.stream
	s.Begin()
	x := r.stem(n)
	from := r.bounds(n)
	for i, b := range r.blocks {
		h := b.norm.Step(s, x)
		q := b.attention.queries(s, h)
		r.caches[i].fill(s, &b.attention, h, r.done)
		y := s.Tensor(n, q.Cols)
		keys, values := s.Rows(r.caches[i].keys, 0, r.done+n), s.Rows(r.caches[i].values, 0, r.done+n)
		s.Attention(y, q, keys, values, from, r.to, b.attention.heads, b.attention.scale())
		x = b.attention.project(s, x, y)
		x = b.perceive(s, x)
	}
	r.done += n
	return r.norm.Step(s, x)
}

// bounds sets the ranges of keys of n positions.
func (r *encoding) bounds(n int) (from []int32) {
	r.to = append(r.to[:0], make([]int32, 2*n)...)
	for i := range n {
		r.to[i] = int32(r.done + n)
	}
	return r.to[n:]
}

// stem runs the convolutions for the next n positions and adds the embedding of
// their places.
func (r *encoding) stem(n int) *backend.Tensor {
	s := r.stream
	width := r.conv1.Out
	// Position i needs rows 2i−1 to 2i+1 of the first convolution, which need mel
	// frames one further to both sides.
	rows := 2*n + 1
	frames := make([]float32, (rows+2)*r.bands)
	first := 2*r.done - 2
	skip := max(-first, 0)
	if lo := first + skip; lo*r.bands < len(r.mel) {
		copy(frames[skip*r.bands:], r.mel[lo*r.bands:])
	}
	mel := s.Tensor(rows+2, r.bands)
	s.Upload(mel, frames)
	hidden := s.Tensor(rows, width)
	r.conv1.Into(s.Backend, hidden, &backend.Tensor{Rows: rows, Cols: 3 * r.bands, Stride: r.bands, Data: mel.Data}, backend.Epilogue{Act: backend.GELUErf})
	if r.done == 0 {
		s.Clear(hidden.Row(0)) // the second convolution is padded, too
	}
	x := s.Tensor(n, width)
	r.conv2.Into(s.Backend, x, &backend.Tensor{Rows: n, Cols: 3 * width, Stride: 2 * width, Data: hidden.Data}, backend.Epilogue{Act: backend.GELUErf})
	y := s.Tensor(n, width)
	s.Backend.Add(y, x, s.Rows(r.positions, r.done, r.done+n))
	return y
}

func inverseSqrt(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }
