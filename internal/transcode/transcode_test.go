package transcode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// memory is an audio.Reader over interleaved samples that gives pieces of random
// lengths.
type memory struct {
	f   audio.Format
	pcm []float32
	rng *rand.Rand
	err error // after the samples; nil is io.EOF
}

func (m *memory) Format() audio.Format { return m.f }
func (m *memory) Frames() int64        { return -1 }
func (m *memory) Close() error         { return nil }
func (m *memory) Read(dst []float32) (int, error) {
	ch := m.f.Channels
	if len(m.pcm) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		return 0, io.EOF
	}
	n := min(len(dst)/ch, len(m.pcm)/ch, 1+m.rng.IntN(5000)) * ch
	copy(dst, m.pcm[:n])
	m.pcm = m.pcm[n:]
	return n, nil
}

// sound gives values that the fake codec keeps.
func sound(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = (float32(rng.IntN(levels)) - 8) / 8
	}
	return x
}

func encode(t *testing.T, c codec.Codec, src audio.Reader, o EncodeOptions) ([]byte, Summary) {
	t.Helper()
	var file bytes.Buffer
	sum, err := Encode(t.Context(), c, src, &file, o)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Bytes != int64(file.Len()) {
		t.Errorf("summary says %d bytes, the file has %d", sum.Bytes, file.Len())
	}
	return file.Bytes(), sum
}

func decode(t *testing.T, c codec.Codec, file []byte) ([]float32, *Decoder) {
	t.Helper()
	r, err := codec.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(c, r)
	if err != nil {
		t.Fatal(err)
	}
	var out collect
	if _, err := Copy(t.Context(), &out, d, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return out.pcm, d
}

// collect is an audio.Writer into memory.
type collect struct{ pcm []float32 }

func (c *collect) Write(pcm []float32) error { c.pcm = append(c.pcm, pcm...); return nil }
func (c *collect) Close() error              { return nil }

// TestSameLength: the number of samples, the rate and the channels come back.
func TestSameLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000, 96000} {
		for _, channels := range []int{1, 2, 3} {
			for _, n := range []int{0, 1, 2, 159, 160, 161, 319, 320, 321, 1 + rng.IntN(3*rate)} {
				t.Run(fmt.Sprintf("%d Hz %d channels %d samples", rate, channels, n), func(t *testing.T) {
					c := fake{16000, 40}
					f := audio.Format{SampleRate: rate, Channels: channels, Bits: 16}
					pcm := sound(rng, n*channels)
					file, sum := encode(t, c, &memory{f: f, pcm: pcm, rng: rng}, EncodeOptions{})
					if sum.Samples != int64(n) {
						t.Errorf("summary says %d samples", sum.Samples)
					}
					got, d := decode(t, c, file)
					if f := d.Format(); f.SampleRate != rate || f.Channels != channels {
						t.Errorf("comes back with %d channels at %d Hz", f.Channels, f.SampleRate)
					}
					if len(got) != n*channels {
						t.Fatalf("%d samples come back", len(got)/channels)
					}
					if len(d.Damage()) > 0 {
						t.Errorf("damage: %v", d.Damage())
					}
					if rate == 16000 && !slices.Equal(got, pcm) {
						t.Error("the samples differ")
					}
				})
			}
		}
	}
}

func TestMono(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := audio.Format{SampleRate: 16000, Channels: 2}
	pcm := []float32{0.5, 0, -0.25, 0.5, 0.25, 0.25}
	file, sum := encode(t, fake{16000, 2}, &memory{f: f, pcm: pcm, rng: rng}, EncodeOptions{Mono: true})
	got, _ := decode(t, fake{16000, 2}, file)
	if want := []float32{0.25, 0.125, 0.25}; sum.Channels != 1 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDamage: one changed byte of the payload costs one packet.
func TestDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := fake{16000, 40}
	f := audio.Format{SampleRate: 16000, Channels: 2}
	pcm := sound(rng, 2*16000)
	file, _ := encode(t, c, &memory{f: f, pcm: pcm, rng: rng}, EncodeOptions{PacketFrames: 40})
	file[len(file)/2] ^= 1
	got, d := decode(t, c, file)
	if len(got) != len(pcm) || len(d.Damage()) != 1 {
		t.Fatalf("%d samples, damage %v", len(got), d.Damage())
	}
	concealed := 0
	for i, v := range got {
		switch v {
		case lost:
			concealed++
		case pcm[i]:
		default:
			t.Fatalf("sample %d is wrong", i)
		}
	}
	if concealed != 40*40*2 {
		t.Errorf("%d samples concealed, want one packet of %d", concealed, 40*40*2)
	}
}

// TestTruncated: what is whole comes back, whatever the place of the cut.
func TestTruncated(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := fake{16000, 40}
	pcm := sound(rng, 16000)
	file, _ := encode(t, c, &memory{f: audio.Format{SampleRate: 16000, Channels: 1}, pcm: pcm, rng: rng}, EncodeOptions{PacketFrames: 40})
	for cut := 1200; cut < len(file); cut += 997 {
		got, d := decode(t, c, file[:cut])
		if len(got) > len(pcm) || !slices.Equal(got, pcm[:len(got)]) {
			t.Errorf("cut at %d: %d samples that differ", cut, len(got))
		}
		if len(d.Damage()) == 0 {
			t.Errorf("cut at %d of %d: not reported", cut, len(file))
		}
	}
}

