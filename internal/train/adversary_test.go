package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/weights"
)

// small has discriminators for crops of tiny codecs.
func small() *AdversaryConfig {
	c := NarrowAdversary()
	c.Periods, c.Windows, c.Scales = []int{2, 3}, []int{512}, 1
	c.PeriodLayers = []ConvShape{{Width: 16, Taps: 5, Stride: 3}, {Width: 16, Taps: 5, Stride: 3}}
	c.WindowLayers = []ConvShape{{Width: 8, Taps: 3, Stride: 2, Rows: 3}, {Width: 8, Taps: 3, Stride: 2, Rows: 3}}
	c.ScaleLayers = []ConvShape{{Width: 16, Taps: 15, Stride: 4}, {Width: 16, Taps: 15, Stride: 4, Groups: 2}}
	c.Adversarial, c.Feature = 1, 1
	c.Every, c.Schedule = 1, Schedule{Peak: 1e-2, Floor: 0.5, Warmup: 5}
	return &c
}

// fixture is the file that testdata/make.py wrote.
func fixture(t *testing.T) func(name string) weights.Tensor {
	t.Helper()
	f, err := os.Open("testdata/discriminators.pt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := weights.OpenPyTorch(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) weights.Tensor {
		v, err := p.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// relaid calls f for each place of a weight of ours, [rows·taps·in, out] of each
// group, and its place in PyTorch's [out, in, rows, taps].
func relaid(c *Conv, f func(group, ours, torch int)) {
	in, out := c.In/c.Groups, c.Out/c.Groups
	for o := range c.Out {
		for i := range in {
			for k := range c.Rows * c.Taps {
				f(o/out, (k*in+i)*out+o%out, (o*in+i)*c.Rows*c.Taps+k)
			}
		}
	}
}

// pytorchAdversary is what testdata/make.py runs, with its weights.
func pytorchAdversary(t *testing.T, tensor func(string) weights.Tensor, loss string, items, n int) *Adversary {
	t.Helper()
	c := *small()
	c.PeriodLayers = []ConvShape{{Width: 4, Taps: 5, Stride: 3}, {Width: 6, Taps: 5, Stride: 1}}
	c.Windows, c.WindowHop = []int{32}, 0.25
	c.WindowLayers = []ConvShape{{Width: 4, Taps: 5, Stride: 1, Rows: 3}, {Width: 6, Taps: 5, Stride: 2, Rows: 3, Dilation: 2}}
	c.Scales = 2
	c.ScaleLayers = []ConvShape{{Width: 4, Taps: 15, Stride: 1}, {Width: 8, Taps: 11, Stride: 2, Groups: 4}, {Width: 6, Taps: 5, Stride: 1, Groups: 2}}
	c.Loss = loss
	a, err := NewAdversary(c, n, items, testDevice(), rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range a.Discriminators {
		for i, conv := range d.Convs {
			layer := d.Name + ".layer" + string(rune('0'+i))
			weight, bias := tensor(layer+".weight").Data, tensor(layer+".bias").Data
			relaid(conv, func(g, ours, torch int) { conv.Parts[g].Weight.Data[ours] = weight[torch] })
			for g, p := range conv.Parts {
				copy(p.Bias.Data, bias[g*p.Out:])
			}
		}
	}
	a.changed()
	return a
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// TestDiscriminatorsEqualPyTorch holds features, verdicts, losses and gradients to
// those of the same discriminators in PyTorch, in one shard and in two.
func TestDiscriminatorsEqualPyTorch(t *testing.T) {
	tensor := fixture(t)
	x, y := tensor("x"), tensor("y")
	items, n := x.Shape[0], x.Shape[1]
	split := func(v []float32) (rows [][]float32) {
		for i := range items {
			rows = append(rows, v[i*n:(i+1)*n])
		}
		return rows
	}
	for _, loss := range []string{"hinge", "least-squares"} {
		for _, shards := range []int{1, 2} {
			a := pytorchAdversary(t, tensor, loss, items, n)
			adversarial, feature, both := make([]float32, items*n), make([]float32, items*n), make([]float32, items*n)
			for i := range shards {
				from, to := i*items/shards, (i+1)*items/shards
				c := a.critic(to - from)
				part := func(v []float32) [][]float32 { return split(v)[from:to] }
				c.judge(part(x.Data), part(y.Data), [2]float32{2, 3}, part(both), part(both))
				c.judge(part(x.Data), part(y.Data), [2]float32{1, 1}, part(adversarial), part(feature))
				close64(t, "adversarial loss", floats(c.adversarial), doubles(tensor(loss + ".adversarial").Data[from:to]))
				close64(t, "feature loss", floats(c.matching), doubles(tensor(loss + ".feature").Data[from:to]))
				if shards > 1 {
					continue
				}
				for k, d := range a.Discriminators {
					for l, got := range c.recorded[k].convs[1:] {
						close64(t, d.Name, got.Data, doubles(tensor(d.Name+".output"+string(rune('0'+l))).Data))
					}
				}
			}
			wantA, wantF := doubles(tensor(loss+".adversarial_grad").Data), doubles(tensor(loss+".feature_grad").Data)
			close64(t, "adversarial gradient", adversarial, wantA)
			close64(t, "feature gradient", feature, wantF)
			for i := range wantA {
				wantA[i] = 2*wantA[i] + 3*wantF[i]
			}
			close64(t, "gradient of both", both, wantA)
			a.solver.Clip = 1e9
			if err := a.Update(0, 0); err != nil {
				t.Fatal(err)
			}
			close64(t, "discriminators' loss", []float32{float32(a.Loss)}, doubles(tensor(loss+".discriminator").Data))
			at := 0
			for _, d := range a.Discriminators {
				for i, conv := range d.Convs {
					layer := loss + "." + d.Name + ".layer" + string(rune('0'+i))
					weight, bias := tensor(layer+".weight").Data, tensor(layer+".bias").Data
					want := make([][]float64, len(conv.Parts))
					for g, p := range conv.Parts {
						want[g] = make([]float64, p.Weight.Len())
					}
					relaid(conv, func(g, ours, torch int) { want[g][ours] = float64(weight[torch]) })
					for g, p := range conv.Parts {
						close64(t, layer, a.weights[at].Gradient, want[g])
						close64(t, layer+" bias", a.weights[at+1].Gradient, doubles(bias[g*p.Out:(g+1)*p.Out]))
						at += 2
					}
				}
			}
		}
	}
}

func floats(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// TestVerdictLosses compares losses with their formulas and slopes with
// differences.
func TestVerdictLosses(t *testing.T) {
	for name, want := range map[string][2]func(v float64) float64{
		"hinge":         {func(v float64) float64 { return max(0, 1-v) }, func(v float64) float64 { return max(0, 1+v) }},
		"least-squares": {func(v float64) float64 { return (v - 1) * (v - 1) }, func(v float64) float64 { return v * v }},
	} {
		l, err := newVerdictLoss(name)
		if err != nil {
			t.Fatal(err)
		}
		for side, got := range []func(v float32) (float32, float32){l.recorded, l.decoded} {
			for v := -3.0625; v < 3; v += 0.125 {
				loss, slope := got(float32(v))
				const h = 1.0 / 64
				difference := (want[side](v+h) - want[side](v-h)) / (2 * h)
				if float64(loss) != want[side](v) || math.Abs(float64(slope)-difference) > 1e-12 {
					t.Errorf("%s %d at %g: %g with slope %g, want %g and %g", name, side, v, loss, slope, want[side](v), difference)
				}
			}
		}
	}
	if _, err := newVerdictLoss("none"); err == nil {
		t.Error("an unknown loss was accepted")
	}
}

// TestFeatureLoss takes plain and relative differences by their formulas.
func TestFeatureLoss(t *testing.T) {
	x := backend.Host([]float32{1, -2, 3, 0.5}, 2, 2)
	y := backend.Host([]float32{2, -2, 1, 0}, 2, 2)
	for relative, want := range map[bool][]float64{false: {0.5, 1.25}, true: {1 / (3 + 2*silentFeature), 2.5 / (3.5 + 2*silentFeature)}} {
		c := &critic{Adversary: &Adversary{}, items: 2, matching: make([]float64, 2)}
		c.Relative = relative
		steps := c.match(x, y, 0.25, 3)
		grad := backend.Host(make([]float32, 4), 2, 2)
		addMatching(grad, x, y, steps)
		signs := []float64{1, 0, -1, -1}
		for i := range 2 {
			if got := c.matching[i] / 0.25; math.Abs(got-want[i]) > 1e-5 {
				t.Errorf("relative %v item %d: %g, want %g", relative, i, got, want[i])
			}
		}
		sizes := map[bool][]float64{false: {2, 2}, true: {3 + 2*silentFeature, 3.5 + 2*silentFeature}}[relative]
		for i, s := range signs {
			if want := 3 * 0.25 * s / sizes[i/2]; math.Abs(float64(grad.Data[i])-want) > 1e-5 {
				t.Errorf("relative %v gradient %d: %g, want %g", relative, i, grad.Data[i], want)
			}
		}
	}
}

// TestBalancer holds factors to R·λ_i/Σλ / ⟨‖g_i‖⟩ over updates in which a loss
// joins, whatever the shards.
func TestBalancer(t *testing.T) {
	config := BalancerConfig{Decay: 0.9, Total: 2}
	lambda := map[string]float64{"a": 1, "b": 3, "late": 4}
	for _, shards := range []int{1, 2} {
		b := NewBalancer(config, shards)
		sums, ones := map[string]float64{}, map[string]float64{}
		for update := range 8 {
			names := []string{"a", "b"}
			if update >= 5 {
				names = append(names, "late")
			}
			norm := func(name string, item int) float64 { return lambda[name] * float64(1+update%3+item*item) }
			const items = 4
			total := 0.0
			for _, name := range names {
				total += lambda[name]
				mean := 0.0
				for i := range items {
					mean += norm(name, i) / items
				}
				sums[name], ones[name] = 0.9*sums[name]+mean, 0.9*ones[name]+1
			}
			var wait sync.WaitGroup
			for s := range shards {
				var losses []balanced
				for _, name := range names {
					l := balanced{name: name, weight: lambda[name]}
					for i := s * items / shards; i < (s+1)*items/shards; i++ {
						l.norms = append(l.norms, norm(name, i))
					}
					losses = append(losses, l)
				}
				wait.Go(func() {
					for k, got := range b.balance(s, losses) {
						want := 2 * lambda[names[k]] / total / (sums[names[k]] / ones[names[k]])
						if math.Abs(got-want) > 1e-12*want {
							t.Errorf("update %d: factor of %s is %g, want %g", update, names[k], got, want)
						}
					}
				})
			}
			wait.Wait()
		}
	}
	for _, bad := range []BalancerConfig{{Decay: 1, Total: 1}, {Decay: 0.9}, {Decay: -1, Total: 1}} {
		if bad.validate() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestBalancedObjective finds the shares of the losses in the gradient at the
// output.
func TestBalancedObjective(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	const items, hop = 2, 3840
	targets, output, grad := random(rng, items*hop, 0.1), random(rng, items*hop, 0.1), make([]float32, items*hop)
	phase, err := NewPhase([]int{320})
	if err != nil {
		t.Fatal(err)
	}
	terms := []Weighted{{Waveform{}, 2, 0.5, 0}, {phase, 1, 1, 0}, {Waveform{}, 100, 1, 0.9}}
	a, err := NewAdversary(*small(), hop, items, testDevice(), rng)
	if err != nil {
		t.Fatal(err)
	}
	a.Adversarial, a.Feature = 3, 4
	o := NewObjective(terms, targets, []bool{true, false}, items, 0, hop)
	o.critic, o.balancer = a.critic(items), NewBalancer(BalancerConfig{Decay: 0, Total: 10}, 1)
	o.eval(output, grad)
	// With no memory, the mean norm over items of each part is its share; the first
	// lets items differ by Quantized.
	weights, want := []float64{2, 1, 3, 4}, make([]float64, len(grad))
	for k, part := range o.parts {
		crops := o.crops(part, false)
		var mean float64
		for _, g := range crops {
			mean += math.Sqrt(energy(g)) / items
		}
		for i, v := range part {
			want[i] += float64(v) * 10 * weights[k] / 10 / mean / items
		}
	}
	if len(o.parts) != len(weights) {
		t.Fatalf("%d losses take part, want %d", len(o.parts), len(weights))
	}
	close64(t, "gradient", grad, want)
}

// TestTrainWithAdversary trains a codec against discriminators, whose loss falls
// below that of chance: 2 for the hinge, 1/2 for least squares.
func TestTrainWithAdversary(t *testing.T) {
	for loss, chance := range map[string]float64{"hinge": 2, "least-squares": 0.5} {
		t.Run(loss, func(t *testing.T) {
			c := tiny()
			c.Discriminators = small()
			c.Discriminators.Loss = loss
			if loss == "hinge" {
				balancer := DefaultBalancerConfig()
				c.Balancer = &balancer
			}
			codec := newTiny(t, c, testDevice())
			const updates = 100
			var first, last, mel [2]float64
			for i := range updates {
				if err := codec.Update(float64(i) / updates); err != nil {
					t.Fatal(err)
				}
				a := codec.adversary
				if math.IsNaN(a.AdversarialLoss) || math.IsNaN(a.FeatureLoss) {
					t.Fatalf("update %d: losses %g and %g", i, a.AdversarialLoss, a.FeatureLoss)
				}
				at, to := &first, 0
				switch {
				case i >= updates-10:
					at, to = &last, 1
				case i >= 10:
					continue
				}
				at[0] += a.Loss / 10
				for _, s := range codec.shards {
					for _, v := range s.objective.Values[0] {
						mel[to] += v / 10 / float64(c.Batch)
					}
				}
			}
			t.Logf("discriminators' loss %.3f, then %.3f; mel %.3f, then %.3f", first[0], last[0], mel[0], mel[1])
			if last[0] > 0.92*chance {
				t.Errorf("discriminators' loss %.3f in the first 10 updates, %.3f in the last, chance is %g", first[0], last[0], chance)
			}
			if mel[1] > 0.8*mel[0] {
				t.Errorf("the codec does not learn beside them: mel %.3f in the first 10 updates, %.3f in the last", mel[0], mel[1])
			}
		})
	}
}

// TestAdversarySchedule counts the updates of discriminators.
func TestAdversarySchedule(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(c *AdversaryConfig)
		want []bool
	}{
		"every update": {func(*AdversaryConfig) {}, []bool{true, true, true, true, true, true}},
		"every third":  {func(c *AdversaryConfig) { c.Every = 3 }, []bool{true, false, false, true, false, false}},
		"from half on": {func(c *AdversaryConfig) { c.From = 0.5 }, []bool{false, false, false, true, true, true}},
		"never":        {func(c *AdversaryConfig) { c.Threshold = 1e6 }, []bool{false, false, false, false, false, false}},
	} {
		config := tiny()
		config.Discriminators = small()
		c.set(config.Discriminators)
		codec := newTiny(t, config, testDevice())
		var got []bool
		for i := range c.want {
			before := slices.Clone(codec.adversary.weights[0].Data)
			if err := codec.Update(float64(i) / float64(len(c.want))); err != nil {
				t.Fatal(err)
			}
			got = append(got, !slices.Equal(before, codec.adversary.weights[0].Data))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: updates %v, want %v", name, got, c.want)
		}
	}
}

// TestAdversaryRecipe reads recipes over the one that they name and leaves the
// default one as it was.
func TestAdversaryRecipe(t *testing.T) {
	read := func(text string) (CodecConfig, error) {
		c := DefaultCodecConfig()
		err := json.Unmarshal([]byte(text), &c)
		return c, err
	}
	for text, check := range map[string]func(c *AdversaryConfig) bool{
		`{}`:                    func(c *AdversaryConfig) bool { return c == nil },
		`{"discriminators":{}}`: func(c *AdversaryConfig) bool { return c.Widths == "narrow" && c.Every == 2 },
		`{"discriminators":{"widths":"published","periods":[],"feature":0}}`: func(c *AdversaryConfig) bool {
			return c.PeriodLayers[3].Width == 1024 && len(c.Periods) == 0 && c.Feature == 0 && c.Adversarial == 0.1
		},
		`{"discriminators":{},"balancer":{"total":9}}`: func(c *AdversaryConfig) bool { return c.Feature == 0.2 },
		`{"discriminators":{"scale_layers":[{"width":8,"taps":5,"stride":2}]}}`: func(c *AdversaryConfig) bool {
			return len(c.ScaleLayers) == 1 && c.ScaleLayers[0] == ConvShape{Width: 8, Taps: 5, Stride: 2}
		},
	} {
		c, err := read(text)
		if err != nil || !check(c.Discriminators) {
			t.Errorf("%s gives %+v, %v", text, c.Discriminators, err)
			continue
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(string(data))
		if data2, _ := json.Marshal(again); err != nil || string(data) != string(data2) {
			t.Errorf("%s does not come back: %s", text, data2)
		}
	}
	if c, err := read(`{"balancer":{"total":9}}`); err != nil || *c.Balancer != (BalancerConfig{Decay: 0.99, Total: 9}) {
		t.Errorf("the balancer is %+v, %v", c.Balancer, err)
	}
	if _, err := read(`{"discriminators":{"widths":"huge"}}`); err == nil {
		t.Error("unknown widths were accepted")
	}
	data, err := json.Marshal(DefaultCodecConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"discriminators", "balancer", "phase", "room", "clipping"} {
		if strings.Contains(string(data), key) {
			t.Errorf("the default recipe names %q", key)
		}
	}
	for name, set := range map[string]func(c *CodecConfig){
		"a window longer than the crop": func(c *CodecConfig) { c.Discriminators.Windows = []int{8192} },
		"no discriminators": func(c *CodecConfig) {
			c.Discriminators.Periods, c.Discriminators.Windows, c.Discriminators.Scales = nil, nil, 0
		},
		"an unknown loss": func(c *CodecConfig) { c.Discriminators.Loss = "wasserstein" },
		"no updates":      func(c *CodecConfig) { c.Discriminators.Every = 0 },
	} {
		c := tiny()
		c.Discriminators = small()
		set(&c)
		if _, err := NewCodec(c, nil, testDevice()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPublishedAdversary has the number of parameters that the published layers
// have without weight norm: HiFi-GAN's five periods 41.1 million, its three scales
// 29.6 million.
func TestPublishedAdversary(t *testing.T) {
	c := PublishedAdversary()
	c.Periods, c.Windows, c.Scales = []int{2}, []int{1024}, 1
	a, err := NewAdversary(c, 16000, 1, testDevice(), rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{8_218_433, 94_337, 9_870_209} {
		got := 0
		for _, p := range a.Discriminators[i].Params() {
			got += p.Len()
		}
		if got != want {
			t.Errorf("%s has %d parameters, want %d", a.Discriminators[i].Name, got, want)
		}
	}
}

// TestLeakyReLU holds the operation in a graph to its definition.
func TestLeakyReLU(t *testing.T) {
	g := NewGraph(testDevice(), 1)
	x, data := g.Input("x", 1, 4)
	copy(data, []float32{-2, -0.5, 0.5, 2})
	front := nn.NewLayerScale("front", 4, 1)
	out := g.Apply(nn.Activation{Func: backend.LeakyReLU}, g.Apply(front, x))
	o := NewObjective([]Weighted{{project{[]float32{1, 2, 3, 4}}, 1, 1, 0}}, make([]float32, 4), []bool{false}, 1, 0, 4)
	if err := g.Compile(o.Node(g, out)); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	close64(t, "value", []float32{float32(o.Values[0][0])}, []float64{-0.2 - 0.1 + 1.5 + 8})
	close64(t, "gradient", g.Weights()[0].Gradient, []float64{-0.2, -0.1, 1.5, 8})
}
