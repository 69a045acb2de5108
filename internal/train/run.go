package train

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/sotto-audio/sotto/internal/backend"
)

// RunConfig says how long a run lasts and what it leaves behind.
type RunConfig struct {
	Dir        string        // of checkpoint.safetensors and log.jsonl
	Steps      int           // updates in all, or
	Time       time.Duration // time in all; one of the two ends the schedule
	LogEvery   int           // updates
	SaveEvery  time.Duration
	ValidEvery time.Duration
	Valid      []ValidClip
	Progress   io.Writer
}

// CheckpointName and LogName are the files of a run's folder.
const (
	CheckpointName = "checkpoint.safetensors"
	LogName        = "log.jsonl"
)

// Record is a line of the log: means over the updates since the line before, or
// the figures of a validation.
type Record struct {
	Step         int                `json:"step"`
	Seconds      float64            `json:"seconds"`       // of training
	AudioSeconds float64            `json:"audio_seconds"` // seen
	Losses       map[string]float64 `json:"losses,omitempty"`
	Rate         float64            `json:"lr,omitempty"`
	GradNorm     float64            `json:"grad_norm,omitempty"`
	Skipped      int                `json:"skipped,omitempty"`      // updates left out so far
	Used         []float64          `json:"used,omitempty"`         // share of each codebook's entries
	Perplexity   []float64          `json:"perplexity,omitempty"`   // of each codebook
	Rank         float64            `json:"rank,omitempty"`         // effective rank of the latents
	Speed        float64            `json:"speed,omitempty"`        // audio seconds per second
	GEMMShare    float64            `json:"gemm_share,omitempty"`   // model FLOP/s over the device's
	Valid        []ValidScore       `json:"valid,omitempty"`        // without quantization, then by level
	LossShare    float64            `json:"loss_share,omitempty"`   // of the time
	OptimShare   float64            `json:"update_share,omitempty"` // of the time, for the optimiser
	// AdversaryShare is that of the discriminators, a part of it in LossShare.
	AdversaryShare float64 `json:"adversary_share,omitempty"`
	// Recognised and Padding are those of a recogniser's training.
	Recognised []ASRScore         `json:"recognised,omitempty"`
	Rebuilt    map[string]Rebuilt `json:"rebuilt,omitempty"` // by source
	Padding    float64            `json:"padding,omitempty"` // share of rows that only fill batches up
}

// Run trains until the end of the schedule or of the context, and leaves a
// checkpoint in both cases.
func (t *Codec) Run(ctx context.Context, c RunConfig) (err error) {
	defer backend.Recover(&err)
	defer t.Close()
	file, err := openLog(c.Dir, t.Step)
	if err != nil {
		return err
	}
	defer file.Close()
	log := json.NewEncoder(file)
	checkpoint := filepath.Join(c.Dir, CheckpointName)

	peak := GEMMRate(t.device, t.Config.Shards)
	fmt.Fprintf(c.Progress, "%s: %.0f GFLOP/s in matrix products, %.1f GFLOP an update\n", t.device.Name(), peak/1e9, t.FLOPs()/1e9)
	begin := time.Now().Add(-t.Elapsed)
	saved, validated := time.Now(), time.Now()
	m := newMeans(t)
	for {
		t.Elapsed = time.Since(begin)
		progress := float64(t.Step) / float64(max(1, c.Steps))
		if c.Steps == 0 {
			progress = float64(t.Elapsed) / float64(c.Time)
		}
		pause := time.Now()
		over := progress >= 1 || ctx.Err() != nil
		if len(c.Valid) > 0 && (over && ctx.Err() == nil || time.Since(validated) >= c.ValidEvery) {
			record := t.record()
			if record.Valid, err = t.Validate(c.Valid); err != nil {
				return err
			}
			if err := log.Encode(record); err != nil {
				return fmt.Errorf("train: log: %w", err)
			}
			fmt.Fprintf(c.Progress, "step %d  valid %s\n", t.Step, validLine(record.Valid))
			validated = time.Now()
		}
		if over || time.Since(saved) >= c.SaveEvery {
			if err := t.Save(checkpoint); err != nil {
				return err
			}
			saved = time.Now()
		}
		if over {
			return nil
		}
		m.begin = m.begin.Add(time.Since(pause)) // the speed is that of updates
		if err := t.Update(progress); err != nil {
			return err
		}
		m.add(t)
		if t.Step%c.LogEvery == 0 {
			t.Elapsed = time.Since(begin)
			record := m.record(t, peak)
			if err := log.Encode(record); err != nil {
				return fmt.Errorf("train: log: %w", err)
			}
			left := time.Duration(float64(t.Elapsed) * (1 - progress) / max(progress, 1e-9))
			if c.Steps == 0 {
				left = c.Time - t.Elapsed
			}
			fmt.Fprintf(c.Progress, "step %d  %s  lr %.2g  norm %.2f  rank %.0f  %.0f audio-s/s  %.0f%% of GEMM  %s left\n",
				t.Step, lossLine(record.Losses), record.Rate, record.GradNorm, record.Rank, record.Speed, 100*record.GEMMShare, left.Round(time.Second))
			m = newMeans(t)
		}
	}
}

