package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// CodecConfig is the recipe of a codec's training.
type CodecConfig struct {
	Model native.Config `json:"model"`

	Batch  int   `json:"batch"`  // crops of an update
	Frames int   `json:"frames"` // token frames of a crop that the losses see
	Seed   int64 `json:"seed"`

	Schedule    Schedule `json:"schedule"`
	Beta1       float32  `json:"beta1"`
	Beta2       float32  `json:"beta2"`
	WeightDecay float32  `json:"weight_decay"`
	Clip        float32  `json:"clip"`
	Average     float64  `json:"average"` // decay of the average of weights, 0 for none

	Mel             float64 `json:"mel"`             // weights of the losses
	Complex         float64 `json:"complex"`         //
	Wave            float64 `json:"wave"`            //
	Intelligibility float64 `json:"intelligibility"` //
	Level           float64 `json:"level,omitempty"` //
	// IntelligibilityFrom is the share of the run after which that term counts:
	// from the start it hurts, late it helps.
	IntelligibilityFrom float64 `json:"intelligibility_from"`
	ComplexCoded        float64 `json:"complex_coded"` // factor of Complex and Wave where an item is quantized
	Commitment          float32 `json:"commitment"`    //

	MelScales    []MelScale `json:"mel_scales"`
	MelFloor     float32    `json:"mel_floor"`
	ComplexSizes []int      `json:"complex_sizes"`
	ComplexPower float32    `json:"complex_power"`

	KMeansStep  int             `json:"kmeans_step"` // updates without quantization
	KMeansRows  int             `json:"kmeans_rows"` // newest latents that the codebooks start from
	Unquantized float64         `json:"unquantized"` // share of items that skip the quantizer
	LevelShares []float64       `json:"level_shares"`
	Codebooks   rvq.TrainConfig `json:"codebooks"`
	LayerScale  float32         `json:"layer_scale"`
	LinearCrops int             `json:"linear_crops"` // crops that the linear paths are fitted to, 0 for a random start
	Augment     Augment         `json:"augment"`

	// Phase is the weight of the anti-wrapping losses on the spectra of Complex.
	Phase float64 `json:"phase,omitempty"`
	// Discriminators train against the codec, nil for none.
	Discriminators *AdversaryConfig `json:"discriminators,omitempty"`
	// Balancer makes the weights of the losses shares of the gradient, nil leaves
	// them as they are.
	Balancer *BalancerConfig `json:"balancer,omitempty"`

	// Rates holds factors of the learning rate by a part of a parameter's name.
	Rates map[string]float32 `json:"rates,omitempty"`
	// Shards is the number of graphs that run side by side, each on a part of
	// the batch and one thread.
	Shards int `json:"shards"`
}

// DefaultCodecConfig is the recipe of the shipped model.
func DefaultCodecConfig() CodecConfig {
	return CodecConfig{
		Model: native.DefaultConfig(),
		Batch: 4, Frames: 50, Seed: 1,
		Schedule: Schedule{Peak: 1.5e-3, Floor: 0.01, Warmup: 100},
		Beta1:    0.8, Beta2: 0.99, WeightDecay: 0.01, Clip: 5,
		Mel: 1, Complex: 1, ComplexCoded: 0.3, Commitment: 0.25,
		MelScales: []MelScale{{1024, 96}, {512, 64}, {256, 40}, {128, 20}}, MelFloor: 1e-3,
		ComplexSizes: []int{640}, ComplexPower: 0.35,
		KMeansStep: 150, KMeansRows: 8192, Unquantized: 0.25, LevelShares: []float64{0.3, 0.2, 0.3, 0.2},
		Codebooks:  rvq.DefaultTrainConfig(),
		LayerScale: 0.1, LinearCrops: 400,
		Shards: 2,
	}
}

// Codec trains a native codec.
type Codec struct {
	Config  CodecConfig
	Network *native.Network
	Step    int           // updates done
	Elapsed time.Duration // spent on them, over all runs

	corpus    *Corpus
	device    backend.Backend
	shards    []*shard
	quantizer *Quantizer
	solver    *AdamW
	fixed     *fixed     // in front of the decoder that is tuned, nil for a whole codec
	adversary *Adversary // nil for none
	balancer  *Balancer  // nil for none
	source    *rand.PCG  // of the codebooks' generator
	latents   []float32  // for k-means, the newest last
	average   map[string][]float32

	batches chan batch
	stop    context.CancelFunc
}

