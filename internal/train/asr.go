package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// ASRConfig is the recipe of a recogniser's training.
type ASRConfig struct {
	Model recognizer.Config `json:"model"`
	Seed  uint64            `json:"seed"`

	Seconds float64 `json:"seconds"` // of audio in the batch of a shard
	Longest float64 `json:"longest"` // seconds of an item
	// Shortest is Longest at the start; it grows until the share Growth of the run:
	// alignments are learnt from short utterances first.
	Shortest float64 `json:"shortest"`
	Growth   float64 `json:"growth"`
	Join     float64 `json:"join"` // probability that an utterance is followed by another
	// Splice is the share of a source's utterances that are made of phrases of others.
	Splice map[string]float64 `json:"splice,omitempty"`

	Schedule    Schedule `json:"schedule"`
	Beta1       float32  `json:"beta1"`
	Beta2       float32  `json:"beta2"`
	WeightDecay float32  `json:"weight_decay"`
	Clip        float32  `json:"clip"`
	Average     float64  `json:"average"` // decay of the average of weights

	Dropout float64 `json:"dropout"`
	Middle  float64 `json:"middle"` // weight of the loss half way

	Chunks      []int     `json:"chunks"`       // latents, 0 for all
	ChunkShares []float64 `json:"chunk_shares"` //
	Quantized   float64   `json:"quantized"`    // share of utterances from codes
	LevelShares []float64 `json:"level_shares"` // by the number of levels, from 1

	Alteration Alteration         `json:"alteration"`
	Shares     map[string]float64 `json:"shares"` // of seconds, by source
	Held       []string           `json:"held"`   // speakers for validation
	// Shards is the number of batches of an update. Two run at a time; more of them
	// share two busy processors better.
	Shards int `json:"shards"`
	// Rebuild warms a network up before it learns to write: it rebuilds latents as
	// they were before they were altered, and needs no text.
	Rebuild bool `json:"rebuild,omitempty"`
	// LoRA trains adapters alone, from the weights of another run; nil for none.
	LoRA *LoRAConfig `json:"lora,omitempty"`
}

// DefaultASRConfig is the recipe of the shipped model.
func DefaultASRConfig() ASRConfig {
	return ASRConfig{
		Model: recognizer.DefaultConfig(), Seed: 1,
		Seconds: 16, Longest: 15, Shortest: 4, Growth: 0.15, Join: 0.15,
		Schedule: Schedule{Peak: 8e-4, Floor: 0.02, Warmup: 400},
		Beta1:    0.9, Beta2: 0.98, WeightDecay: 0.02, Clip: 5, Average: 0.998,
		Dropout: 0.1, Middle: 0.3,
		Chunks: []int{0, 4, 8, 16, 32, 48}, ChunkShares: []float64{0.35, 0.05, 0.1, 0.35, 0.1, 0.05},
		Quantized: 0.5, LevelShares: []float64{0.05, 0.1, 0.05, 0.15, 0.1, 0.25, 0.05, 0.25},
		Alteration: Alteration{TimeMasks: 6, TimeFrames: 16, ChannelMasks: 2, Channels: 8, Noise: 0.3},
		Shares: map[string]float64{
			"an4": 0.32, "librispeech": 0.1, "librispeech-mp3": 0.14, "ljspeech": 0.08, "vctk": 0.06, "kathleen": 0.1,
			"synth": 0.14, "wake": 0.01, "precise": 0.01, "noise": 0.02, "generated": 0.02,
		},
		Held:   []string{"an4-fkai", "an4-flrp", "an4-mcrt", "an4-mdmc", "an4-mrab"},
		Shards: 4,
	}
}

// ASR trains a recogniser.
type ASR struct {
	Config  ASRConfig
	Network *recognizer.Network
	Step    int
	Elapsed time.Duration
	Audio   float64 // seconds seen, over all runs
	Padding float64 // share of the rows of batches that only fill them up

	data    *Transcripts
	sampler *sampler
	splicer *splicer
	device  backend.Backend
	shards  []*asrShard
	trained []*Weight // what the solver moves
	lora    *LoRA     // nil for none
	solver  *AdamW
	average map[string][]float32
	plan    [][]item
}

// asrShard is a tape with gradients of its own.
type asrShard struct {
	tape    *Tape
	weights []*Weight
	ctc     [2]CTC
	rng     *rand.Rand
	err     error

	Loss, Middle float64 // of the last batch, a label
	Seconds      float64 // of its audio
}

