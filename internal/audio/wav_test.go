package audio

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	goaudio "github.com/go-audio/audio"
	gowav "github.com/go-audio/wav"
)

// memFile is an io.WriteSeeker in memory.
type memFile struct {
	b   []byte
	pos int
}

func (m *memFile) Write(p []byte) (int, error) {
	if n := m.pos + len(p); n > len(m.b) {
		m.b = append(m.b, make([]byte, n-len(m.b))...)
	}
	m.pos += copy(m.b[m.pos:], p)
	return len(p), nil
}

func (m *memFile) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		m.pos = int(off)
	case io.SeekCurrent:
		m.pos += int(off)
	case io.SeekEnd:
		m.pos = len(m.b) + int(off)
	}
	return int64(m.pos), nil
}

// pipe hides everything but Write.
type pipe struct{ io.Writer }

// grid gives random samples that an integer of the given depth holds exactly,
// its extremes among them.
func grid(rng *rand.Rand, n, bits int) []float32 {
	full := int64(1) << (bits - 1)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.Int64N(2*full)-full) / float32(full)
	}
	if n > 1 {
		x[0], x[1] = -1, float32(full-1)/float32(full)
	}
	return x
}

func readBytes(t *testing.T, b []byte, rng *rand.Rand) ([]float32, Reader) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), "test")
	if err != nil {
		t.Fatal(err)
	}
	var out []float32
	ch := r.Format().Channels
	buf := make([]float32, 1000*ch)
	for {
		n, err := r.Read(buf[:ch+rng.IntN(len(buf)-ch)])
		out = append(out, buf[:n]...)
		if n%ch != 0 {
			t.Fatalf("read %d samples of %d channels", n, ch)
		}
		if err == io.EOF {
			return out, r
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var writerCases = []struct {
	name string
	new  func(io.Writer, Format) (Writer, error)
	bits int
	fl   bool
}{
	{"wav16", NewWAVWriter, 16, false},
	{"wav24", NewWAVWriter, 24, false},
	{"wav32f", NewWAVWriter, 32, true},
	{"flac16", NewFLACWriter, 16, false},
	{"flac24", NewFLACWriter, 24, false},
}

// What is written comes back bit for bit, from files and through pipes.
func TestWriteRead(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, tc := range writerCases {
		for _, ch := range []int{1, 2, 3, 7} {
			for _, n := range []int{0, 1, 319, 320, 321, 4096, 4097, rng.IntN(20000)} {
				for _, rate := range []int{8000, 16000, 22050, 24000, 44100, 48000, 96000} {
					if rate != 24000 && n != 321 {
						continue
					}
					f := Format{SampleRate: rate, Channels: ch, Bits: tc.bits, Float: tc.fl}
					x := grid(rng, n*ch, min(tc.bits, 24))
					m := &memFile{}
					var stream bytes.Buffer
					for _, out := range []io.Writer{m, pipe{&stream}} {
						w, err := tc.new(out, f)
						if err != nil {
							t.Fatal(err)
						}
						for rest := x; len(rest) > 0; {
							k := min(len(rest), ch*(1+rng.IntN(3000)))
							if err := w.Write(rest[:k]); err != nil {
								t.Fatal(err)
							}
							rest = rest[k:]
						}
						if err := w.Close(); err != nil {
							t.Fatal(err)
						}
					}
					for kind, b := range map[string][]byte{"file": m.b, "pipe": stream.Bytes()} {
						y, r := readBytes(t, b, rng)
						got := r.Format()
						got.Kind = ""
						if got != f {
							t.Fatalf("%s %s: format %+v, want %+v", tc.name, kind, got, f)
						}
						if !slices.Equal(x, y) {
							t.Fatalf("%s %s: %d frames of %d channels at %d Hz did not come back", tc.name, kind, n, ch, rate)
						}
						if frames := r.Frames(); kind == "file" && n > 0 && frames != int64(n) {
							t.Fatalf("%s: %d frames declared, want %d", tc.name, frames, n)
						}
					}
				}
			}
		}
	}
}

// go-audio/wav reads what we write to a file.
func TestWAVWriterOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, bits := range []int{16, 24} {
		x := grid(rng, 2*5001, bits)
		path := filepath.Join(t.TempDir(), "x.wav")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := NewWAVWriter(f, Format{SampleRate: 22050, Channels: 2, Bits: bits})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(x); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.Seek(0, io.SeekStart)
		buf, err := gowav.NewDecoder(f).FullPCMBuffer()
		if err != nil {
			t.Fatal(err)
		}
		if len(buf.Data) != len(x) || buf.Format.SampleRate != 22050 || buf.Format.NumChannels != 2 {
			t.Fatalf("%d bits: %d samples, %+v", bits, len(buf.Data), buf.Format)
		}
		for i, v := range buf.Data {
			if float32(v)/float32(int(1)<<(bits-1)) != x[i] {
				t.Fatalf("%d bits: sample %d is %d, want %v", bits, i, v, x[i])
			}
		}
	}
}

// We read what go-audio/wav writes.
func TestWAVReaderOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, bits := range []int{8, 16, 24, 32} {
		for _, ch := range []int{1, 2, 5} {
			m := &memFile{}
			e := gowav.NewEncoder(m, 16000, bits, ch, 1)
			buf := &goaudio.IntBuffer{Format: &goaudio.Format{NumChannels: ch, SampleRate: 16000}}
			full := int64(1) << (bits - 1)
			for range 777 * ch {
				v := rng.Int64N(2*full) - full
				if bits == 8 {
					v += 128
				}
				buf.Data = append(buf.Data, int(v))
			}
			if err := e.Write(buf); err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			y, _ := readBytes(t, m.b, rng)
			if len(y) != len(buf.Data) {
				t.Fatalf("%d bits: %d samples, want %d", bits, len(y), len(buf.Data))
			}
			for i, v := range buf.Data {
				if bits == 8 {
					v -= 128
				}
				if want := float32(float64(v) / float64(full)); y[i] != want {
					t.Fatalf("%d bits: sample %d is %v, want %v", bits, i, y[i], want)
				}
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	for _, tc := range []struct {
		v    float32
		bits int
		want int32
	}{
		{0, 16, 0}, {1, 16, 32767}, {-1, 16, -32768}, {2, 16, 32767}, {-1e9, 16, -32768},
		{0.5 / 32768, 16, 0}, {1.5 / 32768, 16, 2}, {-0.5 / 32768, 16, 0}, {-1.5 / 32768, 16, -2},
		{0.51 / 32768, 16, 1}, {32766.5 / 32768, 16, 32766}, {32766.6 / 32768, 16, 32767},
		{float32(math.NaN()), 16, 0}, {float32(math.Inf(1)), 24, 1<<23 - 1}, {float32(math.Inf(-1)), 24, -1 << 23},
		{1, 32, math.MaxInt32}, {-1, 32, math.MinInt32}, {0.999999, 8, 127},
	} {
		if got := quantize(tc.v, tc.bits); got != tc.want {
			t.Errorf("quantize(%v, %d) = %d, want %d", tc.v, tc.bits, got, tc.want)
		}
	}
	for i := -32768; i < 32768; i++ {
		if got := quantize(float32(i)/32768, 16); got != int32(i) {
			t.Fatalf("%d came back as %d", i, got)
		}
	}
}

// Past 4 GiB a file of floats has 64-bit sizes, and one of integers ends with an
// error rather than with wrong sizes.
func TestWAVLarge(t *testing.T) {
	const size = 5 << 30
	m := &memFile{}
	f := Format{SampleRate: 48000, Channels: 2, Bits: 32, Float: true}
	w, err := NewWAVWriter(m, f)
	if err != nil {
		t.Fatal(err)
	}
	w.(*streamWriter).bytes = size
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(m.b), "large")
	if err != nil {
		t.Fatal(err)
	}
	if string(m.b[:4]) != "RF64" || r.Frames() != size/8 {
		t.Errorf("%q with %d frames, want RF64 with %d", m.b[:4], r.Frames(), size/8)
	}

	w, err = NewWAVWriter(&memFile{}, Format{SampleRate: 48000, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.(*intFileWriter).bytes = maxIntBytes - 4
	if err := w.Write(make([]float32, 2)); err != nil {
		t.Error(err)
	}
	if err := w.Write(make([]float32, 2)); err == nil {
		t.Error("a WAV file of integers grew past 4 GiB")
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Reading ten minutes allocates no more than reading a second.
func TestConstantMemory(t *testing.T) {
	const frames = 600 * 44100
	src := io.MultiReader(bytes.NewReader(wavHeader(1, 2, 44100, 16, 16, 0xffffffff)), io.LimitReader(zeros{}, 4*frames))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := NewReader(src, "-")
	if err != nil {
		t.Fatal(err)
	}
	rs := NewResampler(44100, 16000, 1)
	buf, mono, out, total := make([]float32, 8192), []float32(nil), []float32(nil), 0
	for {
		n, err := r.Read(buf)
		mono = Mono(mono[:0], buf[:n], 2)
		total += len(mono)
		if total < 10*44100 {
			out = rs.Process(out[:0], mono)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; total != frames || n > 4<<20 {
		t.Errorf("%d of %d frames, %d bytes allocated", total, frames, n)
	}
}

func TestMono(t *testing.T) {
	got := Mono(nil, []float32{1, 0, 0.5, -0.5, 0.25, 0.75}, 2)
	if !slices.Equal(got, []float32{0.5, 0, 0.5}) {
		t.Errorf("stereo: %v", got)
	}
	if got = Mono(got, []float32{0.1, 0.2}, 1); !slices.Equal(got, []float32{0.5, 0, 0.5, 0.1, 0.2}) {
		t.Errorf("mono: %v", got)
	}
}
