package train

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/rvq/se"
)

// A trained model gets codebooks by structural entropy and a decoder for them: the
// file shares the rest with the model, tokens do not depend on the tuning, and what
// is tuned is the decoder alone.
func TestCodebooksByStructuralEntropy(t *testing.T) {
	codec := newTiny(t, tiny(), testDevice())
	for i := range 30 {
		if err := codec.Update(float64(i) / 30); err != nil {
			t.Fatal(err)
		}
	}
	base, err := codec.Checkpoint("tiny").Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	model, _, err := native.Unmarshal(base)
	if err != nil {
		t.Fatal(err)
	}
	corpus := hum(rand.New(rand.NewPCG(1, 1)))
	latents, err := Latents(model.Network, corpus, Augment{}, 900, 1, testDevice())
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, 8000)
	corpus.Draw(pcm, Augment{}, rand.New(rand.NewPCG(2, 2)))
	for _, assign := range []se.Assignment{se.Nearest, se.GameSums, se.GameExact} {
		t.Run(string(assign), func(t *testing.T) {
			r := se.Recipe{Nodes: 400, Neighbours: 3, Group: 128, Refine: 1, Disentangle: 0.001, Assign: assign, Game: se.Edges{Threshold: -1, Soft: 8}}
			built, err := BuildSE(context.Background(), base, latents, r, func(int, se.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			tokens := func(c *native.Checkpoint) []int32 {
				whole := *c
				whole.Base = nil
				data, err := whole.Marshal(true)
				if err != nil {
					t.Fatal(err)
				}
				m, err := sotto.Load(data)
				if err != nil {
					t.Fatal(err)
				}
				codes, err := m.Encode(context.Background(), pcm, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := m.Decode(context.Background(), codes); err != nil {
					t.Fatal(err)
				}
				return codes.Codes
			}
			before := tokens(built)
			c := tiny()
			c.Unquantized, c.Rates = 0, DefaultTuneConfig().Rates
			tuner, err := NewTuner(c, built, corpus, testDevice())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(tuner.Close)
			loss := map[bool]float64{}
			const updates = 40
			for i := range updates {
				if err := tuner.Update(float64(i) / updates); err != nil {
					t.Fatal(err)
				}
				for _, s := range tuner.shards {
					for k := range s.objective.Terms {
						for item, v := range s.objective.Values[k] {
							loss[i >= updates/2] += s.objective.weight(k, item) * v
						}
					}
				}
			}
			if loss[true] >= loss[false] {
				t.Errorf("loss %.4f in the second half after %.4f", loss[true], loss[false])
			}
			tuned := tuner.Checkpoint("tiny-se")
			if !slices.Equal(tokens(tuned), before) {
				t.Error("tuning the decoder changed tokens")
			}
			for i, p := range tuned.Network.Params() {
				same := slices.Equal(p.Data, model.Network.Params()[i].Data)
				if still := strings.HasPrefix(p.Name, "encoder.") || strings.HasPrefix(p.Name, "decoder.block"); same != still {
					t.Errorf("%s: unchanged is %v", p.Name, same)
				}
			}

			data, err := tuned.Marshal(true)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := native.Unmarshal(data); err == nil || !strings.Contains(err.Error(), "tiny") {
				t.Errorf("without the model it shares weights with: error %v", err)
			}
			back, fingerprint, err := native.Unmarshal(data, base)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tokens(back), before) {
				t.Error("the file gives other tokens")
			}
			if again, err := back.Marshal(true); err != nil || !slices.Equal(again, data) {
				t.Errorf("the file does not survive being read: %v", err)
			}
			if _, other, err := native.Unmarshal(must(built.Marshal(true)), base); err != nil || other == fingerprint {
				t.Errorf("tuned and untuned models have one fingerprint: %v", err)
			}
		})
	}
}

// A tuning that stops and goes on gives the weights of an unbroken one.
func TestResumedTuning(t *testing.T) {
	codec := newTiny(t, tiny(), testDevice())
	for i := range 12 {
		if err := codec.Update(float64(i) / 12); err != nil {
			t.Fatal(err)
		}
	}
	model, _, err := native.Unmarshal(must(codec.Checkpoint("tiny").Marshal(true)))
	if err != nil {
		t.Fatal(err)
	}
	c := tiny()
	c.Average = 0.9
	corpus := hum(rand.New(rand.NewPCG(1, 1)))
	start := func() *Codec {
		tuner, err := NewTuner(c, model, corpus, testDevice())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tuner.Close)
		return tuner
	}
	whole, first, second := start(), start(), start()
	path := filepath.Join(t.TempDir(), CheckpointName)
	for i := range 20 {
		part := second
		if i < 9 {
			part = first
		} else if i == 9 {
			if err := first.Save(path); err != nil {
				t.Fatal(err)
			}
			if err := second.Load(path); err != nil {
				t.Fatal(err)
			}
		}
		for _, tuner := range []*Codec{whole, part} {
			if err := tuner.Update(float64(i) / 20); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range whole.Network.Params() {
		if !slices.Equal(p.Data, second.Network.Params()[i].Data) {
			t.Fatalf("%s differs after a pause", p.Name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
