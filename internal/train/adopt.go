package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"gonum.org/v1/gonum/mat"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/weights"
)

// Begin starts a new schedule from the file at path: a checkpoint of a run with
// the same shape, or a released model, see Adopt.
func (t *Codec) Begin(path string) (err error) {
	defer backend.Recover(&err)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	f, err := weights.Parse(data)
	if err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if f.Metadata["family"] != native.Family {
		if err := t.Load(path); err != nil {
			return err
		}
		t.Restart()
		return nil
	}
	model, _, err := native.Unmarshal(data)
	if err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if err := t.Adopt(model); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	return nil
}

// Adopt takes over the weights of a model whose network is the same but for the
// quantizer. One of another shape starts anew: the latents are turned to the
// principal components of the model's on this corpus, the weights on both sides
// with them, and the codebooks start as in a fresh run.
func (t *Codec) Adopt(model *native.Checkpoint) (err error) {
	defer backend.Recover(&err)
	from, to := model.Network, t.Network
	same := from.Config
	same.Quantizer = to.Quantizer
	if same != to.Config {
		return fmt.Errorf("the recipe's network differs from the model's in more than its quantizer: %+v, not %+v", to.Config, from.Config)
	}
	if from.Quantizer == to.Quantizer {
		for i, p := range from.Params() {
			copy(to.Params()[i].Data, p.Data)
			to.Params()[i].Changed()
		}
		t.quantizer.Load(model.Quantizer.Entries(), nil, nil)
		return nil
	}
	wide, narrow := from.Quantizer.Dim, to.Quantizer.Dim
	if narrow > wide {
		return fmt.Errorf("latents of %d values cannot start from those of %d", narrow, wide)
	}
	basis, gain, err := t.components(from, narrow)
	if err != nil {
		return err
	}
	turn := map[string]func(into, p *nn.Param){}
	into := func(q, p *nn.Param) { rotate(q.Data, p.Data, basis) }
	for _, l := range []*nn.Linear{to.Encoder.Project, to.Encoder.Skip} {
		turn[l.Weight.Name], turn[l.Bias.Name] = into, into
	}
	// The norm over fewer values that hold most of the energy scales them down.
	back := func(q, p *nn.Param) {
		columns := len(p.Data) / wide
		for k := range narrow {
			for j := range columns {
				var sum float64
				for i := range wide {
					sum += basis.At(i, k) * float64(p.Data[i*columns+j])
				}
				q.Data[k*columns+j] = float32(gain * sum)
			}
		}
	}
	for _, l := range []*nn.Linear{to.Decoder.Input, to.Decoder.Skip} {
		turn[l.Weight.Name] = back
	}
	for i, p := range from.Params() {
		q := to.Params()[i]
		if f := turn[q.Name]; f != nil {
			f(q, p)
		} else {
			copy(q.Data, p.Data)
		}
		q.Changed()
	}
	return nil
}

// rotate sets each row of y to that of x in the given basis, [len x, len y].
func rotate(y, x []float32, basis *mat.Dense) {
	wide, narrow := basis.Dims()
	for r := range len(x) / wide {
		for k := range narrow {
			var sum float64
			for i := range wide {
				sum += basis.At(i, k) * float64(x[r*wide+i])
			}
			y[r*narrow+k] = float32(sum)
		}
	}
}

// components gives the n strongest principal components of a network's latents
// as columns, and the root of the mean square of the latents in them.
func (t *Codec) components(net *native.Network, n int) (*mat.Dense, float64, error) {
	const batch = 8
	dim, crops := net.Quantizer.Dim, max(t.Config.LinearCrops, batch)
	frames := 2 * net.SampleRate / net.HopLength
	rng := rand.New(rand.NewPCG(uint64(t.Config.Seed), 3))
	s := nn.NewStream(t.device, batch)
	samples, moments, rows := make([]float32, batch*frames*net.HopLength), make([]float32, dim*dim), 0
	for range crops / batch {
		for i := range batch {
			t.corpus.Draw(samples[i*len(samples)/batch:(i+1)*len(samples)/batch], Augment{}, rng)
		}
		s.Begin()
		s.Reset()
		x := s.Tensor(batch*frames, net.HopLength)
		s.Upload(x, samples)
		z := native.Encode[*backend.Tensor](s, net.Encoder, x)
		s.MatMulTN(backend.Host(moments, dim, dim), z, z)
		rows += z.Rows
	}
	basis, energy, err := principal(square(dim, func(i, j int) float64 {
		return float64(moments[i*dim+j]) / float64(rows)
	}), n, rng)
	return basis, math.Sqrt(energy / float64(n)), err
}
