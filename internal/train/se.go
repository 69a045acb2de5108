package train

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
	"github.com/sotto-audio/sotto/rvq/se"
)

// Latents gives n frames [n, Dim] of a network's encoder from crops of two seconds.
// Equal seeds give equal frames.
func Latents(net *native.Network, corpus *Corpus, augment Augment, n int, seed uint64, device backend.Backend) (_ []float32, err error) {
	defer backend.Recover(&err)
	const batch = 8
	frames := 2 * net.SampleRate / net.HopLength
	rng := rand.New(rand.NewPCG(seed, 5))
	s := nn.NewStream(device, batch)
	samples := make([]float32, batch*frames*net.HopLength)
	var out []float32
	for len(out) < n*net.Quantizer.Dim {
		for i := range batch {
			corpus.Draw(samples[i*len(samples)/batch:(i+1)*len(samples)/batch], augment, rng)
		}
		s.Begin()
		s.Reset()
		x := s.Tensor(batch*frames, net.HopLength)
		s.Upload(x, samples)
		z := native.Encode[*backend.Tensor](s, net.Encoder, x)
		at := len(out)
		out = append(out, make([]float32, z.Rows*z.Cols)...)
		s.Download(out[at:], z)
	}
	return out[:n*net.Quantizer.Dim], nil
}

// BuildSE gives a model with codebooks by structural entropy in the place of its
// own, with its name and "-se", and as files in half precision hold it. Groups of
// latents have graphs of their own. base is the file of the model, which the new one
// shares weights with.
func BuildSE(ctx context.Context, base []byte, latents []float32, r se.Recipe, report func(group int, e se.Event)) (*native.Checkpoint, error) {
	model, fingerprint, err := native.Unmarshal(base)
	if err != nil {
		return nil, err
	}
	c := model.Network.Quantizer
	dim := c.Dim / c.Groups
	books, games := make([][]float32, c.Codebooks()), make([]rvq.Game, c.Codebooks())
	c.Size = 0
	part := make([]float32, len(latents)/c.Groups)
	for g := range c.Groups {
		for t := range len(latents) / c.Dim {
			copy(part[t*dim:(t+1)*dim], latents[t*c.Dim+g*dim:])
		}
		levels, err := se.Build(ctx, part, dim, c.Levels, r, func(e se.Event) { report(g, e) })
		if err != nil {
			return nil, err
		}
		for l, level := range levels {
			if n := len(level.Entries) / dim; n < 2 {
				return nil, fmt.Errorf("train: level %d came out as %d cluster: raise the threshold, or give fewer neighbours", l+1, n)
			}
			books[l*c.Groups+g], games[l*c.Groups+g] = level.Entries, level.Game
			c.Size = max(c.Size, len(level.Entries)/dim)
		}
	}
	q, err := rvq.NewSized(c, books)
	if err != nil {
		return nil, err
	}
	network := *model.Network
	network.Quantizer = c
	built := &native.Checkpoint{
		Name: model.Name + "-se", Network: &network, Quantizer: q.WithGames(games),
		Base: &native.Base{Name: model.Name, Fingerprint: fingerprint, Network: model.Network},
	}
	data, err := built.Marshal(true)
	if err != nil {
		return nil, err
	}
	built, _, err = native.Unmarshal(data, base)
	return built, err
}
