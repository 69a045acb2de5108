package rvq

import "math/rand/v2"

// TrainConfig holds the constants of codebook training.
type TrainConfig struct {
	// Decay of the exponential averages of counts and sums (van den Oord et al.
	// 2017, appendix A.1).
	Decay float32
	// Dead is the average count, relative to even use, below which an entry is
	// replaced by a vector of the batch.
	Dead float32
	// Revived is the average count that a replaced entry starts with.
	Revived float32
	// Iterations of Lloyd's algorithm at the start.
	Iterations int
}

// DefaultTrainConfig is the recipe of the shipped model.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{Decay: 0.995, Dead: 0.1, Revived: 0.3, Iterations: 8}
}

// Trainer learns the codebooks of a GRVQ from the latents that it quantizes. It
// is not safe for concurrent use.
type Trainer struct {
	*Quantizer
	cfg     TrainConfig
	rng     *rand.Rand
	counts  [][]float32 // [codebook][Size]: average use, 1 when even
	sums    [][]float32 // [codebook][Size·dim]: average sum of assigned vectors
	started bool

	batchN []float32 // of the current batch: vectors of each entry,
	batchS []float32 // their sums,
	spares []float32 // places for dead entries,
	rows   int       // and how many vectors there were
}

// NewTrainer makes a trainer whose codebooks are zero until Start or Load. It
// searches on device; nil is the processor.
func NewTrainer(c Config, cfg TrainConfig, device Device, rng *rand.Rand) (*Trainer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	q, err := New(c, make([]float32, c.Codebooks()*c.Size*c.Dim/c.Groups))
	if err != nil {
		return nil, err
	}
	t := &Trainer{Quantizer: q.On(device), cfg: cfg, rng: rng}
	for range q.books {
		t.counts = append(t.counts, make([]float32, c.Size))
		t.sums = append(t.sums, make([]float32, c.Size*c.Dim/c.Groups))
	}
	return t, nil
}

// Started reports whether the codebooks hold anything.
func (t *Trainer) Started() bool { return t.started }

// State gives the averages for a checkpoint: counts and sums of each codebook,
// which are live, not copies.
func (t *Trainer) State() (counts, sums [][]float32) { return t.counts, t.sums }

// Load restores codebooks (laid out as Entries gives them) and, where counts is
// not nil, averages as State gave them. Without them every entry starts as if
// evenly used.
func (t *Trainer) Load(entries []float32, counts, sums [][]float32) {
	n := len(t.books[0].entries)
	for i := range t.books {
		copy(t.books[i].entries, entries[i*n:])
		if counts != nil {
			copy(t.counts[i], counts[i])
			copy(t.sums[i], sums[i])
		} else {
			for e := range t.counts[i] {
				t.counts[i][e] = 1
			}
			copy(t.sums[i], t.books[i].entries)
		}
		t.refresh(i)
	}
	t.started = true
}

func (t *Trainer) refresh(i int) {
	t.books[i].measure()
	t.device.Repack(t.packed[i], t.books[i].entries, true)
}

// Start sets the codebooks by k-means on latents z [T, Dim], T ≥ 1, level by
// level on the residuals.
func (t *Trainer) Start(z []float32) {
	rows, dim := len(z)/t.Dim, t.Dim/t.Groups
	residual := append([]float32(nil), z...)
	codes := make([]int32, rows)
	for i := range t.books {
		vector := func(r int) []float32 { return residual[r*t.Dim+i%t.Groups*dim:][:dim] }
		entries := t.books[i].entries
		for e, r := range t.sample(rows, t.Size) {
			copy(entries[e*dim:(e+1)*dim], vector(r))
		}
		for range t.cfg.Iterations {
			t.refresh(i)
			t.nearest(i, codes, residual)
			clear(t.counts[i])
			clear(t.sums[i])
			for r, c := range codes {
				t.counts[i][c]++
				add(t.sums[i][int(c)*dim:][:dim], vector(r))
			}
			for e, n := range t.counts[i] {
				out := entries[e*dim : (e+1)*dim]
				if n == 0 {
					copy(out, vector(t.rng.IntN(rows)))
					continue
				}
				for k, s := range t.sums[i][e*dim : (e+1)*dim] {
					out[k] = s / n
				}
			}
		}
		t.refresh(i)
		t.nearest(i, codes, residual)
		even := float32(t.Size) / float32(rows)
		clear(t.counts[i])
		for _, c := range codes {
			t.counts[i][c] += even
		}
		for e, n := range t.counts[i] {
			n = max(n, t.cfg.Revived)
			t.counts[i][e] = n
			for k, v := range entries[e*dim : (e+1)*dim] {
				t.sums[i][e*dim+k] = n * v
			}
		}
		for r, c := range codes {
			t.subtract(i, c, residual[r*t.Dim:])
		}
	}
	t.started = true
}

