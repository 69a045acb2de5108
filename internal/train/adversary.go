package train

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
)

// AdversaryConfig is the part of a recipe that sets discriminators against the
// codec. In JSON it stands over the narrow one that two cores can train or, with
// "widths": "published", over that of the publications.
type AdversaryConfig struct {
	Widths string `json:"widths"` // narrow or published

	Periods      []int       `json:"periods"`       // of the multi-period discriminators
	PeriodLayers []ConvShape `json:"period_layers"` //
	Windows      []int       `json:"windows"`       // of the multi-resolution discriminators, samples
	WindowHop    float64     `json:"window_hop"`    // share of a window
	WindowLayers []ConvShape `json:"window_layers"` //
	Scales       int         `json:"scales"`        // multi-scale discriminators; each halves the rate
	ScaleLayers  []ConvShape `json:"scale_layers"`  //

	Loss        string  `json:"loss"`        // hinge or least-squares
	Adversarial float64 `json:"adversarial"` // weights of the losses of the codec
	Feature     float64 `json:"feature"`     //
	Relative    bool    `json:"relative"`    // differences of features count in shares of the features

	// From is the share of the run after which the discriminators learn and are
	// heard.
	From float64 `json:"from"`
	// Every is the number of the codec's updates for one of the discriminators.
	Every int `json:"every"`
	// Threshold holds discriminators back: they learn while their loss is more than
	// that times the adversarial loss of the codec (SECodec: 1). 0 is always.
	Threshold float64 `json:"threshold"`

	Schedule    Schedule `json:"schedule"` // of the learning rate, over the same run
	Beta1       float32  `json:"beta1"`
	Beta2       float32  `json:"beta2"`
	WeightDecay float32  `json:"weight_decay"`
	Clip        float32  `json:"clip"`
}

// NarrowAdversary is for two cores.
func NarrowAdversary() AdversaryConfig {
	c := PublishedAdversary()
	c.Widths = "narrow"
	c.PeriodLayers = []ConvShape{{Width: 16, Taps: 5, Stride: 3}, {Width: 32, Taps: 5, Stride: 3}, {Width: 64, Taps: 5, Stride: 3}, {Width: 64, Taps: 5, Stride: 3}}
	c.Windows, c.WindowHop = []int{1024, 512}, 0.5
	c.WindowLayers = []ConvShape{
		{Width: 16, Taps: 7, Stride: 4, Rows: 3}, {Width: 32, Taps: 5, Stride: 2, Rows: 3}, {Width: 32, Taps: 5, Stride: 4, Rows: 3, Dilation: 2},
	}
	c.ScaleLayers = []ConvShape{
		{Width: 16, Taps: 15, Stride: 4}, {Width: 32, Taps: 15, Stride: 4}, {Width: 64, Taps: 15, Stride: 4}, {Width: 64, Taps: 5, Stride: 1},
	}
	c.Scales, c.Every = 2, 2
	c.Schedule.Peak = 1e-3
	return c
}

// PublishedAdversary has the widths of HiFi-GAN's multi-period and multi-scale
// discriminators (Kong et al. 2020) and EnCodec's on spectra (Défossez et al.
// 2022).
func PublishedAdversary() AdversaryConfig {
	return AdversaryConfig{
		Widths:  "published",
		Periods: []int{2, 3, 5, 7, 11},
		PeriodLayers: []ConvShape{
			{Width: 32, Taps: 5, Stride: 3}, {Width: 128, Taps: 5, Stride: 3}, {Width: 512, Taps: 5, Stride: 3},
			{Width: 1024, Taps: 5, Stride: 3}, {Width: 1024, Taps: 5, Stride: 1},
		},
		Windows: []int{2048, 1024, 512}, WindowHop: 0.25,
		WindowLayers: []ConvShape{
			{Width: 32, Taps: 9, Stride: 1, Rows: 3}, {Width: 32, Taps: 9, Stride: 2, Rows: 3},
			{Width: 32, Taps: 9, Stride: 2, Rows: 3, Dilation: 2}, {Width: 32, Taps: 9, Stride: 2, Rows: 3, Dilation: 4},
			{Width: 32, Taps: 3, Stride: 1, Rows: 3},
		},
		Scales: 3,
		ScaleLayers: []ConvShape{
			{Width: 128, Taps: 15, Stride: 1}, {Width: 128, Taps: 41, Stride: 2, Groups: 4}, {Width: 256, Taps: 41, Stride: 2, Groups: 16},
			{Width: 512, Taps: 41, Stride: 4, Groups: 16}, {Width: 1024, Taps: 41, Stride: 4, Groups: 16},
			{Width: 1024, Taps: 41, Stride: 1, Groups: 16}, {Width: 1024, Taps: 5, Stride: 1},
		},
		Loss: "hinge", Adversarial: 0.1, Feature: 0.2, Relative: true,
		Every:    1,
		Schedule: Schedule{Peak: 3e-4, Floor: 0.1, Warmup: 100}, Beta1: 0.8, Beta2: 0.99, WeightDecay: 0.01, Clip: 10,
	}
}

