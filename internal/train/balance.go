package train

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
)

// BalancerConfig asks for gradients at the codec's output whose shares are the
// weights of the losses, whatever their units (Défossez et al. 2022, EnCodec,
// section 3.4).
type BalancerConfig struct {
	Decay float64 `json:"decay"` // of the average of gradient norms, over updates
	Total float64 `json:"total"` // norm of the sum of gradients of an item, were they parallel
}

// DefaultBalancerConfig averages over about a hundred updates and keeps the size of
// the gradient of the released recipe.
func DefaultBalancerConfig() BalancerConfig { return BalancerConfig{Decay: 0.99, Total: 4} }

// UnmarshalJSON reads values over the default ones.
func (c *BalancerConfig) UnmarshalJSON(data []byte) error {
	type plain BalancerConfig
	read := plain(DefaultBalancerConfig())
	err := json.Unmarshal(data, &read)
	*c = BalancerConfig(read)
	return err
}

func (c BalancerConfig) validate() error {
	if !(c.Decay >= 0 && c.Decay < 1) || !(c.Total > 0) {
		return fmt.Errorf("train: the balancer needs a decay from 0 to 1 and a total above 0, not %+v", c)
	}
	return nil
}

// Balancer weighs the gradients of losses at the codec's output. Loss i gets the
// factor Total·λ_i/Σλ / ⟨‖g_i‖⟩, where ‖g_i‖ is the norm of its gradient, averaged
// over the items of the batch, and ⟨·⟩ an exponential average over updates that
// does not lean towards its start. It is shared by shards that run side by side.
type Balancer struct {
	BalancerConfig
	averages map[string]average

	shards  *meeting
	met     [][]balanced // of each shard
	factors []float64
}

// average is a discounted sum of values and that of as many ones.
type average struct{ Sum, Ones float64 }

// balanced is a loss in an update: its gradient's norm for each item of a shard
// that it concerns.
type balanced struct {
	name   string
	weight float64
	norms  []float64
}

// NewBalancer makes a balancer for a number of shards.
func NewBalancer(c BalancerConfig, shards int) *Balancer {
	return &Balancer{BalancerConfig: c, averages: map[string]average{}, shards: newMeeting(shards), met: make([][]balanced, shards)}
}

// balance gives the factors of losses. It waits for all shards, whose losses must
// be the same ones in the same order.
func (b *Balancer) balance(shard int, losses []balanced) (factors []float64) {
	b.shards.meet(func() { b.met[shard] = losses }, func() { b.factors = b.update() }, func() { factors = b.factors })
	return factors
}

func (b *Balancer) update() []float64 {
	factors := make([]float64, len(b.met[0]))
	var weights float64
	for i, loss := range b.met[0] {
		var sum, items float64
		for _, losses := range b.met {
			for _, n := range losses[i].norms {
				sum += n
				items++
			}
		}
		if items == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
			continue
		}
		a := b.averages[loss.name]
		a.Sum, a.Ones = b.Decay*a.Sum+sum/items, b.Decay*a.Ones+1
		b.averages[loss.name] = a
	}
	for _, loss := range b.met[0] {
		weights += loss.weight
	}
	for i, loss := range b.met[0] {
		if a := b.averages[loss.name]; a.Sum > 0 {
			factors[i] = b.Total * loss.weight / weights * a.Ones / a.Sum
		}
	}
	return factors
}

// balanced is eval with balanced gradients.
func (o *Objective) balanced(output, grad []float32) float64 {
	var losses []balanced
	var grads [][][]float32 // [loss][item]
	add := func(name string, weight float64) [][]float32 {
		if len(o.parts) <= len(losses) {
			o.parts = append(o.parts, make([]float32, len(grad)))
		}
		part := o.parts[len(losses)]
		clear(part)
		losses = append(losses, balanced{name: name, weight: weight})
		grads = append(grads, o.crops(part, false))
		return grads[len(grads)-1]
	}
	x, y := o.crops(o.target, true), o.crops(output, false)
	var total float64
	var wait sync.WaitGroup
	for k, t := range o.Terms {
		clear(o.Values[k])
		if o.Progress < t.From {
			continue
		}
		g := add(t.Name(), t.Weight)
		for i := range o.batch {
			if f := o.factor(k, i); f != 0 {
				wait.Go(func() { o.Values[k][i] = t.Eval(x[i], y[i], float32(f), g[i]) })
			}
		}
	}
	wait.Wait()
	for k := range o.Terms {
		for i, v := range o.Values[k] {
			total += o.weight(k, i) * v
		}
	}
	if c := o.critic; c.active(o.Progress) {
		adversarial, feature := add("adversarial", c.Adversarial), add("feature", c.Feature)
		c.judge(x, y, [2]float32{1, 1}, adversarial, feature)
		total += c.weighted() / float64(o.total)
	}
	for k := range losses {
		for _, g := range grads[k] {
			if n := math.Sqrt(energy(g)); n > 0 {
				losses[k].norms = append(losses[k].norms, n)
			}
		}
	}
	dy := o.crops(grad, false)
	for k, f := range o.balancer.balance(o.shard, losses) {
		step := float32(f / float64(o.total))
		for i, g := range grads[k] {
			for j, v := range g {
				dy[i][j] += step * v
			}
		}
	}
	return total
}

// factor is what a term of an item counts beside its weight.
func (o *Objective) factor(term, item int) float64 {
	if o.quantized[item] {
		return o.Terms[term].Quantized
	}
	return 1
}