// shard is the part of an update that one graph does.
type shard struct {
	graph     *Graph
	samples   []float32 // [items][rows][hop]
	latents   []float32 // [items][rows][dim], where encoder and codebooks are fixed
	objective *Objective
}

type batch struct {
	samples []float32
	levels  []int
}

// NewCodec makes a trainer with fresh weights.
func NewCodec(c CodecConfig, corpus *Corpus, device backend.Backend) (*Codec, error) {
	return newCodec(c, corpus, device, nil)
}

func newCodec(c CodecConfig, corpus *Corpus, device backend.Backend, fixed *fixed) (_ *Codec, err error) {
	defer backend.Recover(&err)
	if err := c.validate(); err != nil {
		return nil, err
	}
	net, err := native.NewNetwork(c.Model)
	if err != nil {
		return nil, err
	}
	net.Init(rand.New(rand.NewPCG(uint64(c.Seed), 1)))
	for _, blocks := range [][]*nn.ConvNeXt{net.Encoder.Blocks, net.Decoder.Blocks} {
		for _, b := range blocks {
			for i := range b.Scale.Gamma.Data {
				b.Scale.Gamma.Data[i] = c.LayerScale
			}
		}
	}
	t := &Codec{Config: c, Network: net, corpus: corpus, device: device, fixed: fixed, source: rand.NewPCG(uint64(c.Seed), 2)}
	t.solver = NewAdamW(device, backend.AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: 1e-8, WeightDecay: c.WeightDecay}, c.Clip)
	books, err := rvq.NewTrainer(c.Model.Quantizer, c.Codebooks, device, rand.New(t.source))
	if err != nil {
		return nil, err
	}
	t.quantizer = NewQuantizer(books, c.Batch, c.Shards)
	if c.Discriminators != nil {
		rng := rand.New(rand.NewPCG(uint64(c.Seed), 4))
		if t.adversary, err = NewAdversary(*c.Discriminators, c.Frames*c.Model.HopLength, c.Batch, device, rng); err != nil {
			return nil, err
		}
	}
	if c.Balancer != nil {
		t.balancer = NewBalancer(*c.Balancer, c.Shards)
	}
	for i := range c.Shards {
		s, err := t.build(i)
		if err != nil {
			return nil, err
		}
		t.shards = append(t.shards, s)
	}
	for i, w := range t.weights() {
		for _, s := range t.shards[1:] {
			w.others = append(w.others, s.graph.Weights()[i].Gradient)
		}
		for part, rate := range c.Rates {
			if strings.Contains(w.Name, part) {
				w.Rate *= rate
			}
		}
	}
	return t, nil
}

func (c CodecConfig) validate() error {
	if err := c.Model.Validate(); err != nil {
		return err
	}
	if c.Batch < 1 || c.Frames < 1 || c.Batch*c.Frames > 1<<20 {
		return fmt.Errorf("train: a batch of %d crops of %d frames cannot be", c.Batch, c.Frames)
	}
	if c.Shards < 1 || c.Batch%c.Shards != 0 {
		return fmt.Errorf("train: %d shards cannot share a batch of %d evenly", c.Shards, c.Batch)
	}
	if len(c.LevelShares) != c.Model.Quantizer.Levels {
		return fmt.Errorf("train: %d level shares for %d levels", len(c.LevelShares), c.Model.Quantizer.Levels)
	}
	if c.Balancer != nil {
		return c.Balancer.validate()
	}
	return nil
}

// weights are those of all shards; the optimiser adds the gradients of the others
// to these.
func (t *Codec) weights() []*Weight { return t.shards[0].graph.Weights() }

// build makes the graph of a shard.
func (t *Codec) build(index int) (*shard, error) {
	c := t.Config
	terms, err := c.terms()
	if err != nil {
		return nil, err
	}
	items := c.Batch / c.Shards
	// The last rows of a crop come out of the network beyond its end.
	rows := c.Frames + t.Network.Delay()
	g := NewGraph(t.device, items)
	x, samples := g.Input("samples", items*rows, c.Model.HopLength)
	objective := NewObjective(terms, samples, make([]bool, items), c.Batch, t.Network.Delay(), c.Model.HopLength)
	objective.shard, objective.balancer = index, t.balancer
	if t.adversary != nil {
		objective.critic = t.adversary.critic(items)
	}
	if t.fixed != nil {
		z, latents := g.Input("latents", items*rows, c.Model.Quantizer.Dim)
		y := native.Decode[*gorgonia.Node](g, t.Network.Decoder, z)
		if err := g.Compile(objective.Node(g, y)); err != nil {
			return nil, err
		}
		return &shard{graph: g, samples: samples, latents: latents, objective: objective}, nil
	}
	z := native.Encode[*gorgonia.Node](g, t.Network.Encoder, x)
	coded, commitment := t.quantizer.Node(g, index, z, c.Commitment)
	y := native.Decode[*gorgonia.Node](g, t.Network.Decoder, coded)
	if err := g.Compile(g.Sum(objective.Node(g, y), commitment)); err != nil {
		return nil, err
	}
	return &shard{graph: g, samples: samples, objective: objective}, nil
}

