package sotto

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

// onVulkan gives the released model on a graphics processor, or what stands in for
// one.
func onVulkan(t *testing.T) (cpu, gpu *Model) {
	t.Helper()
	cpu, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if gpu, err = cpu.On("vulkan"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	return cpu, gpu
}

// TestVulkan holds a graphics processor to the tokens and the samples of the
// processor on real speech, and to its own in other chunks.
func TestVulkan(t *testing.T) {
	cpu, gpu := onVulkan(t)
	pcm, err := audio.ReadMono("../../samples/speech.wav", 16000)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	want, err := cpu.Encode(ctx, pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := gpu.Encode(ctx, pcm, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal := 0
	for i, c := range want.Codes {
		if got.Codes[i] == c {
			equal++
		}
	}
	t.Logf("%s: %d of %d tokens equal", gpu.Device(), equal, len(want.Codes))
	if float64(equal) < 0.999*float64(len(want.Codes)) {
		t.Errorf("%d of %d tokens are the processor's", equal, len(want.Codes))
	}

	x, err := cpu.Decode(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	y, err := gpu.Decode(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	var signal, noise float64
	for i, v := range x {
		signal += float64(v) * float64(v)
		noise += math.Pow(float64(v)-float64(y[i]), 2)
	}
	snr := 10 * math.Log10(signal/noise)
	t.Logf("samples at %.1f dB", snr)
	if len(y) != len(x) || snr < 60 {
		t.Errorf("%d samples at %.1f dB to the processor's %d", len(y), snr, len(x))
	}

	// A second of chunks, beside itself in a batch.
	pcm, second := pcm[:16000], 50*want.Codebooks
	enc, err := gpu.NewEncoder(0)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := gpu.NewDecoder(want.Codebooks)
	if err != nil {
		t.Fatal(err)
	}
	var codes []int32
	var wave []float32
	for at := 0; at < len(pcm); at += 4321 {
		from := len(codes)
		if codes, err = enc.Encode(codes, pcm[at:min(at+4321, len(pcm))]); err != nil {
			t.Fatal(err)
		}
		if wave, err = dec.Decode(wave, codes[from:]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(codes, got.Codes[:second]) {
		t.Error("chunks have other tokens")
	}
	z, err := gpu.Decode(ctx, got)
	if err != nil {
		t.Fatal(err)
	}
	delay := len(pcm) - len(wave)
	if !slices.Equal(wave, z[:len(pcm)-delay]) {
		t.Error("chunks have other samples")
	}
	batch, err := gpu.EncodeBatch(ctx, [][]float32{pcm[:5000], pcm}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(batch[1].Codes, got.Codes[:second]) {
		t.Error("a batch has other tokens")
	}
}