// sample gives n indices below rows, all different while they last.
func (t *Trainer) sample(rows, n int) []int {
	order := t.rng.Perm(rows)
	for len(order) < n {
		order = append(order, t.rng.IntN(rows))
	}
	return order[:n]
}

// Step quantizes latents z [T, Dim] into out [T, Dim], row r with levels[r]
// levels (0 leaves it as it is), and moves the codebooks of every level towards
// what all rows would give them: rows that stop early still teach the later
// levels, which otherwise see too few. usage, where not nil, counts the codes of
// each codebook. No rows change nothing.
func (t *Trainer) Step(out, z []float32, levels []int, usage [][]int64) {
	if len(levels) == 0 {
		return
	}
	dim := t.Dim / t.Groups
	t.residual = append(t.residual[:0], z...)
	if cap(t.column) < len(levels) {
		t.column = make([]int32, len(levels))
	}
	codes := t.column[:len(levels)]
	copy(out, z)
	for i := range t.books {
		group := i % t.Groups
		t.nearest(i, codes, t.residual)
		t.gather(codes, func(r int) []float32 { return t.residual[r*t.Dim+group*dim:][:dim] })
		for r, c := range codes {
			t.subtract(i, c, t.residual[r*t.Dim:])
			if usage != nil {
				usage[i][c]++
			}
		}
		t.average(i)
		if group < t.Groups-1 {
			continue
		}
		for r, n := range levels {
			if n == i/t.Groups+1 {
				for k := r * t.Dim; k < (r+1)*t.Dim; k++ {
					out[k] = z[k] - t.residual[k]
				}
			}
		}
	}
}

// gather sums the vectors assigned to each entry, and draws those that dead
// entries may move to.
func (t *Trainer) gather(codes []int32, vector func(int) []float32) {
	dim := t.Dim / t.Groups
	if t.batchN == nil {
		t.batchN, t.batchS = make([]float32, t.Size), make([]float32, t.Size*dim)
	}
	clear(t.batchN)
	clear(t.batchS)
	for k, c := range codes {
		t.batchN[c]++
		add(t.batchS[int(c)*dim:][:dim], vector(k))
	}
	t.spares = t.spares[:0]
	for range min(t.Size, len(codes)) {
		t.spares = append(t.spares, vector(t.rng.IntN(len(codes)))...)
	}
	t.rows = len(codes)
}

// average moves the entries of codebook i to the averages, and dead ones to
// vectors of the batch.
func (t *Trainer) average(i int) {
	dim := t.Dim / t.Groups
	even := float32(t.Size) / float32(t.rows)
	keep, take := t.cfg.Decay, (1-t.cfg.Decay)*even
	counts, sums, entries := t.counts[i], t.sums[i], t.books[i].entries
	spare := 0
	for e := range counts {
		counts[e] = keep*counts[e] + take*t.batchN[e]
		s, b, out := sums[e*dim:(e+1)*dim], t.batchS[e*dim:(e+1)*dim], entries[e*dim:(e+1)*dim]
		if counts[e] < t.cfg.Dead && spare < len(t.spares) {
			counts[e] = t.cfg.Revived
			copy(out, t.spares[spare:spare+dim])
			spare += dim
			for k, v := range out {
				s[k] = v * t.cfg.Revived
			}
			continue
		}
		inv := 1 / max(counts[e], 1e-6)
		for k := range s {
			s[k] = keep*s[k] + take*b[k]
			out[k] = s[k] * inv
		}
	}
	t.refresh(i)
}

func add(dst, src []float32) {
	for k, v := range src {
		dst[k] += v
	}
}
