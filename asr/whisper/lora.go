package whisper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/weights"
)

// Adapter changes matrices of a checkpoint by products of low rank (Hu et al.
// 2021, LoRA): W + (Alpha/Rank)·B·A, for queries, keys, values and outputs of
// attention. Its file is one of PEFT, with what a causal adapter was trained for in
// its metadata.
type Adapter struct {
	Rank  int
	Alpha float64
	// Chunk is what it was trained for, 0 where it is not for causal use; Startup is
	// the number of further chunks that the first one waits for.
	Chunk   time.Duration
	Startup int

	updates map[string]*update // by the layer's name in the original code
}

// update is B·A: A [rank, in], B [out, rank].
type update struct {
	in, out int
	a, b    []float32
}

// Keys of an adapter's metadata.
const (
	adapterFamily = "whisper-adapter"
	keyFamily     = "family"
	keyAlpha      = "lora_alpha"
	keyChunk      = "chunk_ms"
	keyStartup    = "startup_chunks"
)

const adapterPrefix = "base_model.model."

// LoadAdapter reads an adapter: a safetensors file, or a folder of PEFT with
// adapter_model.safetensors and adapter_config.json.
func LoadAdapter(path string) (*Adapter, error) {
	file := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file = filepath.Join(path, "adapter_model.safetensors")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("whisper: %w", err)
	}
	var config struct {
		Alpha float64 `json:"lora_alpha"`
	}
	if err := readJSON(filepath.Join(filepath.Dir(file), "adapter_config.json"), &config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("whisper: %s: %w", path, err)
	}
	a, err := parseAdapter(data, config.Alpha)
	if err != nil {
		return nil, fmt.Errorf("whisper: %s: %w", path, err)
	}
	return a, nil
}

// parseAdapter reads an adapter's file; alpha is that of its folder, if any.
func parseAdapter(data []byte, alpha float64) (*Adapter, error) {
	f, err := weights.Parse(data)
	if err != nil {
		return nil, err
	}
	a := &Adapter{Alpha: alpha, updates: map[string]*update{}}
	for name, t := range f.Tensors {
		layer, part, ok := adapterName(name)
		if !ok || len(t.Shape) != 2 {
			return nil, fmt.Errorf("tensor %q is no part of an adapter for attention", name)
		}
		u := a.updates[layer]
		if u == nil {
			u = &update{}
			a.updates[layer] = u
		}
		rank := t.Shape[0]
		if part == "A" {
			u.in, u.a = t.Shape[1], t.Data
		} else {
			rank = t.Shape[1]
			u.out, u.b = t.Shape[0], t.Data
		}
		if a.Rank == 0 {
			a.Rank = rank
		}
		if rank != a.Rank || rank == 0 {
			return nil, fmt.Errorf("tensor %q has the rank %d, others %d", name, rank, a.Rank)
		}
	}
	if len(a.updates) == 0 {
		return nil, errors.New("it holds no adapter")
	}
	for layer, u := range a.updates {
		if u.a == nil || u.b == nil {
			return nil, fmt.Errorf("a half of %q is missing", layer)
		}
	}
	return a, a.readMetadata(f.Metadata)
}

func (a *Adapter) readMetadata(meta map[string]string) error {
	number := func(key string, usual float64) (float64, error) {
		text, ok := meta[key]
		if !ok {
			return usual, nil
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v < 0 || v > 1e6 {
			return 0, fmt.Errorf("its %s is %q", key, text)
		}
		return v, nil
	}
	if a.Alpha == 0 {
		a.Alpha = float64(a.Rank)
	}
	var err error
	if a.Alpha, err = number(keyAlpha, a.Alpha); err != nil {
		return err
	}
	chunk, err := number(keyChunk, 0)
	if err != nil {
		return err
	}
	startup, err := number(keyStartup, 0)
	if err != nil {
		return err
	}
	a.Chunk, a.Startup = time.Duration(chunk)*time.Millisecond, int(startup)
	if a.Chunk%positionTime != 0 || a.Chunk > windows || a.Startup > 1000 {
		return fmt.Errorf("its chunk is %v and its start waits for %d more", a.Chunk, a.Startup)
	}
	return nil
}

// Bytes gives the adapter's file.
func (a *Adapter) Bytes() ([]byte, error) {
	f := &weights.File{
		Metadata: map[string]string{
			keyFamily: adapterFamily, keyAlpha: strconv.FormatFloat(a.Alpha, 'g', -1, 64),
			keyChunk: strconv.Itoa(int(a.Chunk.Milliseconds())), keyStartup: strconv.Itoa(a.Startup),
		},
		Tensors: map[string]weights.Tensor{},
	}
	for layer, u := range a.updates {
		name := adapterPrefix + transformersName(layer)
		f.Tensors[name+".lora_A.weight"] = weights.Tensor{Shape: []int{a.Rank, u.in}, Data: u.a}
		f.Tensors[name+".lora_B.weight"] = weights.Tensor{Shape: []int{u.out, a.Rank}, Data: u.b}
	}
	return f.Bytes(false)
}

// Config gives adapter_config.json, with which PEFT reads the file.
func (a *Adapter) Config() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"peft_type": "LORA", "task_type": nil, "bias": "none", "r": a.Rank, "lora_alpha": a.Alpha, "lora_dropout": 0,
		"target_modules": []string{"q_proj", "k_proj", "v_proj", "out_proj"},
	}, "", "  ")
}

// adapterName takes the name of a tensor of an adapter apart.
func adapterName(name string) (layer, part string, ok bool) {
	name = strings.TrimPrefix(name, adapterPrefix)
	for _, p := range []string{"A", "B"} {
		if base, found := strings.CutSuffix(name, ".lora_"+p+".weight"); found {
			layer, found = strings.CutSuffix(originalName(base+".weight"), ".weight")
			return layer, p, found && strings.Contains(layer, "attn.")
		}
	}
	return "", "", false
}

// transformersName is the inverse of originalName for a layer of attention.
func transformersName(layer string) string {
	p := strings.Split(layer, ".") // encoder.blocks.0.attn.query
	attention := map[string]string{"attn": "self_attn", "cross_attn": "encoder_attn"}[p[3]]
	projection := map[string]string{"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}[p[4]]
	return strings.Join([]string{"model", p[0], "layers", p[2], attention, projection}, ".")
}

// fits reports an adapter that is for another model.
func (a *Adapter) fits(d dims) error {
	for _, layer := range slices.Sorted(maps.Keys(a.updates)) {
		u := a.updates[layer]
		p := strings.Split(layer, ".")
		i, err := strconv.Atoi(p[2])
		if err != nil || u.in != d.AudioWidth || u.out != d.AudioWidth ||
			p[0] == "encoder" && i >= d.AudioLayers || p[0] == "decoder" && i >= d.TextLayers {
			return fmt.Errorf("the adapter is for another model: it changes %s [%d, %d]", layer, u.out, u.in)
		}
	}
	return nil
}

// merge adds the update of a layer, if there is one, to its matrix [out, in].
func (a *Adapter) merge(b backend.Backend, layer string, w []float32, out, in int) {
	u := a.updates[layer]
	if u == nil {
		return
	}
	scaled := make([]float32, len(u.b))
	for i, v := range u.b {
		scaled[i] = v * float32(a.Alpha/float64(a.Rank))
	}
	product := b.New(out, in)
	b.MatMul(product, backend.Host(scaled, out, a.Rank), b.Pack(u.a, a.Rank, in), backend.Epilogue{})
	backend.Wait(b)
	for i, v := range product.Data {
		w[i] += v
	}
}
