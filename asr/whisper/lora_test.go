package whisper

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"os"

	"github.com/sotto-audio/sotto/internal/backend"
)

// tiny is a model to train: 24 columns.
var tiny = dims{Mels: 80, AudioContext: 1500, AudioWidth: 24, AudioHeads: 2, AudioLayers: 2, Vocabulary: 51865, TextContext: 448, TextWidth: 24, TextHeads: 2, TextLayers: 1}

// spoken is a recording with words whose times are made up.
func spoken(t testing.TB, seconds int) *Utterance {
	u := &Utterance{PCM: recording(t, "speech.wav")[:seconds*SampleRate]}
	for i, w := range []string{" the", " curious", " voices", " of", " small", " machines", " remain"} {
		at := 0.3 + 0.4*float64(i)
		if at+0.4 < float64(seconds) {
			u.Words = append(u.Words, Word{Text: w, Start: at, End: at + 0.4})
		}
	}
	return u
}

// randomAdapter changes a model at random.
func randomAdapter(d dims, rank int, chunk time.Duration) *Adapter {
	rng := rand.New(rand.NewPCG(3, 4))
	a := &Adapter{Rank: rank, Alpha: 2 * float64(rank), Chunk: chunk, Startup: 1, updates: map[string]*update{}}
	for _, layer := range adapterLayers(d) {
		u := freshUpdate(rank, d.AudioWidth, rng)
		for i := range u.b {
			u.b[i] = float32(rng.NormFloat64() * 0.1)
		}
		a.updates[layer] = u
	}
	return a
}

func TestAdaptersComeBack(t *testing.T) {
	a := randomAdapter(small, 3, 300*time.Millisecond)
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "adapter.safetensors")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	back, err := LoadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, a) {
		t.Error("another adapter came back")
	}
	if a.fits(small) != nil || a.fits(tiny) == nil {
		t.Error("an adapter of 32 columns fits 24, or not its own model")
	}
	w := make([]float32, 32*32)
	u := a.updates["decoder.blocks.0.cross_attn.out"]
	a.merge(threads(), "decoder.blocks.0.cross_attn.out", w, 32, 32)
	for o := range 32 {
		for i := range 32 {
			want := 0.0
			for r := range a.Rank {
				want += 2 * float64(u.b[o*a.Rank+r]) * float64(u.a[r*32+i])
			}
			if math.Abs(float64(w[o*32+i])-want) > 1e-6 {
				t.Fatalf("the update at %d, %d is %g, want %g", o, i, w[o*32+i], want)
			}
		}
	}
}

func FuzzAdapter(f *testing.F) {
	data, err := randomAdapter(small, 2, 40*time.Millisecond).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAdapter(data, 0)
		if err == nil {
			a.fits(small)
		}
	})
}

// The loss in training is that of the merged model as it runs.
func TestTrainingSeesWhatTheMergedModelSays(t *testing.T) {
	const chunk = 300 * time.Millisecond
	m := synthModel(t, tiny, backend.Float32)
	a := randomAdapter(tiny, 4, chunk)
	tuner, err := NewTuner(m, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	u := spoken(t, 3)
	partials := tuner.partials(u, 0, 1)
	if len(partials) != 9 { // 3 s less the first chunk, which waits for the second
		t.Fatalf("%d ends of chunks", len(partials))
	}
	got := tuner.forward(u, partials)

	merged, err := newModel(synthCheckpoint(tiny), threads(), backend.Float32, a)
	if err == nil {
		err = merged.ready()
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, count := 0.0, 0
	for _, p := range partials {
		e := merged.encoder.start(merged.backend)
		e.mel = runningMel(merged, u.PCM)
		r := merged.decoder.start(merged.backend, 1, 1500)
		n := int(chunk / positionTime)
		for step := 2 * n; e.done < p.positions; step = n {
			r.listen(e.step(step))
		}
		logits := r.predict(r.step(p.tokens, len(p.tokens)))
		for i, target := range p.target {
			if target >= 0 {
				x := logits.Row(i)
				sum += logSumExp(x) - float64(x[target])
				count++
			}
		}
	}
	if want := sum / float64(count); math.Abs(got-want) > 1e-4 {
		t.Errorf("the loss is %g, the merged model's is %g", got, want)
	}
}

func runningMel(m *Model, pcm []float32) []float32 {
	c := &causal{Model: m, bands: melStream{melBands: m.mel}, encoding: m.encoder.start(m.backend), top: never}
	c.hear(pcm)
	c.hear(make([]float32, SampleRate))
	return c.encoding.mel
}

func TestSlopesOfAdapters(t *testing.T) {
	m := synthModel(t, tiny, backend.Float32)
	a := randomAdapter(tiny, 2, time.Second)
	tuner, err := NewTuner(m, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	u := spoken(t, 3)
	partials := tuner.partials(u, 0, 1)
	tuner.forward(u, partials)
	tuner.tape.backward()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, layer := range adapterLayers(tiny) {
		for part, w := range [][]float32{a.updates[layer].a, a.updates[layer].b} {
			slope := [][]float32{tuner.slopes[layer].a, tuner.slopes[layer].b}[part]
			// Along a random direction, in which a float32 loss changes enough.
			direction := make([]float32, len(w))
			want := 0.0
			for i := range direction {
				direction[i] = float32(rng.NormFloat64())
				want += float64(direction[i]) * float64(slope[i])
			}
			const h = 2e-3
			loss := func(step float32) float64 {
				kept := append([]float32(nil), w...)
				defer copy(w, kept)
				for i, d := range direction {
					w[i] += step * d
				}
				return tuner.forward(u, partials)
			}
			got := (loss(h) - loss(-h)) / (2 * h)
			if math.Abs(got-want) > 0.02*math.Abs(want)+2e-3 {
				t.Errorf("%s part %d: the slope is %g by differences, %g by the tape", layer, part, got, want)
			}
		}
	}
}

func TestAnAdapterLearns(t *testing.T) {
	m := synthModel(t, tiny, backend.Float32)
	a := &Adapter{Rank: 4, Alpha: 4, Chunk: 300 * time.Millisecond}
	tuner, err := NewTuner(m, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	u := spoken(t, 3)
	before, err := tuner.Loss(u, "en", 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := tuner.Learn([]*Utterance{u}, "en", 0.25, 5e-3); err != nil {
			t.Fatal(err)
		}
	}
	after, _ := tuner.Loss(u, "en", 1)
	t.Logf("loss %.3f became %.3f", before, after)
	if after > 0.8*before {
		t.Errorf("the loss %g became %g", before, after)
	}
}