// UnmarshalJSON reads values over those that "widths" names. Lists are taken whole.
func (c *AdversaryConfig) UnmarshalJSON(data []byte) error {
	var base struct {
		Widths string `json:"widths"`
	}
	if err := json.Unmarshal(data, &base); err != nil {
		return err
	}
	switch base.Widths {
	case "", "narrow":
		*c = NarrowAdversary()
	case "published":
		*c = PublishedAdversary()
	default:
		return fmt.Errorf("discriminators of widths %q: narrow and published are known", base.Widths)
	}
	type plain AdversaryConfig
	read := plain(*c)
	read.Periods, read.PeriodLayers, read.Windows, read.WindowLayers, read.ScaleLayers = nil, nil, nil, nil, nil
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	or(&read.Periods, c.Periods)
	or(&read.PeriodLayers, c.PeriodLayers)
	or(&read.Windows, c.Windows)
	or(&read.WindowLayers, c.WindowLayers)
	or(&read.ScaleLayers, c.ScaleLayers)
	*c = AdversaryConfig(read)
	return nil
}

// or sets a list that was not given.
func or[T any](list *[]T, otherwise []T) {
	if *list == nil {
		*list = otherwise
	}
}

// build makes the discriminators for crops of n samples.
func (c *AdversaryConfig) build(n int) ([]*Discriminator, error) {
	if c.Every < 1 || c.Clip <= 0 || c.Threshold < 0 {
		return nil, fmt.Errorf("train: discriminators need every and clip above 0 and no negative threshold, not %d, %g and %g", c.Every, c.Clip, c.Threshold)
	}
	var all []*Discriminator
	add := func(d *Discriminator, err error) error {
		all = append(all, d)
		return err
	}
	for _, p := range c.Periods {
		if err := add(newPeriodDiscriminator(p, c.PeriodLayers)); err != nil {
			return nil, err
		}
	}
	for _, size := range c.Windows {
		if size > n {
			return nil, fmt.Errorf("train: a discriminator's window of %d samples in crops of %d: make frames larger", size, n)
		}
		if err := add(newResolutionDiscriminator(size, int(c.WindowHop*float64(size)), c.WindowLayers)); err != nil {
			return nil, err
		}
	}
	for i := range c.Scales {
		if err := add(newScaleDiscriminator(i, c.ScaleLayers)); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("train: a recipe with discriminators names none: give periods, windows or scales, or leave it out")
	}
	return all, nil
}

// Adversary is a set of discriminators in training. The codec hears them at its
// output; they learn from the same crops.
type Adversary struct {
	AdversaryConfig
	Discriminators []*Discriminator

	// AdversarialLoss and FeatureLoss are the codec's in the last update, Loss that
	// of the discriminators on average and Losses that of each.
	AdversarialLoss, FeatureLoss, Loss float64
	Losses                             []float64
	// Learned says whether they did after the last update.
	Learned bool
	// Took is the time that they took in the last update, of the first shard and for
	// learning.
	Took time.Duration

	verdict verdictLoss
	device  backend.Backend
	weights []*Weight
	linears []*nn.Linear
	solver  *AdamW
	critics []*critic
	items   int     // of the batch
	flops   float64 // of a forward pass over an item
}

// NewAdversary makes discriminators with drawn weights for crops of n samples.
func NewAdversary(c AdversaryConfig, n, batch int, device backend.Backend, rng *rand.Rand) (_ *Adversary, err error) {
	defer backend.Recover(&err)
	// Its layers work on the memory of the host in between.
	device = backend.Prompt(device)
	a := &Adversary{AdversaryConfig: c, device: device, items: batch}
	if a.verdict, err = newVerdictLoss(c.Loss); err != nil {
		return nil, err
	}
	if a.Discriminators, err = c.build(n); err != nil {
		return nil, err
	}
	a.Losses = make([]float64, len(a.Discriminators))
	probe := nn.NewStream(device, 1)
	for _, d := range a.Discriminators {
		d.Init(rng)
		a.flops += d.flops(d.forward(probe, probe.New(1, n)))
		for _, p := range d.Params() {
			a.weights = append(a.weights, newWeight(device, p))
		}
		for _, conv := range d.Convs {
			a.linears = append(a.linears, conv.Parts...)
		}
	}
	a.restart()
	return a, nil
}

