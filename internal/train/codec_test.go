package train

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/rvq"
)

// tiny is a codec small enough to train in seconds.
func tiny() CodecConfig {
	c := DefaultCodecConfig()
	c.Model.Width, c.Model.EncoderBlocks, c.Model.DecoderBlocks = 32, 1, 1
	c.Model.Quantizer = rvq.Config{Dim: 16, Groups: 2, Levels: 2, Size: 16}
	c.LevelShares = []float64{0.5, 0.5}
	c.Batch, c.Frames = 2, 12
	c.MelScales = []MelScale{{512, 40}, {128, 16}}
	c.KMeansStep, c.KMeansRows, c.LinearCrops = 8, 256, 8
	c.Schedule.Warmup = 5
	return c
}

func newTiny(t *testing.T, c CodecConfig, device backend.Backend) *Codec {
	t.Helper()
	codec, err := NewCodec(c, hum(rand.New(rand.NewPCG(1, 1))), device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(codec.Close)
	if err := codec.Start(); err != nil {
		t.Fatal(err)
	}
	return codec
}

// TestTrainTinyCodec holds training on harmonic tones to a loss that only a
// working trainer reaches.
func TestTrainTinyCodec(t *testing.T) {
	codec := newTiny(t, tiny(), testDevice())
	const updates = 120
	means := map[bool]float64{}
	for i := range updates {
		if err := codec.Update(float64(i) / updates); err != nil {
			t.Fatal(err)
		}
		var total float64
		for _, s := range codec.shards {
			for k := range s.objective.Terms {
				for item, v := range s.objective.Values[k] {
					total += s.objective.weight(k, item) * v
				}
			}
		}
		if i < 8 {
			means[false] += total / 8
		}
		if i >= updates-24 {
			means[true] += total / 24
		}
	}
	t.Logf("loss %.3f in the first 8 updates, %.3f in the last 24", means[false], means[true])
	if means[true] > 1.1 || means[true] > 0.5*means[false] {
		t.Errorf("loss %.3f in the first 8 updates, %.3f in the last 24", means[false], means[true])
	}
	for i, u := range codec.quantizer.Usage {
		if used, _ := usage(u); used < 0.8 {
			t.Errorf("codebook %d: %.0f %% of its entries used", i, 100*used)
		}
	}
}

// TestResume stops a run before and after the codebooks start, and before and after
// the discriminators do, and holds the continued one to the very losses and weights
// of an unbroken one.
func TestResume(t *testing.T) {
	plain := tiny()
	plain.Average = 0.9
	plain.Augment = Augment{Mixture: 0.3, Noise: 0.3, BandLimit: 0.3}
	adversarial := plain
	adversarial.Augment.Room, adversarial.Augment.Clipping, adversarial.Phase = 0.3, 0.3, 0.1
	adversarial.Discriminators = small()
	adversarial.Discriminators.Every, adversarial.Discriminators.From = 2, 0.4
	adversarial.Balancer = &BalancerConfig{Decay: 0.9, Total: 1}
	for name, c := range map[string]CodecConfig{"plain": plain, "adversarial": adversarial} {
		t.Run(name, func(t *testing.T) { testResume(t, c) })
	}
}

func testResume(t *testing.T, c CodecConfig) {
	const updates = 16
	losses := func(codec *Codec, from, to int) (all []float64) {
		for i := from; i < to; i++ {
			if err := codec.Update(float64(i) / updates); err != nil {
				t.Fatal(err)
			}
			for _, s := range codec.shards {
				all = append(all, slices.Concat(s.objective.Values...)...)
			}
			all = append(all, codec.quantizer.Commitment, codec.solver.Norm)
			if a := codec.adversary; a.active(float64(i) / updates) {
				all = append(append(all, a.Losses...), a.Loss, a.AdversarialLoss, a.FeatureLoss)
			}
		}
		return all
	}
	whole := newTiny(t, c, testDevice())
	want := losses(whole, 0, updates)
	for _, stop := range []int{5, 11} {
		first := newTiny(t, c, testDevice())
		got := losses(first, 0, stop)
		path := filepath.Join(t.TempDir(), CheckpointName)
		if err := first.Save(path); err != nil {
			t.Fatal(err)
		}
		// The checkpoint's own recipe is that of the run.
		recipe, err := CheckpointConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		second, err := NewCodec(recipe, hum(rand.New(rand.NewPCG(1, 1))), testDevice())
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if err := second.Load(path); err != nil {
			t.Fatal(err)
		}
		got = append(got, losses(second, stop, updates)...)
		if !slices.Equal(got, want) {
			t.Errorf("stopped after %d updates: losses differ from those of an unbroken run", stop)
		}
		for i, w := range second.weights() {
			if !slices.Equal(w.Data, whole.weights()[i].Data) || !slices.Equal(second.average[w.Name], whole.average[w.Name]) {
				t.Errorf("stopped after %d updates: %s differs", stop, w.Name)
			}
		}
		if second.adversary == nil {
			continue
		}
		if n := whole.adversary.solver.AdamW.Step; n == 0 || n != second.adversary.solver.AdamW.Step {
			t.Errorf("discriminators learned %d times, then %d", n, second.adversary.solver.AdamW.Step)
		}
		unbroken := map[string][]float32{}
		whole.adversary.arrays(func(name string, data []float32, _ ...int) { unbroken[name] = data })
		second.adversary.arrays(func(name string, data []float32, _ ...int) {
			if !slices.Equal(data, unbroken[name]) {
				t.Errorf("stopped after %d updates: %s differs", stop, name)
			}
		})
		if !maps.Equal(second.balancer.averages, whole.balancer.averages) {
			t.Errorf("stopped after %d updates: the balancer differs", stop)
		}
	}
}

// TestRun runs to the end, then goes on in the same folder, plots and releases.
func TestRun(t *testing.T) {
	c, dir := tiny(), t.TempDir()
	rng := rand.New(rand.NewPCG(5, 5))
	run := RunConfig{Dir: dir, Steps: 12, LogEvery: 4, SaveEvery: time.Hour, ValidEvery: time.Hour, Progress: io.Discard}
	for _, clip := range hum(rng).Clips[:1] {
		v := ValidClip{Path: "hum"}
		for _, s := range clip.Samples[:16000] {
			v.Samples = append(v.Samples, float32(s)/32768)
		}
		run.Valid = append(run.Valid, v)
	}
	codec := newTiny(t, c, testDevice())
	if err := codec.Run(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	run.Steps = 16
	again, err := NewCodec(c, hum(rand.New(rand.NewPCG(1, 1))), testDevice())
	if err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{stopped, context.Background()} {
		if err := again.Load(filepath.Join(dir, CheckpointName)); err != nil {
			t.Fatal(err)
		}
		if err := again.Run(ctx, run); err != nil {
			t.Fatal(err)
		}
	}
	records, err := ReadLog(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for _, r := range records {
		steps = append(steps, r.Step)
	}
	if want := []int{4, 8, 12, 12, 16, 16}; !slices.Equal(steps, want) {
		t.Errorf("log has steps %v, want %v", steps, want)
	}
	if last := records[len(records)-1]; len(last.Valid) != 3 {
		t.Errorf("validation has %d scores, want one without quantization and two levels", len(last.Valid))
	}
	picture := filepath.Join(dir, "x.png")
	if err := Plot(filepath.Join(dir, LogName), picture); err != nil {
		t.Error(err)
	}
	card := filepath.Join(dir, "card.md")
	fingerprint, err := Release(dir, "test-v0", filepath.Join(dir, "w.safetensors"), card, testDevice())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(card)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"test-v0", fingerprint.String(), "| 0.8 kbps |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the model card lacks %q", want)
		}
	}
}

