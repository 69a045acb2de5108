package train

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// fixed is what a decoder is tuned behind: an encoder and codebooks that do not
// change.
type fixed struct {
	model     *native.Checkpoint
	quantizer []*rvq.Quantizer // of each shard
	streams   []*nn.Stream
	codes     [][]int32
}

// NewTuner makes a trainer of a model's decoder, for codebooks that are settled:
// each item passes the encoder and as many levels as it drew. The recipe's network
// and quantizer are the model's. A run that is resumed starts from the same model.
func NewTuner(c CodecConfig, model *native.Checkpoint, corpus *Corpus, device backend.Backend) (_ *Codec, err error) {
	defer backend.Recover(&err)
	c.Model = model.Network.Config
	c.Discriminators, c.Balancer = nil, nil
	f := &fixed{model: model, codes: make([][]int32, c.Shards)}
	on := model.Quantizer.On(device)
	for range c.Shards {
		f.quantizer = append(f.quantizer, on.Fork())
		f.streams = append(f.streams, nn.NewStream(device, max(c.Batch/max(c.Shards, 1), 1)))
	}
	t, err := newCodec(c, corpus, device, f)
	if err != nil {
		return nil, err
	}
	backend.Wait(device)
	for i, p := range model.Network.Params() {
		own := t.Network.Params()[i]
		copy(own.Data, p.Data)
		own.Changed()
	}
	return t, nil
}

// encode sets latents to what a shard's decoder gets of samples, both by item.
func (f *fixed) encode(shard int, latents, samples []float32, levels []int) (err error) {
	defer backend.Recover(&err)
	q, s := f.quantizer[shard], f.streams[shard]
	hop, dim := f.model.Network.HopLength, q.Dim
	s.Begin()
	s.Reset()
	x := s.Tensor(len(samples)/hop, hop)
	s.Upload(x, samples)
	s.Download(latents, native.Encode[*backend.Tensor](s, f.model.Network.Encoder, x))
	rows := x.Rows / len(levels)
	for i, n := range levels {
		if n == 0 {
			continue
		}
		z := latents[i*rows*dim : (i+1)*rows*dim]
		f.codes[shard] = append(f.codes[shard][:0], make([]int32, rows*n*q.Groups)...)
		q.Encode(f.codes[shard], z, n)
		if err := q.GRVQ.Decode(z, f.codes[shard], n); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// DefaultTuneConfig is the recipe of a decoder's tuning: the losses of the shipped
// model's last phase. Its blocks stay as they are, so that files can leave them out:
// what codebooks ask for is at both ends.
func DefaultTuneConfig() CodecConfig {
	c := DefaultCodecConfig()
	c.Schedule = Schedule{Peak: 3e-4, Floor: 0.01, Warmup: 50}
	c.Average = 0.99
	c.Intelligibility, c.IntelligibilityFrom, c.Level, c.ComplexCoded = 1, 0, 0.3, 0.1
	c.MelScales = []MelScale{{2048, 512}, {1024, 320}, {512, 160}, {256, 64}, {128, 20}}
	c.Unquantized = 0
	c.Rates = map[string]float32{"decoder.block": 0}
	c.LevelShares = []float64{0.08, 0.24, 0.08, 0.18, 0.08, 0.16, 0.06, 0.12}
	c.Augment = Augment{Level: 0.3, Mixture: 0.05, Noise: 0.05, BandLimit: 0.05}
	return c
}
