package whisper

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/weights"
)

// The weights of testdata/synth.py, which see.

func uniform(name string, n int) []float32 {
	h := uint64(0xCBF29CE484222325)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 0x100000001B3
	}
	v := make([]float32, n)
	for i := range v {
		h += 0x9E3779B97F4A7C15
		z := h
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		v[i] = 2*(float32(z>>40)/(1<<24)) - 1
	}
	return v
}

func synthTensor(name string, shape []int) weights.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t := weights.Tensor{Shape: shape}
	if name == "encoder.positional_embedding" {
		t.Data = sinusoids(shape[0], shape[1])
		return t
	}
	t.Data = uniform(name, n)
	parts := strings.Split(name, ".")
	last := parts[len(parts)-1]
	layer := last
	if len(parts) > 1 {
		layer = parts[len(parts)-2]
	}
	mean, std := float32(0), 0.0
	switch {
	case layer == "token_embedding":
		if std = 0.5; shape[1] >= 100 {
			std = 3.5 / math.Sqrt(float64(shape[1]))
		}
	case last == "positional_embedding":
		if std = 2.4; shape[1] >= 100 {
			std = 9.6
		}
	case strings.Contains(layer, "ln") && last == "weight":
		mean, std = 1, 0.1
	case last == "bias":
		std = 0.1
	default:
		gain, ok := map[string]float64{"query": 2, "key": 2, "value": 1.5, "out": 1.5, "0": 1, "2": 1.5}[layer]
		if !ok {
			gain = 1.5
		}
		std = gain / math.Sqrt(float64(n/shape[0]))
	}
	scale := float32(std * math.Sqrt(3))
	for i, v := range t.Data {
		t.Data[i] = mean + float32(scale*v)
	}
	if layer == "token_embedding" && shape[0] > 51000 {
		for i := n - timestampTokens*shape[1]; i < n; i++ {
			t.Data[i] *= 1.125
		}
	}
	return t
}

func sinusoids(length, channels int) []float32 {
	step := math.Log(10000) / float64(channels/2-1)
	v := make([]float32, length*channels)
	for t := range length {
		for i := range channels / 2 {
			x := float64(float32(t) * float32(math.Exp(float64(float32(-step)*float32(i)))))
			v[t*channels+i], v[t*channels+channels/2+i] = float32(math.Sin(x)), float32(math.Cos(x))
		}
	}
	return v
}

// synthShapes lists the tensors of a model.
func synthShapes(d dims) map[string][]int {
	w := d.AudioWidth
	s := map[string][]int{
		"encoder.conv1.weight": {w, d.Mels, 3}, "encoder.conv1.bias": {w}, "encoder.conv2.weight": {w, w, 3}, "encoder.conv2.bias": {w},
		"encoder.positional_embedding": {d.AudioContext, w}, "encoder.ln_post.weight": {w}, "encoder.ln_post.bias": {w},
		"decoder.token_embedding.weight": {d.Vocabulary, w}, "decoder.positional_embedding": {d.TextContext, w},
		"decoder.ln.weight": {w}, "decoder.ln.bias": {w},
	}
	attention := func(name string) {
		for _, p := range []string{"query", "key", "value", "out"} {
			s[name+"."+p+".weight"] = []int{w, w}
			if p != "key" {
				s[name+"."+p+".bias"] = []int{w}
			}
		}
		s[name+"_ln.weight"], s[name+"_ln.bias"] = []int{w}, []int{w}
	}
	for side, layers := range map[string]int{"encoder": d.AudioLayers, "decoder": d.TextLayers} {
		for i := range layers {
			b := fmt.Sprintf("%s.blocks.%d", side, i)
			attention(b + ".attn")
			if side == "decoder" {
				attention(b + ".cross_attn")
			}
			s[b+".mlp.0.weight"], s[b+".mlp.0.bias"] = []int{4 * w, w}, []int{4 * w}
			s[b+".mlp.2.weight"], s[b+".mlp.2.bias"] = []int{w, 4 * w}, []int{w}
			s[b+".mlp_ln.weight"], s[b+".mlp_ln.bias"] = []int{w}, []int{w}
		}
	}
	return s
}

func synthCheckpoint(d dims) *checkpoint {
	shapes := synthShapes(d)
	return &checkpoint{dims: d, read: func(name string) (weights.Tensor, error) {
		shape, ok := shapes[name]
		if !ok {
			return weights.Tensor{}, fmt.Errorf("there is no tensor %q", name)
		}
		return synthTensor(name, shape), nil
	}}
}

// sizes are dims as fixtures have them.
type sizes struct {
	Mels         int `json:"n_mels"`
	AudioContext int `json:"n_audio_ctx"`
	AudioWidth   int `json:"n_audio_state"`
	AudioHeads   int `json:"n_audio_head"`
	AudioLayers  int `json:"n_audio_layer"`
	Vocabulary   int `json:"n_vocab"`
	TextContext  int `json:"n_text_ctx"`
	TextWidth    int `json:"n_text_state"`
	TextHeads    int `json:"n_text_head"`
	TextLayers   int `json:"n_text_layer"`
}

var threads = sync.OnceValue(func() *cpu.Backend { return cpu.New(0) })

func synthModel(t testing.TB, d dims, p backend.Precision) *Model {
	t.Helper()
	m, err := newModel(synthCheckpoint(d), threads(), p, nil)
	if err == nil {
		err = m.ready()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// recording reads files of the samples folder, one after the other.
func recording(t testing.TB, names ...string) []float32 {
	t.Helper()
	var all []float32
	for _, name := range names {
		a, err := audio.ReadMono("../../samples/"+name, SampleRate)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a...)
	}
	return all
}