// TestDamagedCheckpoint refuses a file with a changed byte.
func TestDamagedCheckpoint(t *testing.T) {
	codec := newTiny(t, tiny(), testDevice())
	path := filepath.Join(t.TempDir(), CheckpointName)
	if err := codec.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-9] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := codec.Load(path); err == nil {
		t.Error("a damaged checkpoint was loaded")
	}
}

// TestAdopt holds a codec that was begun from the released model with another
// quantizer to that model's sound without quantization.
func TestAdopt(t *testing.T) {
	model, clip := released(t), speech(t)
	corpus := &Corpus{Rate: 16000, Clips: []Clip{clip}, cumulative: []float64{1}}
	valid := []ValidClip{{Path: "speech"}}
	for _, s := range clip.Samples {
		valid[0].Samples = append(valid[0].Samples, float32(s)/32768)
	}
	score := func(q rvq.Config) ValidScore {
		c := DefaultCodecConfig()
		c.Model = model.Network.Config
		c.Model.Quantizer, c.LinearCrops = q, 8
		c.LevelShares = make([]float64, q.Levels)
		codec, err := NewCodec(c, corpus, testDevice())
		if err != nil {
			t.Fatal(err)
		}
		defer codec.Close()
		if err := codec.Adopt(model); err != nil {
			t.Fatal(err)
		}
		if same := q == model.Network.Quantizer; codec.quantizer.Started() != same {
			t.Errorf("%+v: the codebooks are started: %v", q, !same)
		}
		scores, err := codec.Validate(valid)
		if err != nil {
			t.Fatal(err)
		}
		return scores[0]
	}
	q := model.Network.Quantizer
	whole := score(q)
	q.Groups = 3 - q.Groups
	turned := score(q)
	q.Dim /= 2
	half := score(q)
	t.Logf("ESTOI %.3f; turned %.3f; half of the components %.3f", whole.ESTOI, turned.ESTOI, half.ESTOI)
	if turned.ESTOI < whole.ESTOI-0.02 || half.ESTOI < whole.ESTOI-0.2 {
		t.Errorf("ESTOI %.3f; turned %.3f; half of the components %.3f", whole.ESTOI, turned.ESTOI, half.ESTOI)
	}
	c := DefaultCodecConfig()
	c.Model.Width /= 2
	codec, err := NewCodec(c, corpus, testDevice())
	if err != nil {
		t.Fatal(err)
	}
	defer codec.Close()
	if err := codec.Adopt(model); err == nil {
		t.Error("a network of another width was adopted")
	}
}

// released is the model that ships.
func released(t *testing.T) *native.Checkpoint {
	t.Helper()
	paths, err := filepath.Glob("../../codec/sotto/weights/*.safetensors")
	if err != nil || len(paths) == 0 {
		t.Fatal("no released weights", err)
	}
	data, err := os.ReadFile(paths[len(paths)-1])
	if err != nil {
		t.Fatal(err)
	}
	model, _, err := native.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func speech(t *testing.T) Clip {
	t.Helper()
	clip, err := loadClip(Row{Path: "../../samples/speech.wav"}, 16000)
	if err != nil {
		t.Fatal(err)
	}
	return clip
}
