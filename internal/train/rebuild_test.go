package train

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// The distance is the mean over the frames of the items alone, and its slope that of
// differences.
func TestDistance(t *testing.T) {
	const dim, rows, delay = 3, 12, 4
	rng := rand.New(rand.NewPCG(1, 9))
	var batch []item
	for _, frames := range []int{8, 5} {
		batch = append(batch, item{{Spoken: Spoken{Frames: frames}}})
	}
	clean, out := make([]float32, 2*rows*dim), make([]float32, 2*rows*dim)
	for i := range clean {
		clean[i], out[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	var want float64
	for i, m := range batch {
		for f := range m.frames() {
			for c := range dim {
				want += math.Abs(float64(clean[(i*rows+f)*dim+c] - out[(i*rows+f+delay)*dim+c]))
			}
		}
	}
	want /= 13 * dim
	grad := make([]float32, len(out))
	got := distance(batch, rows, delay, dim, clean, out, grad, 1.0/(13*dim))
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("distance %g, want %g", got, want)
	}
	for i := range out {
		const step = 1e-3
		v := out[i]
		out[i] = v + step
		up := distance(batch, rows, delay, dim, clean, out, nil, 0)
		out[i] = v - step
		down := distance(batch, rows, delay, dim, clean, out, nil, 0)
		out[i] = v
		if slope := (up - down) / (2 * step); math.Abs(slope-float64(grad[i])) > 2e-4 {
			t.Errorf("value %d: slope %g, want %g", i, grad[i], slope)
		}
	}
}

// A warm-up needs no text, learns to rebuild, resumes as it would have gone on, and
// hands all but its last matrix to the training that follows.
func TestWarmUp(t *testing.T) {
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	dir := features(t, model)
	c := DefaultASRConfig()
	c.Model.Width, c.Model.Blocks, c.Model.Heads = 32, 2, 2
	c.Shares = map[string]float64{"samples": 1}
	c.Splice = map[string]float64{"samples": 1}
	c.Join, c.Growth, c.Average, c.Rebuild = 0, 0, 0, true
	c.Schedule.Peak, c.Schedule.Warmup = 0.01, 4
	fresh := func() *ASR {
		data, err := LoadTranscripts(dir, model, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range data.Train["samples"] {
			u.Labels, u.Spelling = nil, ""
		}
		a, err := NewASR(c, data, testDevice())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	run := func(a *ASR, n int) {
		for range n {
			a.plan = nil
			if err := a.Update(0.5); err != nil {
				t.Fatal(err)
			}
		}
	}
	valid := func(a *ASR) Rebuilt {
		scores, err := a.ValidateRebuilt()
		if err != nil || len(scores) != 1 {
			t.Fatalf("%d scores: %v", len(scores), err)
		}
		return scores["samples"]
	}
	whole := fresh()
	before := valid(whole)
	run(whole, 40)
	if after := valid(whole); after.Altered != before.Altered || after.Rebuilt > 0.8*before.Rebuilt {
		t.Errorf("rebuilt %+v after 40 updates, %+v before", after, before)
	}
	half, _, path := resumes(t, whole, fresh, run, 20, 20)
	if _, err := ReleaseASR(filepath.Dir(path), "test", filepath.Join(t.TempDir(), "w.safetensors"), recognizer.Search{}, Mix{}, testDevice()); err == nil {
		t.Error("a network that cannot write is released")
	}
	if c, err = ASRInitConfig(path); err != nil || c.Rebuild {
		t.Fatalf("recipe to go on with: rebuild %v, %v", c.Rebuild, err)
	}
	writer := fresh()
	if err := writer.Load(path, false); err == nil || !strings.Contains(err.Error(), "--init") {
		t.Errorf("another task within a run: %v", err)
	}
	first := slices.Clone(writer.Network.Output.Weight.Data)
	if err := writer.Begin(path); err != nil {
		t.Fatal(err)
	}
	for i, p := range writer.Network.Params() {
		was := half.Network.Params()[i]
		switch p {
		case writer.Network.Output.Weight:
			if !slices.Equal(p.Data, first) {
				t.Error("the scores do not start anew")
			}
		case writer.Network.Output.Bias, writer.Network.Middle.Weight, writer.Network.Middle.Bias:
		default:
			if !slices.Equal(p.Data, was.Data) {
				t.Errorf("%s is not that of the warm-up", p.Name)
			}
		}
	}
}
