package sotto

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/rvq"
)

func processor() backend.Backend { return cpu.New(2) }

// small is a model of the default shape with fewer channels and random weights.
func small(t testing.TB, seed uint64) *native.Checkpoint {
	t.Helper()
	c := native.DefaultConfig()
	c.Width, c.Quantizer.Size, c.Quantizer.Dim = 24, 32, 16
	n, err := native.NewNetwork(c)
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
	return &native.Checkpoint{Name: "small", Network: n, Quantizer: q}
}

func smallModel(t testing.TB) *Model { return newModel(small(t, 1), [8]byte{1}, processor()) }

func voice(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 9))
	x := make([]float32, n)
	for i := range x {
		s := 0.3*math.Sin(float64(i)*0.05) + 0.2*math.Sin(float64(i)*float64(i)*1e-6)
		x[i] = float32(s + 0.02*rng.NormFloat64())
	}
	return x
}

func TestChunkedEqualsWhole(t *testing.T) {
	m := smallModel(t)
	for _, n := range []int{0, 1, 319, 320, 321, 5000, block*320 + 77} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { checkChunks(t, m, voice(n, uint64(n)), uint64(n)) })
	}
}

// checkChunks holds encoder and decoder on random chunks, and after a reset, to
// the bits of the whole signal.
func checkChunks(t *testing.T, m *Model, pcm []float32, seed uint64) {
	t.Helper()
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(seed, 4))
	whole, err := m.Encode(ctx, pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (len(pcm) + 319) / 320; whole.Frames != want || len(whole.Codes) != want*8 {
		t.Fatalf("%d frames and %d codes, want %d frames", whole.Frames, len(whole.Codes), want)
	}
	wave, err := m.Decode(ctx, whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(wave) != whole.Frames*320 {
		t.Fatalf("%d frames gave %d samples", whole.Frames, len(wave))
	}
	e := must(m.NewEncoder(0))
	d := must(m.NewDecoder(0))
	most := []int{1, 50, 1500, 20000}[rng.IntN(4)]
	if len(pcm) > 10000 {
		most = 3000
	}
	var codes []int32
	for rest := pcm; len(rest) > 0; {
		k := min(len(rest), 1+rng.IntN(most))
		codes = must(e.Encode(codes, rest[:k]))
		rest = rest[k:]
	}
	codes = must(e.Flush(codes))
	if !slices.Equal(codes, whole.Codes) {
		t.Fatal("chunked codes differ")
	}
	var pieces []float32
	for rest := codes; len(rest) > 0; {
		k := min(len(rest), 8*(1+rng.IntN(9)))
		pieces = must(d.Decode(pieces, rest[:k]))
		rest = rest[k:]
	}
	pieces = must(d.Flush(pieces))
	if !slices.Equal(pieces, wave) {
		t.Fatal("chunked samples differ")
	}
	e.Reset()
	d.Reset()
	again := must(e.Flush(must(e.Encode(nil, pcm))))
	replay := must(d.Flush(must(d.Decode(nil, again))))
	if !slices.Equal(again, whole.Codes) || !slices.Equal(replay, wave) {
		t.Fatal("a reset codec gives something else")
	}
}

func TestBatchedEqualsAlone(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	batch := [][]float32{voice(5000, 1), voice(0, 2), voice(321, 3), voice(block*320*2+5, 4)}
	all, err := m.EncodeBatch(ctx, batch, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, pcm := range batch {
		alone, err := m.Encode(ctx, pcm, 4)
		if err != nil {
			t.Fatal(err)
		}
		if alone.Frames != all[i].Frames || !slices.Equal(alone.Codes, all[i].Codes) {
			t.Errorf("signal %d has other codes in a batch", i)
		}
	}
}

// Fewer levels are a prefix of more, so a stream can be thinned without being
// encoded again.
func TestLevelsNest(t *testing.T) {
	m := smallModel(t)
	pcm := voice(4000, 5)
	full, _ := m.Encode(context.Background(), pcm, 8)
	for _, books := range []int{2, 4, 6} {
		few, err := m.Encode(context.Background(), pcm, books)
		if err != nil {
			t.Fatal(err)
		}
		for f := range few.Frames {
			if !slices.Equal(few.Frame(f), full.Frame(f)[:books]) {
				t.Fatalf("frame %d with %d codebooks is no prefix", f, books)
			}
		}
	}
	for _, books := range []int{-2, 1, 3, 9, 10} {
		if _, err := m.Encode(context.Background(), pcm, books); err == nil {
			t.Errorf("%d codebooks were accepted", books)
		}
	}
}

// The declared latency is the true one: a sample may change no output earlier
// than that, and does change output right after.
func TestLatencyIsWhatTheLayersNeed(t *testing.T) {
	m := smallModel(t)
	if got := m.Info().Latency; got != 60*time.Millisecond {
		t.Fatalf("latency %v, want 60 ms", got)
	}
	ctx := context.Background()
	a := voice(320*40, 6)
	b := slices.Clone(a)
	const at = 320 * 20
	for i := at; i < len(b); i++ {
		b[i] = -b[i]
	}
	ya, _ := m.Reconstruct(ctx, a)
	yb, _ := m.Reconstruct(ctx, b)
	first := len(ya)
	for i := range ya {
		if ya[i] != yb[i] {
			first = i
			break
		}
	}
	lookahead := at - first
	// What lies ahead of a sample is the latency less the frame that it waits for.
	if want := 320 * m.network.Delay(); lookahead <= want-320 || lookahead > want {
		t.Errorf("output sees %d samples ahead, the layers declare %d", lookahead, want)
	}
}

// One model serves many streams at once: each gives what it would give alone.
func TestModelIsSafeForConcurrentUse(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	run := func(seed uint64) ([]int32, []float32) {
		tokens := must(m.Encode(ctx, voice(9000, seed), 0))
		return tokens.Codes, must(m.Decode(ctx, tokens))
	}
	const streams = 6
	var codes [streams][]int32
	var waves [streams][]float32
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() { codes[i], waves[i] = run(uint64(i)) })
	}
	wg.Wait()
	for i := range streams {
		c, w := run(uint64(i))
		if !slices.Equal(codes[i], c) || !slices.Equal(waves[i], w) {
			t.Errorf("stream %d gives something else beside others", i)
		}
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	m := smallModel(t)
	for name, tokens := range map[string]*codec.Tokens{
		"no codebooks":     {Frames: 3},
		"too few codes":    {Codes: make([]int32, 8), Frames: 2, Codebooks: 8},
		"too many codes":   {Codes: make([]int32, 17), Frames: 2, Codebooks: 8},
		"negative frames":  {Frames: -1, Codebooks: 8},
		"no such step":     {Codes: make([]int32, 3), Frames: 1, Codebooks: 3},
		"outside the book": {Codes: []int32{0, 32}, Frames: 1, Codebooks: 2},
		"negative code":    {Codes: []int32{0, -1}, Frames: 1, Codebooks: 2},
	} {
		if _, err := m.Decode(context.Background(), tokens); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
	d := must(m.NewDecoder(4))
	for _, n := range []int{1, 3, 5, 4*block + 1} {
		if _, err := d.Decode(nil, make([]int32, n)); err == nil {
			t.Errorf("%d codes pass for whole frames of 4", n)
		}
	}
}

func TestCancelledCallsEnd(t *testing.T) {
	m := smallModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	tokens := must(m.Encode(ctx, voice(400, 1), 0))
	cancel()
	if _, err := m.Encode(ctx, voice(400, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("encoding: %v", err)
	}
	if _, err := m.Decode(ctx, tokens); !errors.Is(err, context.Canceled) {
		t.Errorf("decoding: %v", err)
	}
}

func TestBitrates(t *testing.T) {
	m := newModel(&native.Checkpoint{Network: must(native.NewNetwork(native.DefaultConfig())), Quantizer: must(rvq.New(native.DefaultConfig().Quantizer, make([]float32, 8*1024*64)))}, [8]byte{}, processor())
	if got, want := m.Info().Bitrates, []float64{1000, 2000, 3000, 4000}; !slices.Equal(got, want) {
		t.Errorf("bitrates %v, want %v", got, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
