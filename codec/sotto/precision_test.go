package sotto

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

var precisions = []Precision{Float32, BFloat16, Int8}

func TestReducedDecoderStreams(t *testing.T) {
	m := smallModel(t)
	for _, p := range precisions[1:] {
		for _, n := range []int{0, 1, 5000, block*320 + 77} {
			t.Run(fmt.Sprint(p, n), func(t *testing.T) { checkChunks(t, must(m.In(p)), voice(n, uint64(n)), uint64(n)) })
		}
	}
}

// The released model in random chunks, too.
func TestReleasedModelStreamsReduced(t *testing.T) {
	if testing.Short() {
		t.Skip("the small model of TestReducedDecoderStreams runs on every path")
	}
	for _, p := range precisions[1:] {
		checkChunks(t, must(Default(WithPrecision(p))), clip(t, 0, 2), 12)
	}
}

// Tokens do not depend on the precision, and the samples hardly do: noise 25 dB
// below them is far below that of the quantizer.
func TestPrecisionIsTheDecodersOnly(t *testing.T) {
	ctx := context.Background()
	pcm := clip(t, 1, 1)
	tokens := must(must(Default()).Encode(ctx, pcm, 0))
	want := must(must(Default()).Decode(ctx, tokens))
	for p, floor := range map[Precision]float64{Float32: math.Inf(1), BFloat16: 45, Int8: 25} {
		m := must(Default(WithPrecision(p)))
		if got := must(m.Encode(ctx, pcm, 0)); !slices.Equal(got.Codes, tokens.Codes) {
			t.Errorf("%s: other tokens", p)
		}
		got := must(m.Decode(ctx, tokens))
		noise := make([]float32, len(got))
		for i := range got {
			noise[i] = got[i] - want[i]
		}
		snr := 10 * math.Log10(energy(want)/energy(noise))
		t.Logf("%s: %.1f dB", p, snr)
		if !(snr >= floor) || p != Float32 && math.IsInf(snr, 1) {
			t.Errorf("%s: %.1f dB above its difference from float32, want %.0f dB", p, snr, floor)
		}
	}
}

func TestNoSuchPrecision(t *testing.T) {
	for _, p := range []Precision{"", "int4"} {
		_, err := Default(WithPrecision(p))
		if err == nil || !strings.Contains(err.Error(), "f32, bf16, int8 or tf32") {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// TestDecodingAllocatesNothing streams frame by frame into memory that is there.
func TestDecodingAllocatesNothing(t *testing.T) {
	m := must(Default(WithThreads(1)))
	if strings.Contains(m.device.Name(), "portable") {
		t.Skip("portable code is correct, not fast")
	}
	codes := must(m.Encode(context.Background(), clip(t, 1, 0.2), 0)).Codes
	for _, p := range precisions {
		d := must(must(m.In(p)).NewDecoder(0))
		out := make([]float32, 0, 320)
		step := func() { out = must(d.Decode(out[:0], codes[:8])) }
		step()
		if n := testing.AllocsPerRun(20, step); n > 0 {
			t.Errorf("%s: a step allocates %v times", p, n)
		}
	}
}
