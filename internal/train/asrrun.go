package train

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/weights"
)

// ASRRunConfig says how long a run lasts and what it leaves behind.
type ASRRunConfig struct {
	Dir        string // of checkpoint.safetensors and log.jsonl
	Features   string // folder that is looked through for more after each validation
	Steps      int    // updates in all, or
	Time       time.Duration
	LogEvery   int
	SaveEvery  time.Duration
	ValidEvery time.Duration
	Progress   io.Writer
}

// Run trains until the end of the schedule or of the context, and leaves a
// checkpoint in both cases.
func (t *ASR) Run(ctx context.Context, c ASRRunConfig) (err error) {
	defer backend.Recover(&err)
	file, err := openLog(c.Dir, t.Step)
	if err != nil {
		return err
	}
	defer file.Close()
	log := json.NewEncoder(file)
	for source, all := range t.data.Train {
		fmt.Fprintf(c.Progress, "%s: %d utterances, %.2f h\n", source, len(all), hours(all))
	}
	begin := time.Now().Add(-t.Elapsed)
	saved, validated := time.Now(), time.Now()
	m := &asrMeans{begin: time.Now()}
	for {
		t.Elapsed = time.Since(begin)
		progress := float64(t.Step) / float64(max(1, c.Steps))
		if c.Steps == 0 {
			progress = float64(t.Elapsed) / float64(c.Time)
		}
		pause := time.Now()
		over := progress >= 1 || ctx.Err() != nil
		if over && ctx.Err() == nil || time.Since(validated) >= c.ValidEvery {
			record := Record{Step: t.Step, Seconds: t.Elapsed.Seconds(), AudioSeconds: t.Audio}
			if t.Config.Rebuild {
				record.Rebuilt, err = t.ValidateRebuilt()
			} else {
				record.Recognised, err = t.Validate()
			}
			if err != nil {
				return err
			}
			if err := log.Encode(record); err != nil {
				return fmt.Errorf("train: log: %w", err)
			}
			for _, s := range record.Recognised {
				fmt.Fprintf(c.Progress, "step %d  %s chunk %d levels %d: WER %.3f CER %.3f  %s\n", t.Step, s.Source, s.Chunk, s.Levels, s.WER, s.CER, s.Example)
			}
			for _, source := range slices.Sorted(maps.Keys(record.Rebuilt)) {
				e := record.Rebuilt[source]
				fmt.Fprintf(c.Progress, "step %d  %s: latents are %.3f away, rebuilt %.3f\n", t.Step, source, e.Altered, e.Rebuilt)
			}
			if err := t.More(c.Features); err != nil {
				return err
			}
			validated = time.Now()
		}
		if over || time.Since(saved) >= c.SaveEvery {
			if err := t.Save(filepath.Join(c.Dir, CheckpointName)); err != nil {
				return err
			}
			saved = time.Now()
		}
		if over {
			return nil
		}
		m.begin = m.begin.Add(time.Since(pause))
		if err := t.Update(progress); err != nil {
			return err
		}
		m.add(t)
		if t.Step%c.LogEvery == 0 {
			t.Elapsed = time.Since(begin)
			record := m.record(t)
			if err := log.Encode(record); err != nil {
				return fmt.Errorf("train: log: %w", err)
			}
			left := c.Time - t.Elapsed
			if c.Steps > 0 {
				left = time.Duration(float64(t.Elapsed) * (1 - progress) / max(progress, 1e-9))
			}
			loss := fmt.Sprintf("ctc %.3f  middle %.3f", record.Losses["ctc"], record.Losses["middle"])
			if t.Config.Rebuild {
				loss = fmt.Sprintf("rebuild %.4f", record.Losses["rebuild"])
			}
			fmt.Fprintf(c.Progress, "step %d  %s  lr %.2g  norm %.2f  padding %.1f%%  %.0f audio-s/s  %s left\n",
				t.Step, loss, record.Rate, record.GradNorm, 100*t.Padding, record.Speed, left.Round(time.Second))
			m = &asrMeans{begin: time.Now()}
		}
	}
}

// asrMeans gathers what a log line reports.
type asrMeans struct {
	begin                        time.Time
	loss, middle, norm, n, audio float64
}

func (m *asrMeans) add(t *ASR) {
	for _, s := range t.shards {
		m.loss += s.Loss
		m.middle += s.Middle
		m.audio += s.Seconds
		t.Audio += s.Seconds
		m.n++
	}
	m.norm += t.solver.Norm * float64(len(t.shards))
}

func (m *asrMeans) record(t *ASR) Record {
	losses := map[string]float64{"ctc": m.loss / m.n, "middle": m.middle / m.n}
	if t.Config.Rebuild {
		losses = map[string]float64{"rebuild": m.loss / m.n}
	}
	return Record{
		Step: t.Step, Seconds: t.Elapsed.Seconds(), AudioSeconds: t.Audio,
		Losses: losses,
		Rate:   float64(t.solver.LR), GradNorm: m.norm / m.n, Skipped: t.solver.Skipped,
		Padding: t.Padding, Speed: m.audio / time.Since(m.begin).Seconds(),
	}
}

const asrCheckpointKind = "sotto recogniser training checkpoint 1"

