package vocos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published/fixture"
	"github.com/sotto-audio/sotto/internal/weights"
)

// least is the signal-to-noise ratio, in dB, of what the original gives.
const least = 60

func load(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spectral is a clip of the model for log-mel spectra.
type spectral struct {
	pcm, features, wave, copy []float32
}

func readSpectral(t testing.TB, path string) []spectral {
	t.Helper()
	source, closer, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	var all []spectral
	for i := 0; slices.Contains(source.Names(), fmt.Sprintf("%d.pcm", i)); i++ {
		get := func(key string) []float32 {
			x, err := source.Tensor(fmt.Sprintf("%d.%s", i, key))
			if err != nil {
				t.Fatal(err)
			}
			return x.Data
		}
		all = append(all, spectral{get("pcm"), get("features"), get("wave"), get("copy")})
	}
	if len(all) == 0 {
		t.Fatalf("%s holds no clips", path)
	}
	return all
}

// through pushes x in pieces of random length, or whole where rng is nil.
func through(t testing.TB, s *Stream, x []float32, rng *rand.Rand) []float32 {
	t.Helper()
	s.Reset()
	var out []float32
	for at := 0; at < len(x); {
		n := len(x) - at
		if rng != nil {
			n = min(n, rng.IntN(60)*s.cols)
		}
		var err error
		if out, err = s.Push(out, x[at:at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	out, err := s.Flush(out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// streams makes both ways of a model for log-mel spectra.
func streams(t testing.TB, m *Model) (analysis, synthesis *Stream) {
	t.Helper()
	analysis, err := m.NewAnalysis()
	if err != nil {
		t.Fatal(err)
	}
	if synthesis, err = m.NewSynthesis(); err != nil {
		t.Fatal(err)
	}
	return analysis, synthesis
}

// original holds spectra, sound and copy-synthesis to the original's.
func original(t *testing.T, file, path string) {
	m := load(t, path)
	t.Logf("%+v", m.Info())
	analysis, synthesis := streams(t, m)
	for i, clip := range readSpectral(t, file) {
		for _, part := range []struct {
			what      string
			want, got []float32
		}{
			{"spectra", clip.features, through(t, analysis, clip.pcm, nil)},
			{"sound of the original's spectra", clip.wave, through(t, synthesis, clip.features, nil)},
			{"copy", clip.copy, through(t, synthesis, through(t, analysis, clip.pcm, nil), nil)},
		} {
			if len(part.got) != len(part.want) {
				t.Fatalf("clip %d, %s: %d values, the original gives %d", i, part.what, len(part.got), len(part.want))
			}
			snr := fixture.SNR(part.want, part.got)
			t.Logf("clip %d, %s: %.1f dB", i, part.what, snr)
			if !(snr >= least) {
				t.Errorf("clip %d, %s: %.1f dB beside the original", i, part.what, snr)
			}
		}
	}
}

func TestMel(t *testing.T) {
	const file, path = "testdata/mel.fixture.safetensors", "testdata/mel"
	original(t, file, path)
	m := load(t, path)
	analysis, synthesis := streams(t, m)
	clips := readSpectral(t, file)
	t.Run("pieces", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, clip := range clips {
			features := through(t, analysis, clip.pcm, nil)
			wave := through(t, synthesis, features, nil)
			for range 5 {
				if !slices.Equal(through(t, analysis, clip.pcm, rng), features) {
					t.Error("other spectra in pieces")
				}
				if !slices.Equal(through(t, synthesis, features, rng), wave) {
					t.Error("other samples in pieces")
				}
			}
		}
	})
	t.Run("side by side", func(t *testing.T) {
		var wg sync.WaitGroup
		for _, clip := range clips {
			want := through(t, synthesis, clip.features, nil)
			_, own := streams(t, m)
			wg.Go(func() {
				if !slices.Equal(through(t, own, clip.features, nil), want) {
					t.Error("other samples beside others")
				}
			})
		}
		wg.Wait()
	})
	t.Run("layouts", func(t *testing.T) {
		want := through(t, synthesis, clips[0].features, nil)
		for what, c := range map[string]codec.Codec{
			"training": load(t, "testdata/training"), "converted": fixture.Converted(t, path), "training, converted": fixture.Converted(t, "testdata/training"),
		} {
			other := c.(*Model)
			if other.Info().Fingerprint != m.Info().Fingerprint {
				t.Errorf("%s: another fingerprint", what)
			}
			_, s := streams(t, other)
			if !slices.Equal(through(t, s, clips[0].features, nil), want) {
				t.Errorf("%s: other samples", what)
			}
		}
	})
	t.Run("hostile", func(t *testing.T) {
		fixture.Hostile(t, path)
		fixture.CutOff(t, "testdata/training/last.ckpt")
	})
	t.Run("every layer matters", func(t *testing.T) {
		matters(t, m.net.Encoder.Params(), func() []float32 { return through(t, analysis, clips[2].pcm, nil) })
		matters(t, m.net.Decoder.Params(), func() []float32 { return through(t, synthesis, clips[2].features, nil) })
	})
	t.Run("no tokens", func(t *testing.T) {
		if _, err := m.NewEncoder(0); err == nil {
			t.Error("it encodes")
		}
		if _, err := m.Decode(context.Background(), &codec.Tokens{Codes: []int32{0}, Frames: 1, Codebooks: 1}); err == nil {
			t.Error("it decodes tokens")
		}
		if _, err := synthesis.Push(nil, make([]float32, 7)); err == nil {
			t.Error("it takes a part of a frame")
		}
	})
}

func TestEnCodec(t *testing.T) {
	const path = "testdata/encodec"
	m, clips := load(t, path), fixture.Read(t, "testdata/encodec.fixture.safetensors")
	fixture.Waves(t, m, clips)
	t.Run("pieces", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, clip := range clips {
			want, err := m.Decode(context.Background(), &codec.Tokens{Codes: clip.Codes, Frames: len(clip.Codes) / clip.Codebooks, Codebooks: clip.Codebooks})
			if err != nil {
				t.Fatal(err)
			}
			d, err := m.NewDecoder(clip.Codebooks)
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			for at := 0; at < len(clip.Codes); {
				n := min(rng.IntN(20)*clip.Codebooks, len(clip.Codes)-at)
				if got, err = d.Decode(got, clip.Codes[at:at+n]); err != nil {
					t.Fatal(err)
				}
				at += n
			}
			if got, err = d.Flush(got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Error("other samples in pieces")
			}
		}
	})
	t.Run("convert", func(t *testing.T) {
		other := fixture.Converted(t, path)
		if other.Info().Fingerprint != m.Info().Fingerprint {
			t.Error("another fingerprint")
		}
		fixture.Waves(t, other, clips)
	})
	t.Run("hostile", func(t *testing.T) { fixture.Hostile(t, path) })
	t.Run("every layer matters", func(t *testing.T) {
		matters(t, m.net.Params(), func() (all []float32) {
			for _, clip := range clips { // of both bandwidths
				wave, err := m.Decode(context.Background(), &codec.Tokens{Codes: clip.Codes, Frames: len(clip.Codes) / clip.Codebooks, Codebooks: clip.Codebooks})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, wave...)
			}
			return all
		})
	})
	t.Run("tokens of others", func(t *testing.T) {
		sizes := m.Info().CodebookSizes
		h := codec.Header{Model: "encodec-24khz", Fingerprint: codec.Fingerprint{1}, CodebookSizes: sizes}
		c, err := m.DecoderOf(h)
		if err != nil {
			t.Fatal(err)
		}
		if c.Info().Fingerprint != h.Fingerprint || m.Info().Fingerprint == h.Fingerprint {
			t.Error("the fingerprint is not that of the tokens alone")
		}
		for _, h := range []codec.Header{{Model: "mimi", CodebookSizes: sizes}, {Model: "encodec-24khz", CodebookSizes: sizes[:1]}} {
			if _, err := m.DecoderOf(h); err == nil {
				t.Errorf("it decodes %d codebooks of %s", len(h.CodebookSizes), h.Model)
			}
		}
		if _, err := m.Encode(context.Background(), make([]float32, 100), 0); err == nil {
			t.Error("it encodes")
		}
	})
}

// matters holds that each parameter changes what run gives.
func matters(t *testing.T, params []*nn.Param, run func() []float32) {
	t.Helper()
	want := run()
	for _, p := range params {
		data := slices.Clone(p.Data)
		clear(p.Data)
		p.Changed()
		if slices.Equal(run(), want) {
			t.Errorf("%s does not matter", p.Name)
		}
		copy(p.Data, data)
		p.Changed()
	}
}

func TestFullSize(t *testing.T) {
	folder := os.Getenv("SOTTO_FULL")
	if folder == "" {
		t.Skip("SOTTO_FULL names no folder of full-size fixtures")
	}
	original(t, filepath.Join(folder, "vocos/mel.fixture.safetensors"), filepath.Join(folder, "vocos/mel"))
	m := load(t, filepath.Join(folder, "vocos/encodec"))
	t.Logf("%+v", m.Info())
	fixture.Waves(t, m, fixture.Read(t, filepath.Join(folder, "vocos/encodec.fixture.safetensors")))
}