// restart forgets the moments of the weights.
func (a *Adversary) restart() {
	a.solver = NewAdamW(a.device, backend.AdamW{Beta1: a.Beta1, Beta2: a.Beta2, Eps: 1e-8, WeightDecay: a.WeightDecay}, a.Clip)
}

// active tells whether the discriminators take part when a share of the run is
// done.
func (a *Adversary) active(progress float64) bool { return a != nil && progress >= a.From }

// prepare packs the weights, for critics that run side by side.
func (a *Adversary) prepare() {
	each(a.linears, func(_ int, l *nn.Linear) { l.Prepare(a.device, true) })
}

// critic is the work of the discriminators on the items of one shard.
type critic struct {
	*Adversary
	stream *nn.Stream
	items  int

	recorded, decoded []pass // by discriminator, of the last crops
	adversarial       []float64
	matching          []float64
	losses            []float64   // of the discriminators
	grads             [][]float32 // of all weights
	took              time.Duration
}

// active tells whether there are discriminators that take part.
func (c *critic) active(progress float64) bool { return c != nil && c.Adversary.active(progress) }

// critic adds one for a shard of the given number of items.
func (a *Adversary) critic(items int) *critic {
	n := len(a.Discriminators)
	c := &critic{
		Adversary: a, stream: nn.NewStream(a.device, items), items: items,
		recorded: make([]pass, n), decoded: make([]pass, n), losses: make([]float64, n),
		adversarial: make([]float64, items), matching: make([]float64, items),
	}
	for _, w := range a.weights {
		g := w.Gradient
		if len(a.critics) > 0 {
			g = make([]float32, w.Len())
			w.others = append(w.others, g)
		}
		c.grads = append(c.grads, g)
	}
	a.critics = append(a.critics, c)
	return c
}

// judge compares recorded with decoded crops [item][n] and adds the gradients of
// both losses of the codec, for each item by itself, times the given weights, to
// adversarial and to feature. These may be the same memory, which saves time.
func (c *critic) judge(recorded, decoded [][]float32, weights [2]float32, adversarial, feature [][]float32) {
	begin := time.Now()
	defer func() { c.took = time.Since(begin) }()
	s := c.stream
	s.Begin()
	n := len(recorded[0])
	x, y := s.Tensor(c.items, n), s.Tensor(c.items, n)
	for i := range c.items {
		copy(x.Row(i), recorded[i])
		copy(y.Row(i), decoded[i])
	}
	clear(c.adversarial)
	clear(c.matching)
	share := 1 / float64(len(c.Discriminators))
	together := &adversarial[0][0] == &feature[0][0]
	for k, d := range c.Discriminators {
		c.recorded[k], c.decoded[k] = d.forward(s, x), d.forward(s, y)
		heard, made := c.recorded[k], c.decoded[k]
		grad := s.Tensor(made.verdicts().Rows, made.verdicts().Cols)
		for i, v := range judge(c.verdict.recorded, made.verdicts(), c.items, weights[0]*float32(share), grad) {
			c.adversarial[i] += share * v
		}
		steps := make([][]float32, len(made.features()))
		for l, f := range made.features() {
			steps[l] = c.match(heard.features()[l], f, share/float64(len(steps)), weights[1])
		}
		add := func(l int, grad *backend.Tensor) {
			addMatching(grad, heard.features()[l], made.features()[l], steps[l])
		}
		if together {
			c.give(adversarial, d.backwardInput(s, made, grad, add))
			continue
		}
		c.give(adversarial, d.backwardInput(s, made, grad, nil))
		clear(grad.Data)
		c.give(feature, d.backwardInput(s, made, grad, add))
	}
	c.compare(share)
}

// silentFeature is about a fiftieth of what features have where speech has its usual
// level: relative differences would blow silence up.
const silentFeature = 1e-3

// match adds the difference of the features of a layer, times share, to the
// losses and gives the steps of its gradient for each item.
func (c *critic) match(x, y *backend.Tensor, share float64, weight float32) []float32 {
	differences, sizes := matching(x, y, c.items)
	steps := make([]float32, c.items)
	for i, d := range differences {
		norm := float64(len(x.Data) / c.items)
		if c.Relative {
			norm = sizes[i] + silentFeature*norm
		}
		c.matching[i] += share * d / norm
		steps[i] = weight * float32(share/norm)
	}
	return steps
}

// give adds the gradient of the samples to those of the items.
func (c *critic) give(grads [][]float32, dx *backend.Tensor) {
	for i, g := range grads {
		for k, v := range dx.Row(i) {
			g[k] += v
		}
	}
}

