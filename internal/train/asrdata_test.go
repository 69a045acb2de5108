package train

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/weights"
)

func TestManifestOfTranscripts(t *testing.T) {
	rows, err := parseSpoken(strings.NewReader("path\tseconds\tsplit\tspeaker\tlang\ttext\n" +
		"lj/a.flac\t1\ttrain\tlj\ten\tPrinting, in 3 parts.\n" +
		"lj/b.flac\t1\ttrain\tlj\ten\t\n" +
		"de/c.flac\t1\ttrain\tk\tde\tGuten Tag\n" +
		"esc/d.flac\t1\tnoise\tnone\t\t\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Spoken{
		{Path: "lj/a.flac", Split: "train", Speaker: "lj", Source: "lj", Spelling: "printing in three parts"},
		{Path: "esc/d.flac", Split: "train", Speaker: "none", Source: "esc"},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got %+v, want %+v", rows, want)
	}
}

// features makes those of the repository's speech and of made noise.
func features(t *testing.T, model *sotto.Model) string {
	t.Helper()
	dir := t.TempDir()
	speech, err := filepath.Abs("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	rows := append([]Spoken{{Path: speech, Split: "train", Speaker: "a", Source: "samples", Spelling: "one two"},
		{Path: speech, Split: "valid", Speaker: "b", Source: "samples", Spelling: "one two"}}, NoSpeech(2)...)
	c := FeatureConfig{Dir: dir, Name: "test", Versions: []int{0, 1}, PerFile: 3, Progress: io.Discard}
	if err := WriteFeatures(context.Background(), c, rows, model); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Features are the latents and codes of the codec, and a batch holds them, each
// utterance at its place and zeros after it.
func TestFeaturesFillABatch(t *testing.T) {
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	dir := features(t, model)
	data, err := LoadTranscripts(dir, model, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Train["samples"]) != 2 || len(data.Train["generated"]) != 4 || len(data.Valid["samples"]) != 1 {
		t.Fatalf("%d and %d utterances to train on, %d to judge by", len(data.Train["samples"]), len(data.Train["generated"]), len(data.Valid["samples"]))
	}
	short, long := data.Train["generated"][0], data.Train["samples"][0]
	items := []item{{short}, {long, short}}
	dim := model.LatentDim()
	for _, level := range []int{0, 3} {
		s := nn.NewStream(testDevice(), 2)
		x, rows, err := data.fill(s, items, 4, dim, func() int { return level })
		if err != nil {
			t.Fatal(err)
		}
		want := func(u *Utterance) []float32 {
			z := make([]float32, len(u.Latents))
			for i, h := range u.Latents {
				z[i] = weights.FromFloat16(h)
			}
			if level == 0 {
				return z
			}
			var codes []int32
			for f := range u.Frames {
				for _, c := range u.Codes[f*8 : f*8+level] {
					codes = append(codes, int32(c))
				}
			}
			z, err := model.NewLatentStream().Decode(nil, codes, level)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}
		for i, parts := range [][]float32{want(short), append(want(long), want(short)...)} {
			row := x[i*rows*dim : (i+1)*rows*dim]
			if !slices.Equal(row[:len(parts)], parts) || slices.ContainsFunc(row[len(parts):], func(v float32) bool { return v != 0 }) {
				t.Errorf("level %d: item %d is not its utterances and zeros", level, i)
			}
			frames := len(parts) / dim
			if n := s.Lengths[i]; n%recognizer.Unit != 0 || n < frames+4 || n >= frames+4+recognizer.Unit {
				t.Errorf("item of %d frames has %d rows", frames, n)
			}
		}
	}
	// Other files of the folder are left alone, and damaged ones are named.
	if err := os.WriteFile(filepath.Join(dir, "x.features"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := data.More(dir, nil); err == nil || !strings.Contains(err.Error(), "x.features") {
		t.Errorf("error %v", err)
	}
}

// Batches keep to their size, hold items of like length, and sources have their
// shares.
func TestPlanKeepsToItsSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	data := &Transcripts{Train: map[string][]*Utterance{}}
	for source, length := range map[string]int{"short": 100, "long": 400} {
		for range 50 {
			frames := length/2 + rng.IntN(length)
			data.Train[source] = append(data.Train[source], &Utterance{Spoken: Spoken{Frames: frames, Seconds: float64(frames) / 50, Source: source}})
		}
	}
	c := DefaultASRConfig()
	s, err := newSampler(data, map[string]float64{"short": 0.5, "long": 0.5})
	if err != nil {
		t.Fatal(err)
	}
	seconds := map[string]float64{}
	var all float64
	for range 20 {
		batches, padding, err := s.plan(c, nil, 20, rng)
		if err != nil || padding > 0.1 {
			t.Errorf("%.0f%% padding, %v", 100*padding, err)
		}
		for _, b := range batches {
			longest := 0
			for _, m := range b {
				longest = max(longest, m.frames())
				for _, u := range m {
					seconds[u.Source] += u.Seconds
					all += u.Seconds
				}
			}
			if float64(len(b)*longest) > c.Seconds*50 || float64(longest) > c.Longest*50 {
				t.Errorf("%d items of up to %d frames", len(b), longest)
			}
		}
	}
	for source, s := range seconds {
		if math.Abs(s/all-0.5) > 0.05 {
			t.Errorf("%s has %.2f of the seconds", source, s/all)
		}
	}
	if _, err := newSampler(data, map[string]float64{"other": 1}); err == nil {
		t.Error("shares without a source are no error")
	}
}

// resumes wants a trainer that is stopped after some updates and resumed for more to end
// with the weights of one that ran on. It gives both halves and the checkpoint between.
func resumes(t *testing.T, whole *ASR, fresh func() *ASR, run func(a *ASR, n int), first, then int) (half, again *ASR, path string) {
	t.Helper()
	half = fresh()
	run(half, first)
	path = filepath.Join(t.TempDir(), CheckpointName)
	if err := half.Save(path); err != nil {
		t.Fatal(err)
	}
	again = fresh()
	if err := again.Load(path, false); err != nil {
		t.Fatal(err)
	}
	run(again, then)
	for i, p := range whole.Network.Params() {
		if !slices.Equal(p.Data, again.Network.Params()[i].Data) {
			t.Fatalf("%s differs after resuming", p.Name)
		}
	}
	return half, again, path
}

// A trainer that was stopped goes on as it would have, and learns.
func TestASRResumes(t *testing.T) {
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	dir := features(t, model)
	c := DefaultASRConfig()
	c.Model.Width, c.Model.Blocks, c.Model.Heads = 32, 2, 2
	c.Shares = map[string]float64{"samples": 1}
	c.Join, c.Schedule.Warmup, c.Growth = 0, 1, 0
	make := func() *ASR {
		data, err := LoadTranscripts(dir, model, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := NewASR(c, data, testDevice())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	run := func(a *ASR, n int) (loss float64) {
		for range n {
			a.plan = nil
			if err := a.Update(0.5); err != nil {
				t.Fatal(err)
			}
			loss = a.shards[0].Loss
		}
		return loss
	}
	whole := make()
	first := run(whole, 1)
	last := run(whole, 9)
	if last >= first {
		t.Errorf("loss %g at first, %g in the end", first, last)
	}
	_, again, path := resumes(t, whole, make, func(a *ASR, n int) { run(a, n) }, 4, 6)
	// Adapters alone, from the weights of this run, and resumed likewise.
	c.LoRA = &LoRAConfig{Rank: 2, Alpha: 4, Layers: []string{"conv.expand"}}
	adapted := make()
	if err := adapted.Load(path, true); err != nil {
		t.Fatal(err)
	}
	frozen := slices.Clone(adapted.Network.Output.Weight.Data)
	moving := slices.Clone(adapted.Network.Blocks[0].Conv.Expand.Weight.Data)
	run(adapted, 2)
	if !slices.Equal(frozen, adapted.Network.Output.Weight.Data) || slices.Equal(moving, adapted.Network.Blocks[0].Conv.Expand.Weight.Data) {
		t.Error("adapters change other matrices than theirs")
	}
	if err := adapted.Save(path); err != nil {
		t.Fatal(err)
	}
	run(adapted, 2)
	more := make()
	if err := more.Load(path, false); err != nil {
		t.Fatal(err)
	}
	run(more, 2)
	if !slices.Equal(more.Network.Blocks[0].Conv.Expand.Weight.Data, adapted.Network.Blocks[0].Conv.Expand.Weight.Data) {
		t.Error("adapters differ after resuming")
	}
	scores, err := again.Validate()
	if err != nil || len(scores) != 2 {
		t.Errorf("%d scores: %v", len(scores), err)
	}
	if _, err := ReleaseASR(filepath.Dir(path), "test", filepath.Join(t.TempDir(), "w.safetensors"), recognizer.Search{}, Mix{}, testDevice()); err != nil {
		t.Error(err)
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	tape := NewTape(testDevice(), nil, 0.25, rand.New(rand.NewPCG(1, 1)))
	tape.Begin(1)
	x := backend.Host(slices.Repeat([]float32{1}, 40000), 400, 100)
	y := tape.Apply(&nn.Dropout{}, tape.Input(x))
	var sum float64
	for _, v := range y.Data {
		sum += float64(v)
	}
	if math.Abs(sum/40000-1) > 0.02 {
		t.Errorf("mean %g", sum/40000)
	}
}