// NewASR makes a trainer.
func NewASR(c ASRConfig, data *Transcripts, device backend.Backend) (_ *ASR, err error) {
	defer backend.Recover(&err)
	network, err := recognizer.NewNetwork(c.Model)
	if err != nil {
		return nil, err
	}
	if len(c.Chunks) != len(c.ChunkShares) || len(c.Chunks) == 0 || c.Shards < 1 || c.Seconds < c.Longest {
		return nil, fmt.Errorf("train: the recipe needs chunks with shares, shards, and batches longer than an item")
	}
	if info := data.codec.Info(); c.Model.Inputs != data.codec.LatentDim() || c.Model.FrameRate != info.FrameRate {
		return nil, fmt.Errorf("train: the recipe's network reads frames of %d values at %g Hz, codec %s has %d at %g",
			c.Model.Inputs, c.Model.FrameRate, info.Name, data.codec.LatentDim(), info.FrameRate)
	}
	if c.Rebuild {
		rebuildLatents(network)
	}
	network.Init(rand.New(rand.NewPCG(c.Seed, 0)))
	t := &ASR{Config: c, Network: network, data: data, device: device}
	if t.sampler, err = newSampler(data, c.Shares); err != nil {
		return nil, err
	}
	t.splicer = newSplicer(network, data, device)
	t.solver = NewAdamW(device, backend.AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: 1e-8, WeightDecay: c.WeightDecay}, c.Clip)
	for i := range c.Shards {
		s := &asrShard{rng: rand.New(rand.NewPCG(c.Seed, uint64(i)+1))}
		for _, p := range network.Params() {
			s.weights = append(s.weights, newWeight(device, p))
		}
		s.tape = NewTape(device, s.weights, c.Dropout, s.rng)
		t.shards = append(t.shards, s)
	}
	t.trained = t.shards[0].weights
	return t, nil
}

// adapt freezes the weights and trains adapters, where the recipe has them.
func (t *ASR) adapt() (err error) {
	if t.Config.LoRA == nil {
		return nil
	}
	t.lora, err = NewLoRA(*t.Config.LoRA, t.shards[0].weights, rand.New(rand.NewPCG(t.Config.Seed, 3)))
	if err == nil {
		t.trained = t.lora.Weights()
	}
	return err
}

// More takes up features that have come since the trainer started.
func (t *ASR) More(dir string) error {
	if err := t.data.More(dir, t.Config.Held); err != nil {
		return err
	}
	s, err := newSampler(t.data, t.Config.Shares)
	if err == nil {
		t.sampler = s
		t.splicer.gather()
	}
	return err
}

// choose gives an index by shares.
func choose(shares []float64, rng *rand.Rand) int {
	var sum float64
	for _, s := range shares {
		sum += s
	}
	x := rng.Float64() * sum
	for i, s := range shares {
		if x -= s; x < 0 {
			return i
		}
	}
	return len(shares) - 1
}

// Update runs one batch on each shard and moves the weights; progress is the share
// of the run that is done.
func (t *ASR) Update(progress float64) (err error) {
	defer backend.Recover(&err)
	rng := rand.New(rand.NewPCG(t.Config.Seed, 1000+uint64(t.Step)))
	if len(t.plan) < len(t.shards) {
		c := t.Config
		if c.Growth > 0 && progress < c.Growth {
			c.Longest = c.Shortest + (c.Longest-c.Shortest)*progress/c.Growth
		}
		if c.Rebuild {
			c.Splice = nil // that is done by the words
		}
		var err error
		if t.plan, t.Padding, err = t.sampler.plan(c, t.splicer, 24*len(t.shards), rng); err != nil {
			return err
		}
	}
	batches := t.plan[:len(t.shards)]
	t.plan = t.plan[len(t.shards):]
	each(t.linears(), func(_ int, l *nn.Linear) { l.Prepare(t.device, true) })
	chunk := t.Config.Chunks[choose(t.Config.ChunkShares, rng)]
	total := 0
	weigh, run := weigh, t.run
	if t.Config.Rebuild {
		weigh, run = item.frames, t.rebuild
	}
	for _, b := range batches {
		for _, m := range b {
			total += weigh(m)
		}
	}
	each(t.shards, func(i int, s *asrShard) {
		s.rng = rand.New(rand.NewPCG(t.Config.Seed+uint64(i), 2000+uint64(t.Step)))
		s.tape.rng = s.rng
		s.err = run(s, batches[i], chunk, total)
	})
	for _, s := range t.shards {
		if s.err != nil {
			return s.err
		}
	}
	main := t.shards[0].weights
	each(main, func(i int, w *Weight) {
		for _, s := range t.shards[1:] {
			n := w.Len()
			sum := backend.Host(w.Gradient, 1, n)
			t.device.Add(sum, sum, backend.Host(s.weights[i].Gradient, 1, n))
		}
	})
	t.solver.LR = float32(t.Config.Schedule.At(t.Step, progress))
	if t.lora != nil {
		backend.Wait(t.device)
		t.lora.Gradients()
	}
	if err := t.solver.Step(valueGrads(t.trained)); err != nil {
		return err
	}
	backend.Wait(t.device) // between updates the host looks at everything
	if t.lora != nil {
		t.lora.Merge()
	}
	t.Step++
	if t.Config.Average > 0 && t.Step%averageEvery == 0 {
		t.follow()
	}
	return nil
}