// openLog makes the folder of a run and opens its log for more lines, without those
// beyond the step that the run continues from.
func openLog(dir string, step int) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	path := filepath.Join(dir, LogName)
	if err := trimLog(path, step); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return f, nil
}

// trimLog drops lines beyond the checkpoint that a run continues from.
func trimLog(path string, step int) error {
	records, err := ReadLog(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var data []byte
	for _, r := range records {
		if r.Step > step {
			break
		}
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("train: log: %w", err)
		}
		data = append(append(data, line...), '\n')
	}
	return WriteFile(path, data)
}

// ReadLog reads the lines of a log. A line that was cut off ends it.
func ReadLog(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var records []Record
	d := json.NewDecoder(f)
	for {
		var r Record
		if err := d.Decode(&r); err == io.EOF || err == io.ErrUnexpectedEOF {
			return records, nil
		} else if err != nil {
			return nil, fmt.Errorf("train: log %s: line %d: %w", path, len(records)+1, err)
		}
		records = append(records, r)
	}
}

func (t *Codec) record() Record {
	c := t.Config
	return Record{
		Step: t.Step, Seconds: t.Elapsed.Seconds(),
		AudioSeconds: float64(t.Step*c.Batch*c.Frames*c.Model.HopLength) / float64(c.Model.SampleRate),
	}
}

// means gathers what a log line reports.
type means struct {
	begin  time.Time
	steps  int
	sums   map[string]float64
	counts map[string]float64
	norm   float64
	loss   time.Duration
	update time.Duration
	judged time.Duration
}

func newMeans(t *Codec) *means {
	for _, u := range t.quantizer.Usage {
		clear(u)
	}
	return &means{begin: time.Now(), sums: map[string]float64{}, counts: map[string]float64{}}
}

// add takes the losses of an update: each over all items, and "name@level" over
// those with that many levels.
func (m *means) add(t *Codec) {
	m.steps++
	put := func(name string, v float64) { m.sums[name] += v; m.counts[name]++ }
	for i, s := range t.shards {
		for k, term := range s.objective.Terms {
			if s.objective.Progress < term.From {
				continue
			}
			for item, v := range s.objective.Values[k] {
				put(term.Name(), v)
				put(fmt.Sprintf("%s@%d", term.Name(), t.quantizer.Levels[i*len(s.objective.quantized)+item]), v)
			}
		}
	}
	if t.fixed == nil {
		put("commitment", t.quantizer.Commitment)
	}
	if a := t.adversary; a.active(t.shards[0].objective.Progress) {
		put("adversarial", a.AdversarialLoss)
		put("feature", a.FeatureLoss)
		put("discriminator", a.Loss)
		for i, d := range a.Discriminators {
			put("discriminator@"+d.Name, a.Losses[i])
		}
		m.judged += a.Took
	}
	m.norm += t.solver.Norm
	m.loss += t.shards[0].objective.Took
	m.update += t.solver.Took
}

