package native

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/weights"
	"github.com/sotto-audio/sotto/rvq"
)

// small is a model of the default shape with fewer channels and random weights.
func small(t testing.TB, seed uint64) *Checkpoint {
	t.Helper()
	c := DefaultConfig()
	c.Width, c.Quantizer.Size, c.Quantizer.Dim = 24, 32, 16
	n, err := NewNetwork(c)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	n.Init(rng)
	entries := make([]float32, c.Quantizer.Codebooks()*c.Quantizer.Size*c.Quantizer.Dim/c.Quantizer.Groups)
	for i := range entries {
		entries[i] = float32(rng.NormFloat64())
	}
	q, err := rvq.New(c.Quantizer, entries)
	if err != nil {
		t.Fatal(err)
	}
	return &Checkpoint{Name: "small", Network: n, Quantizer: q}
}

func TestCheckpointRoundTrip(t *testing.T) {
	c := small(t, 3)
	data, err := c.Marshal(false)
	if err != nil {
		t.Fatal(err)
	}
	back, sum, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Name != c.Name || back.Network.Config != c.Network.Config {
		t.Errorf("got %q %+v", back.Name, back.Network.Config)
	}
	for i, p := range c.Network.Params() {
		if !slices.Equal(p.Data, back.Network.Params()[i].Data) {
			t.Errorf("%s changed", p.Name)
		}
	}
	if !slices.Equal(c.Quantizer.Entries(), back.Quantizer.Entries()) {
		t.Error("codebooks changed")
	}
	half, err := c.Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	h1, sumHalf, err := Unmarshal(half)
	if err != nil {
		t.Fatal(err)
	}
	wide, _ := h1.Marshal(false)
	if _, again, _ := Unmarshal(wide); again != sumHalf || sumHalf == sum {
		t.Errorf("fingerprints %v (float32), %v (float16), %v (float16 widened): the last two must agree", sum, sumHalf, again)
	}
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	good, _ := small(t, 3).Marshal(true)
	for name, edit := range map[string]func(f *weights.File){
		"of family":     func(f *weights.File) { f.Metadata["family"] = "encodec" },
		"configuration": func(f *weights.File) { f.Metadata["config"] = "{" },
		"out of range":  func(f *weights.File) { f.Metadata["config"] = `{"width":1000000000}` },
		"depthwise.weight": func(f *weights.File) {
			c := small(t, 3).Network.Config
			c.Taps = 1 << 14
			config, _ := json.Marshal(c)
			f.Metadata["config"] = string(config)
		},
		"decoder.norm.gamma":  func(f *weights.File) { delete(f.Tensors, "decoder.norm.gamma") },
		"quantizer.codebooks": func(f *weights.File) { delete(f.Tensors, codebooksName) },
	} {
		f, err := weights.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		edit(f)
		data, err := f.Bytes(true)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Unmarshal(data); err == nil || !strings.Contains(err.Error(), name) && name != "quantizer.codebooks" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	good, _ := small(f, 3).Marshal(true)
	f.Add(good)
	f.Add(good[:100])
	if more, err := gamed(f, good).Marshal(true); err == nil {
		f.Add(more)
	}
	f.Fuzz(func(t *testing.T, data []byte) { Unmarshal(data, good) })
}
