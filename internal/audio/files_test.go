package audio

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readFile reads a clip of testdata from disk and through a pipe that gives one
// byte at a time, and demands that both are equal.
func readClip(t *testing.T, name string) ([]float32, Format) {
	t.Helper()
	path := filepath.Join("testdata", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := drain(t, name, r)
	if n := r.Frames(); n >= 0 && n != int64(len(x)/r.Format().Channels) {
		t.Errorf("%s: %d frames declared, %d there", name, n, len(x)/r.Format().Channels)
	}
	p, err := NewReader(iotest.OneByteReader(bytes.NewReader(b)), "-")
	if err != nil {
		t.Fatal(err)
	}
	if y := drain(t, name, p); !slices.Equal(x, y) || p.Format() != r.Format() {
		t.Errorf("%s: file and pipe differ", name)
	}
	return x, r.Format()
}

// drain reads in pieces of varied size.
func drain(t *testing.T, name string, r Reader) (out []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	ch := r.Format().Channels
	buf := make([]float32, 3000*ch)
	for {
		n, err := r.Read(buf[:ch+rng.IntN(len(buf)-ch)])
		if n%ch != 0 || n == 0 && err == nil {
			t.Fatalf("%s: read %d samples of %d channels without an error", name, n, ch)
		}
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// clip16 parses a 44-byte-header WAV of 16-bit integers by hand.
func clip16(t *testing.T, name string) []float32 {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if string(b[36:40]) != "data" {
		t.Fatalf("%s has no plain header", name)
	}
	b = b[44:]
	x := make([]float32, len(b)/2)
	for i := range x {
		x[i] = float32(int16(uint16(b[2*i])|uint16(b[2*i+1])<<8)) / 32768
	}
	return x
}

// Every lossless kind of the same clip gives its samples exactly; G.711 and
// 8 bits give those of ffmpeg.
func TestLossless(t *testing.T) {
	for _, tc := range []struct {
		name, ref string
		bits      int
		float     bool
		kind      string
	}{
		{"mono16k.wav", "mono16k.wav", 16, false, "wav"},
		{"stereo44k.wav", "stereo44k.wav", 16, false, "wav"},
		{"s24.wav", "mono16k.wav", 24, false, "wav"},
		{"s32.wav", "mono16k.wav", 32, false, "wav"},
		{"f32.wav", "mono16k.wav", 32, true, "wav"},
		{"f64.wav", "mono16k.wav", 64, true, "wav"},
		{"ext24.wav", "mono16k.wav", 24, false, "wav"},
		{"chunks.wav", "mono16k.wav", 16, false, "wav"},
		{"pipe.wav", "mono16k.wav", 16, false, "wav"},
		{"rf64.wav", "mono16k.wav", 16, false, "wav"},
		{"mono16k.flac", "mono16k.wav", 16, false, "flac"},
		{"stereo44k.flac", "stereo44k.wav", 16, false, "flac"},
		{"u8.wav", "u8.ref.wav", 8, false, "wav"},
		{"alaw.wav", "alaw.ref.wav", 8, false, "wav"},
		{"mulaw.wav", "mulaw.ref.wav", 8, false, "wav"},
	} {
		x, f := readClip(t, tc.name)
		want := Format{SampleRate: 16000, Channels: 1, Bits: tc.bits, Float: tc.float, Kind: tc.kind}
		if strings.HasPrefix(tc.name, "stereo44k") {
			want.SampleRate, want.Channels = 44100, 2
		}
		if f != want {
			t.Errorf("%s: format %+v, want %+v", tc.name, f, want)
		}
		if ref := clip16(t, tc.ref); !slices.Equal(x, ref) {
			t.Errorf("%s: %d samples differ from the %d of %s", tc.name, len(x), len(ref), tc.ref)
		}
	}
	// 24 bits at 24 kHz, where frame headers are changed on their way to the
	// decoder.
	wav, _ := readClip(t, "s24at24k.wav")
	flac, f := readClip(t, "s24at24k.flac")
	if !slices.Equal(wav, flac) || f.SampleRate != 24000 || f.Bits != 24 {
		t.Errorf("s24at24k: FLAC (%+v) differs from WAV", f)
	}
}

func TestRawPCM(t *testing.T) {
	b, err := os.ReadFile("testdata/mono16k.s16")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewPCMReader(iotest.HalfReader(bytes.NewReader(append(b, 7))), Format{SampleRate: 16000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	if x := drain(t, "raw", r); !slices.Equal(x, clip16(t, "mono16k.wav")) {
		t.Error("raw 16-bit PCM differs from the WAV file")
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for _, f := range []Format{
		{Bits: 8}, {Bits: 16}, {Bits: 24}, {Bits: 32}, {Bits: 32, Float: true}, {Bits: 64, Float: true},
	} {
		f.SampleRate, f.Channels = 8000, 3
		c, err := pcmCoding(f.Bits, f.Float)
		if err != nil {
			t.Fatal(err)
		}
		x := grid(rng, 3*500, min(f.Bits, 24))
		r, err := NewPCMReader(bytes.NewReader(c.encode(nil, x)), f)
		if err != nil {
			t.Fatal(err)
		}
		if y := drain(t, "raw", r); !slices.Equal(x, y) {
			t.Errorf("%+v: samples differ", f)
		}
	}
	for _, kind := range []string{"alaw", "mulaw"} {
		b, err := os.ReadFile("testdata/" + kind + ".wav")
		if err != nil {
			t.Fatal(err)
		}
		ref := clip16(t, kind+".ref.wav")
		at := bytes.Index(b, []byte("data")) + 8
		r, err := NewPCMReader(bytes.NewReader(b[at:at+len(ref)]), Format{SampleRate: 16000, Channels: 1, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if x := drain(t, kind, r); !slices.Equal(x, ref) {
			t.Errorf("raw %s differs from the WAV file", kind)
		}
	}
	for _, f := range []Format{{}, {SampleRate: 8000}, {SampleRate: 8000, Channels: 65}, {SampleRate: 8000, Channels: 1, Bits: 40},
		{SampleRate: 8000, Channels: 1, Bits: 16, Float: true}, {SampleRate: 1e6, Channels: 1}} {
		if _, err := NewPCMReader(nil, f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

// Lossy kinds have the length and alignment of ffmpeg, oggdec or opusdec and equal their
// samples to 60 dB and better, SILK and hybrid to 40 dB.
func TestLossy(t *testing.T) {
	for _, name := range []string{"stereo44k.mp3", "mono16k.mp3", "bare.mp3", "stereo44k.ogg", "mono16k.ogg", "silk.opus", "hybrid.opus", "celt.opus"} {
		x, f := readClip(t, name)
		ref, rf := readClip(t, strings.ReplaceAll(name, ".", "-")+".ref.wav")
		if f.SampleRate != rf.SampleRate || f.Channels != rf.Channels || len(x) != len(ref) {
			t.Errorf("%s: %+v with %d samples, the reference has %+v with %d", name, f, len(x), rf, len(ref))
			continue
		}
		d := make([]float32, len(x))
		for i := range x {
			d[i] = x[i] - ref[i]
		}
		floor := 60.0
		if name == "silk.opus" || name == "hybrid.opus" { // as near as github.com/pion/opus comes
			floor = 40
		}
		if snr := 10 * math.Log10(power(ref)/power(d)); snr < floor {
			t.Errorf("%s: %.1f dB to the reference", name, snr)
		}
	}
}

// ReadMono gives the mean of the channels, at the rate asked for.
func TestReadMono(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWAVWriter(f, Format{SampleRate: 8000, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]float32{0.5, 0.25, -0.5, 0, 0.125, 0.125}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadMono(path, 8000); err != nil || !slices.Equal(got, []float32{0.375, -0.25, 0.125}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ReadMono(path, 20000); err != nil || len(got) != 8 { // ceil(3*20000/8000)
		t.Errorf("%d samples, %v, want 8", len(got), err)
	}
	if _, err := ReadMono(path+".none", 8000); err == nil {
		t.Error("a missing file was read")
	}
}
