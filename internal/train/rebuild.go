package train

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// rebuildLatents gives a network a last matrix that writes latents instead of scores:
// TERA's head (Liu et al. 2021, section III). The rest is what the recogniser begins
// with afterwards.
func rebuildLatents(n *recognizer.Network) {
	n.Output = nn.NewLinear("rebuild", n.Width, recognizer.Fast*n.Inputs)
}

// rebuild is the forward and backward pass of a batch whose loss is the mean distance
// between what the network makes of altered latents and those before, over the frames
// of all batches.
func (t *ASR) rebuild(s *asrShard, batch []item, chunk, frames int) error {
	stream := s.tape.Begin(len(batch))
	stream.Chunk = chunk
	clean, altered, rows, err := t.pair(s, stream, batch)
	if err != nil {
		return err
	}
	dim := t.Config.Model.Inputs
	out := recognizer.Apply(s.tape, t.Network, s.tape.Input(backend.Host(altered, len(batch)*rows, dim)), nil)
	out.Grad = stream.Tensor(out.Rows, out.Cols)
	stream.Clear(out.Grad.Data)
	stream.Wait()
	s.Middle = 0
	s.Loss = distance(batch, rows, t.Network.Delay(), dim, clean, out.Data, out.Grad.Data, 1/float32(frames*dim))
	s.tape.Backward()
	return nil
}

// pair gives the latents of a batch as they are and as the network gets them, each
// [len(batch)·rows, dim].
func (t *ASR) pair(s *asrShard, stream *nn.Stream, batch []item) (clean, altered []float32, rows int, err error) {
	clean, _, err = t.data.fill(stream, batch, t.Network.Delay(), t.Config.Model.Inputs, func() int { return 0 })
	if err != nil {
		return nil, nil, 0, err
	}
	altered, rows, err = t.inputs(s, stream, batch)
	return clean, altered, rows, err
}

// distance is the mean absolute difference between the latents of a batch and what
// trails them by delay rows; its slope times scale is put into grad, unless that is
// nil.
func distance(batch []item, rows, delay, dim int, clean, out, grad []float32, scale float32) float64 {
	var sum float64
	n := 0
	for i, m := range batch {
		values := m.frames() * dim
		want, got := clean[i*rows*dim:][:values], out[(i*rows+delay)*dim:][:values]
		for k, w := range want {
			d := got[k] - w
			sum += math.Abs(float64(d))
			if grad != nil && d != 0 {
				grad[(i*rows+delay)*dim+k] = float32(math.Copysign(float64(scale), float64(d)))
			}
		}
		n += values
	}
	return sum / float64(max(1, n))
}

// Rebuilt is the mean distance from the latents of a source: of altered ones, and of
// what the network makes of them.
type Rebuilt struct {
	Altered float64 `json:"altered"`
	Rebuilt float64 `json:"rebuilt"`
}

// ValidateRebuilt judges the average of weights on the utterances kept for it, altered
// the same way each time.
func (t *ASR) ValidateRebuilt() (scores map[string]Rebuilt, err error) {
	defer backend.Recover(&err)
	scores = map[string]Rebuilt{}
	err = t.WithAverage(func() error {
		stream := nn.NewStream(t.device, 1)
		shard := &asrShard{rng: rand.New(rand.NewPCG(t.Config.Seed, 4))}
		dim, delay := t.Config.Model.Inputs, t.Network.Delay()
		for source, all := range t.data.Valid {
			var score Rebuilt
			frames := 0
			for some := range slices.Chunk(all, 8) {
				var batch []item
				for _, u := range some {
					batch = append(batch, item{u})
				}
				stream.Begin()
				stream.Batch = len(batch)
				stream.Reset()
				clean, altered, rows, err := t.pair(shard, stream, batch)
				if err != nil {
					return err
				}
				out := recognizer.Apply(stream, t.Network, backend.Host(altered, len(batch)*rows, dim), nil)
				stream.Wait()
				n := 0
				for _, m := range batch {
					n += m.frames()
				}
				score.Altered += float64(n) * distance(batch, rows, 0, dim, clean, altered, nil, 0)
				score.Rebuilt += float64(n) * distance(batch, rows, delay, dim, clean, out.Data, nil, 0)
				frames += n
			}
			score.Altered /= float64(frames)
			score.Rebuilt /= float64(frames)
			scores[source] = score
		}
		return nil
	})
	return scores, err
}
