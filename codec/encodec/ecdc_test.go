package encodec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/published/fixture"
	"github.com/sotto-audio/sotto/internal/weights"
)

func load(t testing.TB, path string) *Model {
	t.Helper()
	c, err := codec.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Model)
}

// interleaved reads an array [channels, n] or [n] of a fixture.
func interleaved(t testing.TB, source weights.Source, name string) (pcm []float32, channels int) {
	t.Helper()
	x, err := source.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Shape) == 1 {
		return x.Data, 1
	}
	n := x.Shape[1]
	for i := range n {
		for c := range x.Shape[0] {
			pcm = append(pcm, x.Data[c*n+i])
		}
	}
	return pcm, x.Shape[0]
}

// The stereo model gives the segments, levels, codes and sound of the original, in
// both layouts.
func TestStereo(t *testing.T) {
	stereo(t, "testdata")
	fixture.Hostile(t, "testdata/stereo.th")
}

func TestStereoFullSize(t *testing.T) {
	folder := os.Getenv("SOTTO_FULL")
	if folder == "" {
		t.Skip("SOTTO_FULL names no folder of full-size fixtures")
	}
	stereo(t, filepath.Join(folder, "encodec"))
}

func stereo(t *testing.T, folder string) {
	clips := fixture.Read(t, filepath.Join(folder, "stereo.fixture.safetensors"))
	source, closer, err := weights.Open(filepath.Join(folder, "stereo.fixture.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	var fingerprint codec.Fingerprint
	for _, path := range []string{"stereo.th", "stereo"} {
		m := load(t, filepath.Join(folder, path))
		if fingerprint != m.Info().Fingerprint && fingerprint != (codec.Fingerprint{}) {
			t.Error("the layouts have other fingerprints")
		}
		fingerprint = m.Info().Fingerprint
		for i, clip := range clips {
			pcm, channels := interleaved(t, source, fmt.Sprintf("%d.pcm", i))
			if channels != m.Channels() || channels != 2 {
				t.Fatalf("%d channels", channels)
			}
			segments, err := m.EncodeSegments(context.Background(), pcm, 0)
			if err != nil {
				t.Fatal(err)
			}
			scales, err := source.Tensor(fmt.Sprintf("%d.scale", i))
			if err != nil {
				t.Fatal(err)
			}
			if len(segments) != len(scales.Data) {
				t.Fatalf("%d segments, the original has %d", len(segments), len(scales.Data))
			}
			at, different := 0, 0
			for k := range segments {
				seg := &segments[k]
				if d := seg.Scale/scales.Data[k] - 1; d > 1e-6 || d < -1e-6 {
					t.Errorf("segment %d has the level %g, the original's is %g", k, seg.Scale, scales.Data[k])
				}
				for f := range seg.Frames {
					for q, code := range seg.Frame(f) {
						if j := at + f*seg.Codebooks + q; code != clip.Codes[j] {
							if clip.Margin[j] > 1e-5 {
								t.Fatalf("clip %d: code %d is %d, the original's %d by a margin of %g", i, j, code, clip.Codes[j], clip.Margin[j])
							}
							different++
							break // a tie
						}
					}
				}
				at += len(seg.Codes)
				// The original's codes, for the sound.
				seg.Codes, seg.Scale = clip.Codes[at-len(seg.Codes):at], scales.Data[k]
			}
			if at != len(clip.Codes) || different > at/1000 {
				t.Fatalf("%d codes of %d, %d ties", at, len(clip.Codes), different)
			}
			wave, err := m.DecodeSegments(context.Background(), segments)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := interleaved(t, source, fmt.Sprintf("%d.wave", i))
			if len(wave) != len(want) {
				t.Fatalf("%d samples, the original gives %d", len(wave), len(want))
			}
			snr := fixture.SNR(want, wave)
			t.Logf("clip %d: %d segments, %d ties, %.1f dB", i, len(segments), different, snr)
			if !(snr >= 60) {
				t.Errorf("%.1f dB beside the original's sound", snr)
			}
		}
		if _, err := m.NewEncoder(0); err == nil {
			t.Error("the stereo model encodes one channel")
		}
	}
}

// Files of the original are read, and written with the same bytes.
func TestOriginalFiles(t *testing.T) {
	for name, path := range map[string]string{"small": "testdata/small.th", "stereo": "testdata/stereo.th"} {
		t.Run(name, func(t *testing.T) {
			m := load(t, path)
			file, err := os.ReadFile("testdata/" + name + ".ecdc")
			if err != nil {
				t.Fatal(err)
			}
			r := bytes.NewReader(file)
			h, err := ReadHeader(r)
			if err != nil {
				t.Fatal(err)
			}
			segments, err := m.ReadECDC(r, h)
			if err != nil {
				t.Fatal(err)
			}
			if r.Len() > 0 {
				t.Errorf("%d bytes are left", r.Len())
			}
			var codes []int32
			for _, s := range segments {
				codes = append(codes, s.Codes...)
			}
			clip := fixture.Read(t, "testdata/"+name+".fixture.safetensors")[0]
			if !slices.Equal(codes, clip.Codes) {
				t.Error("other codes than the original's")
			}
			var again bytes.Buffer
			if err := m.WriteECDC(&again, h.Samples, segments); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), file) {
				t.Error("written again, the file has other bytes")
			}
			for cut := range len(file) {
				r := bytes.NewReader(file[:cut])
				h, err := ReadHeader(r)
				if err == nil {
					_, err = m.ReadECDC(r, h)
				}
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("cut to %d bytes: %v", cut, err)
				}
			}
		})
	}
}

// Codes of any size come back from their bits.
func TestPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n := 1; n <= 16; n++ {
		codes := make([]int32, rng.IntN(100))
		for i := range codes {
			codes[i] = rng.Int32N(1 << n)
		}
		packed := pack(codes, n)
		if len(packed) != (len(codes)*n+7)/8 {
			t.Fatalf("%d bytes", len(packed))
		}
		u := &unpacker{r: bytes.NewReader(packed)}
		for i, c := range codes {
			if got, err := u.next(n); err != nil || got != c {
				t.Fatalf("code %d of %d bits is %d, was %d (%v)", i, n, got, c, err)
			}
		}
	}
}

func FuzzReadECDC(f *testing.F) {
	m := load(f, "testdata/small.th")
	file, err := os.ReadFile("testdata/small.ecdc")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte("ECDC\x00\x00\x00\x00\x34{\"m\": \"encodec_24khz\", \"al\": 99999999, \"nc\": 4, \"lm\": false}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r := bytes.NewReader(file)
		h, err := ReadHeader(r)
		if err != nil {
			return
		}
		segments, err := m.ReadECDC(r, h)
		if err != nil {
			return
		}
		for _, s := range segments {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