func (c CodecConfig) terms() ([]Weighted, error) {
	mel, err := NewLogMel(c.Model.SampleRate, c.MelScales, c.MelFloor)
	if err != nil {
		return nil, err
	}
	stft, err := NewComplexSTFT(c.ComplexSizes, c.ComplexPower)
	if err != nil {
		return nil, err
	}
	intelligibility, err := NewIntelligibility(c.Model.SampleRate)
	if err != nil {
		return nil, err
	}
	phase, err := NewPhase(c.ComplexSizes)
	if err != nil {
		return nil, err
	}
	var terms []Weighted
	for _, w := range []Weighted{
		{mel, c.Mel, 1, 0},
		{stft, c.Complex, c.ComplexCoded, 0},
		{Waveform{}, c.Wave, c.ComplexCoded, 0},
		{phase, c.Phase, c.ComplexCoded, 0},
		{intelligibility, c.Intelligibility, 1, c.IntelligibilityFrom},
		{Level{}, c.Level, 1, 0},
	} {
		if w.Weight != 0 {
			terms = append(terms, w)
		}
	}
	return terms, nil
}

// Start fits the linear paths; it is for new runs, not for resumed ones.
func (t *Codec) Start() (err error) {
	defer backend.Recover(&err)
	if t.Config.LinearCrops == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(uint64(t.Config.Seed), 3))
	return InitLinear(t.Network, t.corpus, t.device, t.Config.LinearCrops, rng)
}

// draw makes the batch of an update. It depends on seed and update only, so that
// a resumed run sees what an unbroken one would have.
func (t *Codec) draw(step int) batch {
	c := t.Config
	rng := rand.New(rand.NewPCG(uint64(c.Seed), uint64(step)<<8))
	b := batch{samples: make([]float32, len(t.shards)*len(t.shards[0].samples)), levels: make([]int, c.Batch)}
	size := len(b.samples) / c.Batch
	for i := range c.Batch {
		t.corpus.Draw(b.samples[i*size:(i+1)*size], c.Augment, rng)
	}
	for i := range b.levels {
		if rng.Float64() < c.Unquantized {
			continue
		}
		var total float64
		for _, s := range c.LevelShares {
			total += s
		}
		u := rng.Float64() * total
		for l, s := range c.LevelShares {
			b.levels[i] = l + 1
			if u -= s; u < 0 {
				break
			}
		}
	}
	return b
}

// next gives the batch of the current update; the one after is made meanwhile.
func (t *Codec) next() batch {
	if t.batches == nil {
		ctx, cancel := context.WithCancel(context.Background())
		t.stop = cancel
		t.batches = make(chan batch, 2)
		go func(out chan<- batch, step int) {
			for {
				select {
				case out <- t.draw(step):
					step++
				case <-ctx.Done():
					return
				}
			}
		}(t.batches, t.Step)
	}
	return <-t.batches
}

// Close ends the making of batches.
func (t *Codec) Close() {
	if t.stop != nil {
		t.stop()
		t.batches, t.stop = nil, nil
	}
}

// Update is one step of the optimiser, when a share of the run is done.
func (t *Codec) Update(progress float64) (err error) {
	defer backend.Recover(&err)
	c := t.Config
	b := t.next()
	started := t.started()
	for i, l := range b.levels {
		if !started {
			l = 0
		}
		t.quantizer.Levels[i] = l
	}
	if err := t.run(b, progress); err != nil {
		return fmt.Errorf("update %d: %w", t.Step, err)
	}
	if !started {
		t.collect()
	}
	t.solver.LR = float32(c.Schedule.At(t.Step, progress))
	if err := t.solver.Step(t.shards[0].graph.ValueGrads()); err != nil {
		return err
	}
	backend.Wait(t.device) // between updates the host looks at everything
	if t.adversary.active(progress) {
		if err := t.adversary.Update(t.Step, progress); err != nil {
			return fmt.Errorf("update %d: discriminators: %w", t.Step, err)
		}
	}
	t.Step++
	if c.Average > 0 && t.Step%averageEvery == 0 {
		t.follow()
	}
	return nil
}