// compare gives the losses of the discriminators, over the items of this shard.
func (c *critic) compare(share float64) {
	for k := range c.Discriminators {
		c.losses[k] = 0
		for _, side := range []struct {
			loss func(v float32) (loss, slope float32)
			pass pass
		}{{c.verdict.recorded, c.recorded[k]}, {c.verdict.decoded, c.decoded[k]}} {
			for _, v := range judge(side.loss, side.pass.verdicts(), c.items, 0, nil) {
				c.losses[k] += v
			}
		}
	}
}

// learn adds up the gradients of the discriminators' losses, means over the batch.
func (c *critic) learn() {
	for _, g := range c.grads {
		clear(g)
	}
	grads, s := c.grads, c.stream
	share := 1 / float32(len(c.Discriminators)*c.Adversary.items)
	for k, d := range c.Discriminators {
		own := grads[:len(d.Params())]
		grads = grads[len(own):]
		v := c.recorded[k].verdicts()
		grad := s.Tensor(v.Rows, v.Cols)
		judge(c.verdict.recorded, v, c.items, share, grad)
		d.backwardWeights(s, c.recorded[k], grad, own)
		judge(c.verdict.decoded, c.decoded[k].verdicts(), c.items, share, grad)
		d.backwardWeights(s, c.decoded[k], grad, own)
	}
}

// Update lets the discriminators learn from the crops of the codec's update, where
// the schedule says so.
func (a *Adversary) Update(step int, progress float64) (err error) {
	defer backend.Recover(&err)
	begin := time.Now()
	defer func() { a.Took = a.critics[0].took + time.Since(begin) }()
	a.gather()
	if a.Learned = step%a.Every == 0 && a.Loss > a.Threshold*a.AdversarialLoss; !a.Learned {
		return nil
	}
	var wait backend.Group
	for _, c := range a.critics {
		wait.Go(c.learn)
	}
	wait.Wait()
	a.solver.LR = float32(a.Schedule.At(a.solver.AdamW.Step, progress))
	model := make([]gorgonia.ValueGrad, len(a.weights))
	for i, w := range a.weights {
		model[i] = w
	}
	return a.solver.Step(model)
}

// gather adds up the losses of all shards.
func (a *Adversary) gather() {
	a.AdversarialLoss, a.FeatureLoss, a.Loss = 0, 0, 0
	clear(a.Losses)
	items := float64(a.items)
	for _, c := range a.critics {
		for i := range c.items {
			a.AdversarialLoss += c.adversarial[i] / items
			a.FeatureLoss += c.matching[i] / items
		}
		for k, l := range c.losses {
			a.Losses[k] += l / items
			a.Loss += l / items / float64(len(a.Losses))
		}
	}
}

// FLOPs is the number of multiplications and additions in the matrix products that
// the discriminators add to an update, on average where they learn as often as
// they may: two forward passes and the gradient of one input; for learning, both
// gradients of both.
func (a *Adversary) FLOPs() float64 {
	return a.flops * float64(a.items) * (3 + 4/float64(a.Every))
}

// arrays calls f for all weights and their moments, under their names in a
// checkpoint.
func (a *Adversary) arrays(f func(name string, data []float32, shape ...int)) {
	for _, w := range a.weights {
		m := a.solver.Moments(w)
		f("adversary.weight."+w.Name, w.Data, w.Shape...)
		f("adversary.mean."+w.Name, m[0], w.Shape...)
		f("adversary.square."+w.Name, m[1], w.Shape...)
	}
}

// changed tells of new weights.
func (a *Adversary) changed() {
	for _, w := range a.weights {
		w.Changed()
	}
}

// crops are the parts of each item that the losses see, of outputs and of what is
// laid out as they are, or of targets, which come earlier.
func (o *Objective) crops(v []float32, targets bool) [][]float32 {
	size, skip := len(v)/o.batch, o.delay*o.hop
	from := skip
	if targets {
		from = 0
	}
	crops := make([][]float32, o.batch)
	for i := range crops {
		crops[i] = v[i*size+from:][:size-skip]
	}
	return crops
}

// judged adds the gradient of what the discriminators say to grad and gives the
// weighted losses.
func (o *Objective) judged(output, grad []float32) float64 {
	c, total := o.critic, float64(o.total)
	dy := o.crops(grad, false)
	weights := [2]float32{float32(c.Adversarial / total), float32(c.Feature / total)}
	c.judge(o.crops(o.target, true), o.crops(output, false), weights, dy, dy)
	return c.weighted() / total
}

// weighted is the sum of the losses of all items.
func (c *critic) weighted() (sum float64) {
	for i := range c.items {
		sum += c.Adversarial*c.adversarial[i] + c.Feature*c.matching[i]
	}
	return sum
}