// Save writes what a run needs to go on.
func (t *ASR) Save(path string) (err error) {
	defer backend.Recover(&err)
	config, err := json.Marshal(t.Config)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	f := &weights.File{Tensors: map[string]weights.Tensor{}}
	put := func(name string, p *nn.Param, data []float32) {
		if data != nil {
			f.Tensors[name+"."+p.Name] = weights.Tensor{Shape: p.Shape, Data: data}
		}
	}
	for _, p := range t.Network.Params() {
		put("weight", p, p.Data)
		put("average", p, t.average[p.Name])
	}
	for _, w := range t.trained {
		m := t.solver.Moments(w)
		put("weight", w.Param, w.Data)
		put("mean", w.Param, m[0])
		put("square", w.Param, m[1])
	}
	if t.lora != nil {
		for _, a := range t.lora.adapters {
			put("base", a.full.Param, a.base)
		}
	}
	sum := f.Sum()
	f.Metadata = map[string]string{
		"kind": asrCheckpointKind, "config": string(config), "sum": hex.EncodeToString(sum[:]),
		"codec": t.data.codec.Info().Fingerprint.String(), "step": strconv.Itoa(t.Step),
		"updates": strconv.Itoa(t.solver.AdamW.Step), "elapsed": t.Elapsed.String(),
		"audio": strconv.FormatFloat(t.Audio, 'g', -1, 64),
	}
	data, err := f.Bytes(false)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return WriteFile(path, data)
}

// readASRCheckpoint reads the file and its recipe.
func readASRCheckpoint(path string) (*weights.File, ASRConfig, error) {
	var c ASRConfig
	f, err := openCheckpoint(path, asrCheckpointKind, &c)
	return f, c, err
}

// ASRCheckpointConfig gives the recipe of a checkpoint.
func ASRCheckpointConfig(path string) (ASRConfig, error) {
	_, c, err := readASRCheckpoint(path)
	return c, err
}

// ASRInitConfig gives the recipe to begin from a file with: that of a checkpoint, or
// the default one with the shape of a released model. What a network warmed up with
// is not what it goes on with.
func ASRInitConfig(path string) (ASRConfig, error) {
	released, err := readReleased(path)
	if err != nil {
		return ASRConfig{}, err
	}
	if released == nil {
		c, err := ASRCheckpointConfig(path)
		c.Rebuild = false
		return c, err
	}
	c := DefaultASRConfig()
	c.Model = released.Network.Config
	return c, nil
}

// readReleased reads a released recogniser, and gives nil for other files.
func readReleased(path string) (*recognizer.Checkpoint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	f, err := weights.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	if f.Metadata["family"] != recognizer.Family {
		return nil, nil
	}
	model, _, err := recognizer.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	return model, nil
}

// Begin starts a new schedule from the file at path: from a checkpoint's average of
// weights, or from a released model, whose score half way starts anew.
func (t *ASR) Begin(path string) (err error) {
	defer backend.Recover(&err)
	released, err := readReleased(path)
	if err != nil {
		return err
	}
	if released == nil {
		return t.Load(path, true)
	}
	from, to := released.Network.Params(), t.Network.Params()
	for i := range len(from) - len(released.Network.Middle.Params()) {
		if len(from[i].Data) != len(to[i].Data) {
			return fmt.Errorf("train: %s: %q has %d values, the recipe's network needs %d", path, from[i].Name, len(from[i].Data), len(to[i].Data))
		}
		copy(to[i].Data, from[i].Data)
		to[i].Changed()
	}
	return t.adapt()
}

// Load continues from a checkpoint. With fresh, a new schedule begins from its
// average of weights; the last matrix starts anew where the checkpoint's had another
// task.
func (t *ASR) Load(path string, fresh bool) (err error) {
	defer backend.Recover(&err)
	f, from, err := readASRCheckpoint(path)
	if err != nil {
		return err
	}
	var anew []*nn.Param
	if from.Rebuild != t.Config.Rebuild {
		if !fresh {
			return fmt.Errorf("train: checkpoint %s: the recipe cannot change its task (rebuild) within a run: begin a new one with --init", path)
		}
		anew = nn.Params(t.Network.Output, t.Network.Middle)
	}
	get := func(name string, p *nn.Param, into []float32) error {
		v := f.Tensors[name+"."+p.Name].Data
		if len(v) != len(into) {
			return fmt.Errorf("train: checkpoint %s: %q has %d values, this model needs %d", path, p.Name, len(v), len(into))
		}
		copy(into, v)
		return nil
	}
	for _, p := range t.Network.Params() {
		if slices.Contains(anew, p) {
			continue
		}
		if !fresh || get("average", p, p.Data) != nil {
			if err := get("weight", p, p.Data); err != nil {
				return err
			}
		}
		p.Changed()
	}
	if err := t.adapt(); err != nil || fresh {
		return err
	}
	for _, w := range t.trained {
		m := t.solver.Moments(w)
		for name, into := range map[string][]float32{"weight": w.Data, "mean": m[0], "square": m[1]} {
			if err := get(name, w.Param, into); err != nil {
				return err
			}
		}
		w.Changed()
	}
	if t.lora != nil {
		for _, a := range t.lora.adapters {
			if err := get("base", a.full.Param, a.base); err != nil {
				return err
			}
		}
	}
	for _, p := range t.Network.Params() {
		if a := f.Tensors["average."+p.Name].Data; len(a) == len(p.Data) {
			if t.average == nil {
				t.average = map[string][]float32{}
			}
			t.average[p.Name] = a
		}
	}
	if t.Step, err = strconv.Atoi(f.Metadata["step"]); err == nil {
		t.solver.AdamW.Step, err = strconv.Atoi(f.Metadata["updates"])
	}
	if err == nil {
		t.Elapsed, err = time.ParseDuration(f.Metadata["elapsed"])
	}
	if err == nil {
		t.Audio, err = strconv.ParseFloat(f.Metadata["audio"], 64)
	}
	if err != nil {
		return fmt.Errorf("train: checkpoint %s: counters: %w", path, err)
	}
	return nil
}

// LoadASRConfig reads a JSON file over a recipe.
func LoadASRConfig(c ASRConfig, path string) (ASRConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("train: configuration: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("train: configuration %s: %w", path, err)
	}
	return c, nil
}
