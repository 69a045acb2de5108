package rvq

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

func device() backend.Backend { return cpu.New(2) }

func normal(n int, rng *rand.Rand) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// naive is residual quantization as the papers write it: for each group and
// level the entry at the smallest Euclidean distance, in double precision.
func naive(c Config, entries, z []float32, levels int) []int32 {
	dim := c.Dim / c.Groups
	width := levels * c.Groups
	codes := make([]int32, len(z)/c.Dim*width)
	for t := range len(z) / c.Dim {
		for g := range c.Groups {
			r := make([]float64, dim)
			for k := range r {
				r[k] = float64(z[t*c.Dim+g*dim+k])
			}
			for l := range levels {
				i := l*c.Groups + g
				best, at := math.Inf(1), 0
				for e := range c.Size {
					d := 0.0
					for k, v := range r {
						d += math.Pow(v-float64(entries[(i*c.Size+e)*dim+k]), 2)
					}
					if d < best {
						best, at = d, e
					}
				}
				codes[t*width+i] = int32(at)
				for k := range r {
					r[k] -= float64(entries[(i*c.Size+at)*dim+k])
				}
			}
		}
	}
	return codes
}

func TestEncodeEqualsNaiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, c := range map[string]Config{
		"VQ":             {Dim: 7, Groups: 1, Levels: 1, Size: 33},
		"RVQ":            {Dim: 8, Groups: 1, Levels: 4, Size: 16},
		"GRVQ":           {Dim: 12, Groups: 3, Levels: 3, Size: 20},
		"single entries": {Dim: 4, Groups: 2, Levels: 2, Size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			entries := normal(c.Codebooks()*c.Size*c.Dim/c.Groups, rng)
			q, err := New(c, entries)
			if err != nil {
				t.Fatal(err)
			}
			z := normal(50*c.Dim, rng)
			on := q.On(device())
			for levels := 1; levels <= c.Levels; levels++ {
				codes := make([]int32, 50*levels*c.Groups)
				on.Encode(codes, z, levels)
				if want := naive(c, entries, z, levels); !slices.Equal(codes, want) {
					t.Fatalf("%d levels: codes differ from the naive search", levels)
				}
				back := make([]float32, len(z))
				if err := q.Decode(back, codes, levels); err != nil {
					t.Fatal(err)
				}
				// Encoding what was decoded with one level finds the same entry.
				if levels == 1 {
					again := make([]int32, len(codes))
					on.Encode(again, back, 1)
					if !slices.Equal(again, codes) {
						t.Error("a decoded vector has other codes")
					}
				}
			}
		})
	}
}

func TestTiesTakeTheLowestIndex(t *testing.T) {
	q, _ := New(Config{Dim: 1, Groups: 1, Levels: 1, Size: 4}, []float32{1, -1, 1, -1})
	codes := make([]int32, 3)
	q.On(device()).Encode(codes, []float32{0, 2, -2}, 1)
	if !slices.Equal(codes, []int32{0, 0, 1}) {
		t.Errorf("codes %v, want the first of equal entries", codes)
	}
}

func TestCodesOutsideTheCodebookAreRefused(t *testing.T) {
	q, _ := New(Config{Dim: 2, Groups: 1, Levels: 1, Size: 4}, make([]float32, 8))
	for _, c := range []int32{-1, 4, math.MaxInt32} {
		if err := q.Decode(make([]float32, 2), []int32{c}, 1); err == nil {
			t.Errorf("code %d was decoded", c)
		}
	}
	for _, c := range []struct{ z, codes, levels int }{{2, 1, 0}, {2, 1, 2}, {2, 1, -1}, {1, 1, 1}, {4, 1, 1}, {2, 2, 1}} {
		if err := q.Decode(make([]float32, c.z), make([]int32, c.codes), c.levels); err == nil {
			t.Errorf("%d codes at %d levels were decoded to %d values", c.codes, c.levels, c.z)
		}
	}
}

// clusters draws points around a few well separated centres.
func clusters(rows, dim, n int, rng *rand.Rand) (z []float32, centres []float32) {
	centres = normal(n*dim, rng)
	for i := range centres {
		centres[i] *= 10
	}
	for range rows {
		c := rng.IntN(n)
		for k := range dim {
			z = append(z, centres[c*dim+k]+0.1*float32(rng.NormFloat64()))
		}
	}
	return z, centres
}

// With revival every cluster ends up with an entry at its mean.
func TestTrainingFindsClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	c := Config{Dim: 6, Groups: 1, Levels: 1, Size: 40}
	z, centres := clusters(2000, c.Dim, 10, rng)
	tr, err := NewTrainer(c, DefaultTrainConfig(), device(), rng)
	if err != nil {
		t.Fatal(err)
	}
	tr.Start(z)
	out, levels := make([]float32, len(z)), slices.Repeat([]int{1}, 2000)
	for range 50 {
		tr.Step(out, z, levels, nil)
	}
	if rms := distance(out, z); rms > 0.12 {
		t.Errorf("quantization error %.3f per value, the clusters have 0.1", rms)
	}
	codes := make([]int32, 10)
	tr.Encode(codes, centres, 1)
	for i, code := range codes {
		e := tr.Entries()[int(code)*c.Dim:][:c.Dim]
		if d := distance(e, centres[i*c.Dim:][:c.Dim]); d > 0.2 {
			t.Errorf("nearest entry to centre %d is %.2f away", i, d)
		}
	}
}