// run evaluates all shards side by side.
func (t *Codec) run(b batch, progress float64) error {
	each(t.shards[0].graph.linears, func(_ int, l prepared) { l.Prepare(t.device, l.backward) })
	if t.adversary.active(progress) {
		t.adversary.prepare()
	}
	meetings := []*meeting{t.quantizer.latents}
	if t.balancer != nil {
		meetings = append(meetings, t.balancer.shards)
	}
	for _, m := range meetings {
		m.open()
	}
	errs := make([]error, len(t.shards))
	var wait sync.WaitGroup
	for i, s := range t.shards {
		copy(s.samples, b.samples[i*len(s.samples):])
		items := len(s.objective.quantized)
		for k := range items {
			s.objective.quantized[k] = t.quantizer.Levels[i*items+k] > 0
		}
		s.objective.Progress = progress
		wait.Go(func() {
			if t.fixed != nil {
				errs[i] = t.fixed.encode(i, s.latents, s.samples, t.quantizer.Levels[i*items:(i+1)*items])
			}
			if errs[i] == nil {
				errs[i] = s.graph.Run()
			}
			if errs[i] != nil {
				for _, m := range meetings {
					m.leave()
				}
			}
		})
	}
	wait.Wait()
	// Of those that failed, the ones that did so by themselves.
	own := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return errors.Is(err, errLeft) })
	return errors.Join(own...)
}

// collect keeps the newest latents and starts the codebooks when it is time.
func (t *Codec) collect() {
	dim := t.Config.Model.Quantizer.Dim
	t.latents = append(t.latents, t.quantizer.Latents...)
	if extra := len(t.latents) - t.Config.KMeansRows*dim; extra > 0 {
		t.latents = append(t.latents[:0], t.latents[extra:]...)
	}
	if t.Step+1 >= t.Config.KMeansStep {
		t.quantizer.Start(t.latents)
		t.latents = nil
	}
}

// averageEvery is the number of updates between those of the average.
const averageEvery = 8

// follow moves the average of weights.
func (t *Codec) follow() {
	keep := math.Pow(t.Config.Average, averageEvery)
	keep = min(keep, float64(t.Step)/float64(t.Step+10*averageEvery))
	if t.average == nil {
		t.average = map[string][]float32{}
		for _, w := range t.weights() {
			t.average[w.Name] = append([]float32(nil), w.Data...)
		}
	}
	take := float32(1 - keep)
	each(t.weights(), func(_ int, w *Weight) {
		a := t.average[w.Name]
		for i, v := range w.Data {
			a[i] += take * (v - a[i])
		}
	})
}

// WithAverage runs f while the weights are their average.
func (t *Codec) WithAverage(f func() error) error {
	swap := func() {
		for _, w := range t.weights() {
			a := t.average[w.Name]
			for i := range a {
				a[i], w.Data[i] = w.Data[i], a[i]
			}
			w.Changed()
		}
	}
	if t.average != nil {
		swap()
		defer swap()
	}
	return f()
}

// started reports whether there are codebooks.
func (t *Codec) started() bool { return t.fixed != nil || t.quantizer.Started() }

// Checkpoint is the model as it would be released.
func (t *Codec) Checkpoint(name string) *native.Checkpoint {
	if t.fixed != nil {
		return &native.Checkpoint{Name: name, Network: t.Network, Quantizer: t.fixed.model.Quantizer, Base: t.fixed.model.Base}
	}
	return &native.Checkpoint{Name: name, Network: t.Network, Quantizer: t.quantizer.GRVQ}
}

// FLOPs is the number of multiplications and additions in the matrix products
// of one update, forward and backward; of discriminators, on average.
func (t *Codec) FLOPs() float64 {
	n := t.shards[0].graph.flops * float64(len(t.shards))
	if t.adversary != nil {
		n += t.adversary.FLOPs()
	}
	return n
}

// WriteFile puts data at path at once or not at all.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("train: writing %s: %w", path, err)
	}
	return nil
}

// LoadCodecConfig reads a JSON file over the default recipe.
func LoadCodecConfig(path string) (CodecConfig, error) {
	c := DefaultCodecConfig()
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("train: configuration: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("train: configuration %s: %w", path, err)
	}
	return c, nil
}
