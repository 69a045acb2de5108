package train

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/weights"
)

// Save writes everything that a run needs to go on as if it had not stopped: a
// safetensors file whose metadata hold the counters and the sum of its arrays.
func (t *Codec) Save(path string) (err error) {
	defer backend.Recover(&err)
	config, err := json.Marshal(t.Config)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	source, err := t.source.MarshalBinary()
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	f := &weights.File{Tensors: map[string]weights.Tensor{}}
	put := func(name string, data []float32, shape ...int) {
		if len(data) > 0 {
			f.Tensors[name] = weights.Tensor{Shape: shape, Data: data}
		}
	}
	for _, w := range t.weights() {
		m := t.solver.Moments(w)
		put("weight."+w.Name, w.Data, w.Shape...)
		put("mean."+w.Name, m[0], w.Shape...)
		put("square."+w.Name, m[1], w.Shape...)
		put("average."+w.Name, t.average[w.Name], w.Shape...)
	}
	if t.adversary != nil {
		t.adversary.arrays(put)
	}
	put("latents", t.latents, len(t.latents))
	if t.quantizer.Started() {
		counts, sums := t.quantizer.State()
		for name, data := range map[string][]float32{
			"entries": t.quantizer.Entries(), "counts": slices.Concat(counts...), "sums": slices.Concat(sums...),
		} {
			put("codebooks."+name, data, len(data))
		}
	}
	sum := f.Sum()
	f.Metadata = map[string]string{
		"kind": checkpointKind, "config": string(config), "sum": hex.EncodeToString(sum[:]),
		"step": strconv.Itoa(t.Step), "updates": strconv.Itoa(t.solver.AdamW.Step),
		"elapsed": t.Elapsed.String(), "source": hex.EncodeToString(source),
	}
	if t.adversary != nil {
		f.Metadata["adversary_updates"] = strconv.Itoa(t.adversary.solver.AdamW.Step)
	}
	if t.balancer != nil {
		averages, err := json.Marshal(t.balancer.averages)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		f.Metadata["balancer"] = string(averages)
	}
	data, err := f.Bytes(false)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return WriteFile(path, data)
}

const checkpointKind = "sotto training checkpoint 1"

// readCheckpoint reads the file and its recipe.
func readCheckpoint(path string) (*weights.File, CodecConfig, error) {
	c := DefaultCodecConfig()
	f, err := openCheckpoint(path, checkpointKind, &c)
	return f, c, err
}

// openCheckpoint reads a checkpoint of a kind, holds it to its sum, and reads its
// recipe into config.
func openCheckpoint(path, kind string, config any) (*weights.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: checkpoint: %w", err)
	}
	f, err := weights.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("train: checkpoint %s: %w", path, err)
	}
	if got := f.Metadata["kind"]; got != kind {
		return nil, fmt.Errorf("train: %s is no %s, but %q", path, kind, got)
	}
	if sum := f.Sum(); hex.EncodeToString(sum[:]) != f.Metadata["sum"] {
		return nil, fmt.Errorf("train: checkpoint %s is damaged: its sum does not match", path)
	}
	if err := json.Unmarshal([]byte(f.Metadata["config"]), config); err != nil {
		return nil, fmt.Errorf("train: checkpoint %s: recipe: %w", path, err)
	}
	return f, nil
}

// CheckpointConfig gives the recipe of a checkpoint.
func CheckpointConfig(path string) (CodecConfig, error) {
	_, c, err := readCheckpoint(path)
	return c, err
}

// Load continues from a checkpoint of a model of the same shape.
func (t *Codec) Load(path string) (err error) {
	defer backend.Recover(&err)
	f, _, err := readCheckpoint(path)
	if err != nil {
		return err
	}
	fill := func(name string, into []float32) error {
		v := f.Tensors[name].Data
		if len(v) != len(into) {
			return fmt.Errorf("train: checkpoint %s: %q has %d values, this model needs %d", path, name, len(v), len(into))
		}
		copy(into, v)
		return nil
	}
	for _, w := range t.weights() {
		m := t.solver.Moments(w)
		for name, into := range map[string][]float32{"weight.": w.Data, "mean.": m[0], "square.": m[1]} {
			if err := fill(name+w.Name, into); err != nil {
				return err
			}
		}
		w.Changed()
		if a := f.Tensors["average."+w.Name].Data; len(a) == len(w.Data) {
			if t.average == nil {
				t.average = map[string][]float32{}
			}
			t.average[w.Name] = a
		}
	}
	if err := t.loadAdversary(f, path, fill); err != nil {
		return err
	}
	t.latents = f.Tensors["latents"].Data
	if entries := f.Tensors["codebooks.entries"].Data; entries != nil {
		q := t.Config.Model.Quantizer
		counts, sums := f.Tensors["codebooks.counts"].Data, f.Tensors["codebooks.sums"].Data
		if len(counts) != q.Codebooks()*q.Size || len(sums) != len(entries) || len(entries) != len(counts)*q.Dim/q.Groups {
			return fmt.Errorf("train: checkpoint %s: its codebooks have another shape", path)
		}
		t.quantizer.Load(entries, split(counts, q.Codebooks()), split(sums, q.Codebooks()))
	}
	source, err := hex.DecodeString(f.Metadata["source"])
	if err == nil {
		err = t.source.UnmarshalBinary(source)
	}
	if err == nil {
		t.Step, err = strconv.Atoi(f.Metadata["step"])
	}
	if err == nil {
		t.solver.AdamW.Step, err = strconv.Atoi(f.Metadata["updates"])
	}
	if err == nil {
		t.Elapsed, err = time.ParseDuration(f.Metadata["elapsed"])
	}
	if err != nil {
		return fmt.Errorf("train: checkpoint %s: counters: %w", path, err)
	}
	return nil
}

// loadAdversary reads discriminators and balancer, where this recipe has them and
// the checkpoint's had; otherwise they start here.
func (t *Codec) loadAdversary(f *weights.File, path string, fill func(name string, into []float32) error) (err error) {
	if updates, ok := f.Metadata["adversary_updates"]; ok && t.adversary != nil {
		t.adversary.arrays(func(name string, into []float32, _ ...int) {
			if err == nil {
				err = fill(name, into)
			}
		})
		if err != nil {
			return err
		}
		if t.adversary.solver.AdamW.Step, err = strconv.Atoi(updates); err != nil {
			return fmt.Errorf("train: checkpoint %s: discriminators: %w", path, err)
		}
		t.adversary.changed()
	}
	if averages, ok := f.Metadata["balancer"]; ok && t.balancer != nil {
		clear(t.balancer.averages)
		if err := json.Unmarshal([]byte(averages), &t.balancer.averages); err != nil {
			return fmt.Errorf("train: checkpoint %s: balancer: %w", path, err)
		}
	}
	return nil
}

// split cuts v into n equal parts.
func split(v []float32, n int) [][]float32 {
	var parts [][]float32
	for part := range slices.Chunk(v, len(v)/n) {
		parts = append(parts, part)
	}
	return parts
}

// Restart begins a new schedule with the weights and codebooks at hand.
func (t *Codec) Restart() {
	t.Step, t.Elapsed, t.latents, t.average = 0, 0, nil, nil
	t.solver = NewAdamW(t.device, t.solver.AdamW, t.solver.Clip)
	t.solver.AdamW.Step = 0
	if t.adversary != nil {
		t.adversary.restart()
	}
	if t.balancer != nil {
		clear(t.balancer.averages)
	}
}