func TestDeadEntriesAreRevived(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	c := Config{Dim: 4, Groups: 2, Levels: 2, Size: 16}
	tr, _ := NewTrainer(c, DefaultTrainConfig(), device(), rng)
	// All entries far away but one: only a revival brings the others back.
	entries := slices.Repeat([]float32{1000}, c.Codebooks()*c.Size*2)
	for i := range c.Codebooks() {
		copy(entries[i*c.Size*2:], []float32{0, 0})
	}
	tr.Load(entries, nil, nil)
	z := normal(400*c.Dim, rng)
	levels := slices.Repeat([]int{2}, 400)
	out := make([]float32, len(z))
	for range 2000 {
		tr.Step(out, z, levels, nil)
	}
	u := NewUsage([]int{16, 16, 16, 16})
	codes := make([]int32, 400*4)
	tr.Encode(codes, z, 2)
	u.Add(codes, 4)
	for i := range 4 {
		if u.Used(i) < 0.9 {
			t.Errorf("codebook %d uses %.0f %% of its entries", i, 100*u.Used(i))
		}
	}
}

func TestStepQuantizesEachRowAtItsLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	c := Config{Dim: 8, Groups: 2, Levels: 3, Size: 32}
	tr, _ := NewTrainer(c, DefaultTrainConfig(), device(), rng)
	z := normal(300*c.Dim, rng)
	tr.Start(z)
	levels := make([]int, 300)
	for i := range levels {
		levels[i] = i % 4
	}
	before, _ := New(c, tr.Entries())
	on := before.On(device())
	out := make([]float32, len(z))
	tr.Step(out, z, levels, nil)
	for r, n := range levels {
		row, want := z[r*8:(r+1)*8], z[r*8:(r+1)*8]
		if n > 0 {
			codes := make([]int32, n*2)
			on.Encode(codes, row, n)
			want = make([]float32, 8)
			if err := before.Decode(want, codes, n); err != nil {
				t.Fatal(err)
			}
		}
		if d := distance(out[r*8:(r+1)*8], want); d > 1e-5 {
			t.Fatalf("row %d at %d levels is %g off", r, n, d)
		}
	}
	var last float64 = math.Inf(1)
	for n := 1; n <= 3; n++ {
		codes := make([]int32, 300*n*2)
		on.Encode(codes, z, n)
		_ = before.Decode(out, codes, n)
		d := distance(out, z)
		if d >= last {
			t.Errorf("level %d does not lower the error: %g after %g", n, d, last)
		}
		last = d
	}
}

func TestStepOnNothingChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	c := Config{Dim: 4, Groups: 2, Levels: 2, Size: 8}
	tr, err := NewTrainer(c, DefaultTrainConfig(), device(), rng)
	if err != nil {
		t.Fatal(err)
	}
	tr.Start(normal(100*c.Dim, rng))
	before := tr.Entries()
	tr.Step(nil, nil, nil, nil)
	if !slices.Equal(tr.Entries(), before) {
		t.Error("the codebooks changed")
	}
}

func distance(a, b []float32) float64 {
	var s float64
	for i := range a {
		s += math.Pow(float64(a[i]-b[i]), 2)
	}
	return math.Sqrt(s / float64(len(a)))
}

func TestUsage(t *testing.T) {
	u := NewUsage([]int{4, 8})
	for i := range int32(8) {
		u.Add([]int32{i % 2, i}, 2)
	}
	for i, want := range []struct{ used, entropy float64 }{{0.5, 1}, {1, 3}} {
		if u.Used(i) != want.used || u.Entropy(i) != want.entropy || u.Perplexity(i) != math.Exp2(want.entropy) {
			t.Errorf("codebook %d: use %g, entropy %g, perplexity %g; want %+v", i, u.Used(i), u.Entropy(i), u.Perplexity(i), want)
		}
	}
}

// Frames that threads share have the codes and the sums of frames alone.
func TestManyFramesEqualSingleOnes(t *testing.T) {
	const frames = 100
	c := Config{Dim: 12, Groups: 2, Levels: 3, Size: 50}
	rng := rand.New(rand.NewPCG(3, 1))
	q, err := New(c, normal(c.Codebooks()*c.Size*6, rng))
	if err != nil {
		t.Fatal(err)
	}
	z := normal(frames*c.Dim, rng)
	for _, levels := range []int{1, 3} {
		width := levels * c.Groups
		codes, sums := make([]int32, frames*width), make([]float32, frames*c.Dim)
		alone := q.On(CPU(1))
		for f := range frames {
			alone.Encode(codes[f*width:(f+1)*width], z[f*c.Dim:(f+1)*c.Dim], levels)
		}
		if err := q.Decode(sums, codes, levels); err != nil {
			t.Fatal(err)
		}
		for _, threads := range []int{1, 2, 5} {
			on := q.On(CPU(threads))
			gotCodes, gotSums := make([]int32, len(codes)), make([]float32, len(sums))
			on.Encode(gotCodes, z, levels)
			if err := on.Decode(gotSums, codes, levels); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(gotCodes, codes) || !slices.Equal(gotSums, sums) {
				t.Errorf("%d levels, %d threads: other codes or sums", levels, threads)
			}
			if on.Decode(gotSums, append([]int32{50}, codes[1:]...), levels) == nil {
				t.Error("a code outside its codebook is accepted")
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := Config{Dim: 128, Groups: 2, Levels: 4, Size: 1024}
	rng := rand.New(rand.NewPCG(1, 1))
	q, _ := New(c, normal(c.Codebooks()*c.Size*64, rng))
	on := q.On(device())
	z, codes := normal(50*c.Dim, rng), make([]int32, 50*8)
	for b.Loop() {
		on.Encode(codes, z, 4)
	}
}