// weigh is the number of labels that an item counts as: its own, or those of slow
// speech where there are fewer.
func weigh(m item) int { return max(len(m.labels()), m.frames()/16, 1) }

func valueGrads(weights []*Weight) []gorgonia.ValueGrad {
	all := make([]gorgonia.ValueGrad, len(weights))
	for i, w := range weights {
		all[i] = w
	}
	return all
}

// linears lists the matrix products.
func (t *ASR) linears() []*nn.Linear {
	n := t.Network
	all := []*nn.Linear{n.Input, n.Down, n.Up, n.Output, n.Middle}
	conv := func(b *nn.ConvNeXt) { all = append(all, b.Expand, b.Project) }
	conv(n.Front)
	conv(n.Local)
	conv(n.Detail)
	for _, b := range n.Blocks {
		all = append(all, b.Attention.Input, b.Attention.Project)
		conv(b.Conv)
	}
	return all
}

// inputs puts the latents of a batch on a shard's stream, some of them those of codes,
// all of them altered: [len(batch)·rows, inputs].
func (t *ASR) inputs(s *asrShard, stream *nn.Stream, batch []item) (x []float32, rows int, err error) {
	c := t.Config
	dim := c.Model.Inputs
	x, rows, err = t.data.fill(stream, batch, t.Network.Delay(), dim, func() int {
		if s.rng.Float64() >= c.Quantized {
			return 0
		}
		return 1 + choose(c.LevelShares, s.rng)
	})
	for i, m := range batch {
		if err == nil {
			c.Alteration.alter(x[i*rows*dim:][:m.frames()*dim], dim, s.rng)
		}
	}
	s.Seconds = float64(len(batch)*rows) / c.Model.FrameRate
	return x, rows, err
}

// run is the forward and backward pass of a batch; labels is the number of labels
// of all batches.
func (t *ASR) run(s *asrShard, batch []item, chunk, labels int) error {
	c := t.Config
	stream := s.tape.Begin(len(batch))
	stream.Chunk = chunk
	x, rows, err := t.inputs(s, stream, batch)
	if err != nil {
		return err
	}
	var middle *Value
	out := recognizer.Apply(s.tape, t.Network, s.tape.Input(backend.Host(x, len(batch)*rows, c.Model.Inputs)), func(v *Value) { middle = v })
	delay := t.Network.Delay()
	s.Loss = s.score(0, out, batch, stream, delay, labels, 1)
	s.Middle = s.score(1, middle, batch, stream, delay, labels, float32(c.Middle))
	s.tape.Backward()
	return nil
}

// score sets the slope of CTC in the rows of each item, those of the delay left out,
// and gives the loss a label.
func (s *asrShard) score(which int, out *Value, batch []item, stream *nn.Stream, delay, labels int, weight float32) float64 {
	out.Grad = stream.Tensor(out.Rows, out.Cols)
	stream.Clear(out.Grad.Data)
	stream.Wait()
	each := out.Rows / len(batch)
	var sum float64
	count := 0
	for i, m := range batch {
		rows := stream.Lengths[i]
		l := m.labels()
		from, to := i*each+delay, i*each+rows
		loss := s.ctc[which].Loss(out.Grad.Slice(from, to), out.Slice(from, to), l, weight/float32(labels))
		if !math.IsInf(loss, 1) {
			sum += loss
			count += weigh(m)
		}
	}
	return sum / float64(max(1, count))
}

// follow moves the average of weights.
func (t *ASR) follow() {
	keep := math.Pow(t.Config.Average, averageEvery)
	keep = min(keep, float64(t.Step)/float64(t.Step+10*averageEvery))
	if t.average == nil {
		t.average = map[string][]float32{}
		for _, p := range t.Network.Params() {
			t.average[p.Name] = slices.Clone(p.Data)
		}
	}
	a, b := float32(keep), float32(1-keep)
	each(t.Network.Params(), func(_ int, p *nn.Param) {
		mean := t.average[p.Name]
		for i, v := range p.Data {
			mean[i] = a*mean[i] + b*v
		}
	})
}

// WithAverage runs f while the weights are their average.
func (t *ASR) WithAverage(f func() error) error {
	swap := func() {
		for _, p := range t.Network.Params() {
			a := t.average[p.Name]
			for i, v := range p.Data {
				p.Data[i], a[i] = a[i], v
			}
			p.Changed()
		}
	}
	if t.average != nil {
		swap()
		defer swap()
	}
	return f()
}