func TestBrokenSource(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := fake{16000, 40}
	pcm := sound(rng, 20000)
	broken := errors.New("the source broke")
	var file bytes.Buffer
	_, err := Encode(t.Context(), c, &memory{f: audio.Format{SampleRate: 16000, Channels: 1}, pcm: pcm, rng: rng, err: broken}, &file, EncodeOptions{})
	var damage *DamageError
	if !errors.As(err, &damage) || !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if got, _ := decode(t, c, file.Bytes()); !slices.Equal(got, pcm) {
		t.Errorf("%d samples of %d were saved", len(got), len(pcm))
	}
}

func TestOtherWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	file, _ := encode(t, fake{16000, 40}, &memory{f: audio.Format{SampleRate: 8000, Channels: 1}, rng: rng}, EncodeOptions{})
	r, err := codec.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewDecoder(other{fake{16000, 40}}, r)
	var weights *codec.WeightsError
	if !errors.As(err, &weights) {
		t.Errorf("other weights: %v", err)
	}
}

type other struct{ fake }

func (o other) Info() codec.Info {
	i := o.fake.Info()
	i.Fingerprint[0]++
	return i
}

// TestContradiction: a header that names the weights but not their shape.
func TestContradiction(t *testing.T) {
	c := fake{16000, 2}
	good := codec.Header{
		Model: "fake", Fingerprint: c.Info().Fingerprint, ModelRate: 16000, HopLength: 2,
		SampleRate: 16000, Channels: 1, Samples: -1, CodebookSizes: c.Info().CodebookSizes,
	}
	for name, edit := range map[string]func(h *codec.Header){
		"rate":           func(h *codec.Header) { h.ModelRate = 8000 },
		"hop length":     func(h *codec.Header) { h.HopLength = 3 },
		"codebook size":  func(h *codec.Header) { h.CodebookSizes = []int{levels, 2 * levels} },
		"more codebooks": func(h *codec.Header) { h.CodebookSizes = []int{levels, levels, levels} },
	} {
		h := good
		edit(&h)
		var file bytes.Buffer
		w, err := codec.NewWriter(&file, h)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(0); err != nil {
			t.Fatal(err)
		}
		r, err := codec.NewReader(&file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewDecoder(c, r); !errors.Is(err, codec.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestShortBuffer: a buffer that holds no frame is refused, not waited for.
func TestShortBuffer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := fake{16000, 40}
	file, _ := encode(t, c, &memory{f: audio.Format{SampleRate: 16000, Channels: 2}, pcm: sound(rng, 2000), rng: rng}, EncodeOptions{})
	r, err := codec.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(c, r)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.Read(make([]float32, 1)); n != 0 || !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("%d samples, %v", n, err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rng := rand.New(rand.NewPCG(1, 2))
	src := &memory{f: audio.Format{SampleRate: 8000, Channels: 1}, pcm: make([]float32, 9000), rng: rng}
	if _, err := Encode(ctx, fake{16000, 40}, src, io.Discard, EncodeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("encoding goes on: %v", err)
	}
}

func TestCodebooks(t *testing.T) {
	info := codec.Info{CodebookSizes: []int{8, 8, 8}, Levels: []int{1, 3}, Bitrates: []float64{1500, 4500}}
	for _, c := range []struct {
		kbps float64
		want int
		ok   bool
	}{{0, 3, true}, {1.5, 1, true}, {4.5, 3, true}, {2, 0, false}, {4.501, 0, false}} {
		got, err := Codebooks(info, c.kbps)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%v kbit/s: %d, %v", c.kbps, got, err)
		}
	}
	// Uneven steps are met nearby.
	info = codec.Info{CodebookSizes: []int{711, 1029}, Levels: []int{1, 2}, Bitrates: []float64{475, 980}}
	for kbps, want := range map[float64]int{0.475: 1, 0.5: 1, 1: 2, 0.93: 2, 0.7: 0, 1.1: 0} {
		if got, err := Codebooks(info, kbps); got != want || (err == nil) != (want > 0) {
			t.Errorf("%v kbit/s: %d, %v", kbps, got, err)
		}
	}
}

// TestMemory: what a header claims sizes no buffer.
func TestMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := audio.Format{SampleRate: audio.MaxSampleRate, Channels: audio.MaxChannels}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	file, _ := encode(t, fake{16000, 40}, &memory{f: f, pcm: sound(rng, 100*f.Channels), rng: rng}, EncodeOptions{})
	got, _ := decode(t, fake{16000, 40}, file)
	runtime.ReadMemStats(&after)
	if len(got) != 100*f.Channels {
		t.Errorf("%d samples come back", len(got))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MB were allocated for a hundred frames", n>>20)
	}
}