func (m *means) record(t *Codec, peak float64) Record {
	r := t.record()
	r.Losses = map[string]float64{}
	for name, s := range m.sums {
		r.Losses[name] = s / m.counts[name]
	}
	r.Rate, r.GradNorm, r.Skipped = float64(t.solver.LR), m.norm/float64(m.steps), t.solver.Skipped
	took := time.Since(m.begin).Seconds()
	c := t.Config
	r.Speed = float64(m.steps*c.Batch*c.Frames*c.Model.HopLength) / float64(c.Model.SampleRate) / took
	r.GEMMShare = t.FLOPs() * float64(m.steps) / took / peak
	r.LossShare, r.OptimShare = m.loss.Seconds()/took, m.update.Seconds()/took
	r.AdversaryShare = m.judged.Seconds() / took
	if t.fixed != nil {
		return r
	}
	r.Rank = effectiveRank(t.quantizer.Latents, c.Model.Quantizer.Dim)
	if t.quantizer.Started() {
		for _, counts := range t.quantizer.Usage {
			used, perplexity := usage(counts)
			r.Used, r.Perplexity = append(r.Used, used), append(r.Perplexity, perplexity)
		}
	}
	return r
}

// usage gives the share of entries that appeared, and 2 to the entropy.
func usage(counts []int64) (used, perplexity float64) {
	var total, h float64
	for _, n := range counts {
		total += float64(n)
	}
	for _, n := range counts {
		if n > 0 {
			used++
			p := float64(n) / total
			h -= p * math.Log2(p)
		}
	}
	return used / float64(len(counts)), math.Exp2(h)
}

// effectiveRank is e to the entropy of the normalised eigenvalues of the
// latents' covariance (Roy & Vetterli 2007).
func effectiveRank(latents []float32, dim int) float64 {
	rows := len(latents) / dim
	mean := make([]float64, dim)
	for i, v := range latents {
		mean[i%dim] += float64(v) / float64(rows)
	}
	x := mat.NewDense(rows, dim, nil)
	for i, v := range latents {
		x.Set(i/dim, i%dim, float64(v)-mean[i%dim])
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1, x.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(&covariance, false) {
		return 0
	}
	values := eigen.Values(nil)
	var total, h float64
	for _, v := range values {
		total += max(v, 0)
	}
	for _, v := range values {
		if p := v / total; p > 0 {
			h -= p * math.Log(p)
		}
	}
	return math.Exp(h)
}

// GEMMRate measures the device: operations per second of products of the size of
// a layer's, the best of several, on a number of threads beside each other.
func GEMMRate(device backend.Backend, threads int) float64 {
	const m, k, n, each = 256, 384, 1152, 8
	w := device.Pack(make([]float32, k*n), k, n)
	best := math.Inf(1)
	for range 30 {
		begin := time.Now()
		var wait backend.Group
		for range threads {
			x, y, result := device.New(m, k), device.New(m, n), make([]float32, m*n)
			wait.Go(func() {
				for range each {
					device.MatMul(y, x, w, backend.Epilogue{})
				}
				device.Download(result, y)
			})
		}
		wait.Wait()
		best = min(best, time.Since(begin).Seconds())
	}
	return float64(threads) * each * 2 * m * k * n / best
}

func lossLine(losses map[string]float64) string {
	var names []string
	for name := range losses {
		if !strings.Contains(name, "@") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	line := ""
	for i, name := range names {
		if i > 0 {
			line += "  "
		}
		line += fmt.Sprintf("%s %.3f", name, losses[name])
	}
	return line
}
