package native

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/weights"
	"github.com/sotto-audio/sotto/rvq"
	"github.com/sotto-audio/sotto/rvq/se"
)

// gamed is a model that shares weights with base and has codebooks of different
// sizes, with both games.
func gamed(t testing.TB, base []byte) *Checkpoint {
	t.Helper()
	model, fingerprint, err := Unmarshal(base)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	c := model.Network.Quantizer
	dim := c.Dim / c.Groups
	var books [][]float32
	var games []rvq.Game
	c.Size = 0
	for i := range c.Codebooks() {
		x := make([]float32, (60+10*i)*dim)
		for k := range x {
			x[k] = float32(rng.NormFloat64())
		}
		f, err := se.NewFrames(x, dim, se.Edges{Threshold: -1, Soft: 4})
		if err != nil {
			t.Fatal(err)
		}
		clusters, err := se.Cluster(t.Context(), f.Neighbours(3), 1024, nil)
		if err != nil {
			t.Fatal(err)
		}
		sums, err := se.NewSums(f, clusters)
		if err != nil {
			t.Fatal(err)
		}
		books = append(books, x[:len(clusters)*dim])
		games = append(games, []rvq.Game{sums, se.NewMembers(f, clusters), nil}[i%3])
		c.Size = max(c.Size, len(clusters))
	}
	q, err := rvq.NewSized(c, books)
	if err != nil {
		t.Fatal(err)
	}
	network := *model.Network
	network.Quantizer = c
	return &Checkpoint{Name: "gamed", Network: &network, Quantizer: q.WithGames(games), Base: &Base{model.Name, fingerprint, model.Network}}
}

func TestQuantizersOfManySizesRoundTrip(t *testing.T) {
	base, err := small(t, 3).Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	c := gamed(t, base)
	data, err := c.Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > len(base)/2 {
		t.Errorf("%d bytes beside a model of %d: nothing is shared", len(data), len(base))
	}
	if _, _, err := Unmarshal(data, []byte{}, base); err == nil {
		t.Error("a damaged base is passed over")
	}
	back, sum, err := Unmarshal(data, base)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Quantizer.Sizes(), c.Quantizer.Sizes()) {
		t.Errorf("sizes %v, want %v", back.Quantizer.Sizes(), c.Quantizer.Sizes())
	}
	if again, err := back.Marshal(true); err != nil || !slices.Equal(again, data) {
		t.Errorf("the file changes when it is read and written: %v", err)
	}
	// Codes of the file that was read are those of the same file read again.
	z := make([]float32, 40*c.Network.Quantizer.Dim)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range z {
		z[i] = float32(rng.NormFloat64())
	}
	levels := c.Network.Quantizer.Levels
	codes, more := make([]int32, 40*c.Quantizer.Codebooks()), make([]int32, 40*c.Quantizer.Codebooks())
	back.Quantizer.On(nil).Encode(codes, z, levels)
	whole := *back
	whole.Base = nil
	wide, err := whole.Marshal(false)
	if err != nil {
		t.Fatal(err)
	}
	alone, other, err := Unmarshal(wide)
	if err != nil {
		t.Fatal(err)
	}
	alone.Quantizer.On(nil).Encode(more, z, levels)
	if !slices.Equal(codes, more) {
		t.Error("the whole file gives other codes than the one that shares")
	}
	if other != sum {
		t.Error("the same weights have two fingerprints, alone and shared")
	}
	for i, p := range alone.Network.Params() {
		if !slices.Equal(p.Data, back.Network.Params()[i].Data) {
			t.Errorf("%s differs", p.Name)
		}
	}
}

func TestDamagedQuantizersAreRefused(t *testing.T) {
	base, _ := small(t, 3).Marshal(true)
	good, err := gamed(t, base).Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string]func(f *weights.File){
		"quantizer in the metadata": func(f *weights.File) { f.Metadata[quantizerKey] = "{" },
		"describe 1 codebooks":      func(f *weights.File) { f.Metadata[quantizerKey] = `[{"size":5}]` },
		"has shape":                 func(f *weights.File) { delete(f.Tensors, bookTensor(0, "bias")) },
		"quantizer.1.entries":       func(f *weights.File) { delete(f.Tensors, bookTensor(1, "entries")) },
		"are not known": func(f *weights.File) {
			f.Metadata[quantizerKey] = strings.Replace(f.Metadata[quantizerKey], `"sums"`, `"dice"`, 1)
		},
		"has volume": func(f *weights.File) {
			f.Metadata[quantizerKey] = strings.Replace(f.Metadata[quantizerKey], `"total":`, `"total":-`, 1)
		},
		"use the version": func(f *weights.File) { f.Metadata[baseKey] = "0123456789abcdef" },
		"differs from": func(f *weights.File) {
			f.Metadata["config"] = strings.Replace(f.Metadata["config"], `"width":24`, `"width":25`, 1)
		},
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
		if _, _, err := Unmarshal(data, base); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}
