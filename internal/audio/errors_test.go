package audio

import (
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What cannot be read gives one line that says what it is and what to do.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		path string
		want []string
	}{
		{filepath.Join(dir, "missing.wav"), []string{"missing.wav", "no such file"}},
		{dir, []string{dir, "is a directory"}},
		{write("empty.wav", ""), []string{"empty.wav", "is empty"}},
		{write("notes.wav", "Dear all,\nthis is no sound: äöü.\n"), []string{"notes.wav", "text file"}},
		{write("random.wav", "\x01\x02\x03\x04\x80\x81"), []string{"no known audio format", "ffmpeg -i "}},
		{write("riff.wav", "RIFF\x10\x00\x00\x00WEBPVP8 "), []string{"no WAV"}},
		{write("short.wav", "RIFF\x10\x00\x00\x00WAVE"), []string{"short.wav", "fmt chunk"}},
		{write("short.ogg", "OggS\x00\x02"), []string{"cut off"}},
		{write("short.flac", "fLaC\x00\x00\x00\x22"), []string{"FLAC header is damaged"}},
		{write("video.mp4", "\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"), []string{"M4A/MP4", "ffmpeg -i "}},
		{"testdata/not.m4a", []string{"an M4A/MP4 file", "ffmpeg -i testdata/not.m4a -f wav - | sotto encode - out.sotto"}},
		{write("it's mine.m4a", "\x00\x00\x00\x20ftypM4A "), []string{`it'\''s mine.m4a' -f wav`}},
		{"testdata/not.aac", []string{"raw AAC", "ffmpeg"}},
		{"testdata/not.webm", []string{"WebM", "ffmpeg"}},
		{"testdata/not.aiff", []string{"AIFF", "ffmpeg"}},
		{"testdata/not.mp2", []string{"MPEG audio of layer II", "ffmpeg"}},
		{"testdata/not8k.mp3", []string{"MPEG 2.5", "ffmpeg"}},
	} {
		r, err := Open(tc.path)
		if err == nil {
			r.Close()
			t.Errorf("%s was opened", tc.path)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", tc.path, err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q has several lines", tc.path, err)
		}
	}
	_, err := NewReader(strings.NewReader(""), "-")
	if err == nil || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("empty pipe: %v", err)
	}
}

// wavHeader gives a header whose parts can be wrong.
func wavHeader(tag, channels uint16, rate uint32, bits uint16, fmtSize, dataSize uint32) []byte {
	le := binary.LittleEndian
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt ")
	b = le.AppendUint32(b, fmtSize)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, channels)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, channels*bits/8)
	b = le.AppendUint16(b, bits)
	b = append(b, "data"...)
	return le.AppendUint32(b, dataSize)
}

// Headers that claim anything allocate next to nothing and end at once.
func TestHostileHeaders(t *testing.T) {
	wav := func(channels uint16, rate uint32, bits uint16) []byte {
		return append(wavHeader(1, channels, rate, bits, 16, 0xffffffff), make([]byte, 600)...)
	}
	chunk := func(id string, size uint32) []byte {
		b := []byte("RIFF\x00\x00\x00\x00WAVE" + id)
		return append(binary.LittleEndian.AppendUint32(b, size), make([]byte, 40)...)
	}
	ds64 := append([]byte("RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00"), bytes.Repeat([]byte{0xff}, 28)...)
	ds64 = append(ds64, wavHeader(1, 1, 8000, 16, 16, 0xffffffff)[12:]...)
	mp3, err := os.ReadFile("testdata/mono16k.mp3")
	if err != nil {
		t.Fatal(err)
	}
	ogg, err := os.ReadFile("testdata/mono16k.ogg")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"fmt size", wavHeader(1, 1, 8000, 16, 0xfffffff0, 0), false},
		{"LIST size", chunk("LIST", 0xfffffff0), false},
		{"data before fmt", chunk("data", 0xfffffff0), false},
		{"channels 65535", wav(65535, 8000, 8), false},
		{"channels 65", wav(65, 8000, 8), false},
		{"channels 64", wav(64, 8000, 8), true},
		{"channels 0", wav(0, 8000, 16), false},
		{"rate 0", wav(1, 0, 16), false},
		{"rate 4e9", wav(1, 4e9, 16), false},
		{"rate 1", wav(1, 1, 16), true},
		{"bits 0", wav(1, 8000, 0), false},
		{"bits 65535", wav(1, 8000, 65535), false},
		{"data size 2^32-2", append(wavHeader(1, 2, 8000, 16, 16, 0xfffffffe), 1, 2, 3, 4, 5), true},
		{"ds64 sizes 2^64-1", append(ds64, 1, 2), true},
		{"ADPCM", wavHeader(2, 1, 8000, 4, 16, 100), false},
		{"ID3 size 2^28-1", []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7fabc"), false},
		{"ID3 in front", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x03abc"), mp3...), true},
		{"Ogg header only", ogg[:58], false},
		{"Ogg page without segments", append(append(append([]byte{}, ogg[:58]...), ogg[:26]...), 0), false},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := NewReader(bytes.NewReader(tc.b), tc.name)
		if err == nil {
			_, err = ReadAll(r)
		}
		runtime.ReadMemStats(&after)
		if (err == nil) != tc.ok {
			t.Errorf("%s: error %v", tc.name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: %d bytes were allocated", tc.name, n)
		}
	}
}

// Sizes of WAV data on pipes: placeholders mean "to the end", true sizes stop
// before other chunks, and a clip may be empty.
func TestWAVSizes(t *testing.T) {
	le := binary.LittleEndian
	for _, tc := range []struct {
		name       string
		riff, data uint32
		tail       string
		want       int // samples
		frames     int64
	}{
		{"all ones", 0xffffffff, 0xffffffff, "abcdef", 3, -1},
		{"zeros", 0, 0, "abcdef", 3, -1},
		{"header only sizes", 36, 0, "abcdef", 3, -1},
		{"RIFF all ones", 0xffffffff, 0, "abcdef", 3, -1},
		{"empty", 36, 0, "", 0, -1},
		{"empty with a chunk behind", 36 + 12, 0, "LIST\x04\x00\x00\x00abcd", 0, 0},
		{"chunk behind", 36 + 4 + 12, 4, "abcdLIST\x04\x00\x00\x00abcd", 2, 2},
		{"odd end", 0xffffffff, 0xffffffff, "abcde", 2, -1},
		{"cut off", 36 + 100, 100, "abcde", 2, 50},
	} {
		b := append(wavHeader(1, 1, 8000, 16, 16, tc.data), tc.tail...)
		le.PutUint32(b[4:], tc.riff)
		r, err := NewReader(bytes.NewReader(b), tc.name)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if r.Frames() != tc.frames {
			t.Errorf("%s: %d frames declared, want %d", tc.name, r.Frames(), tc.frames)
		}
		x, err := ReadAll(r)
		if len(x[0]) != tc.want {
			t.Errorf("%s: %d samples, want %d", tc.name, len(x[0]), tc.want)
		}
		if cut := tc.name == "cut off"; cut != (err != nil) || cut && !strings.Contains(err.Error(), "the last 48 of 50 samples are missing") {
			t.Errorf("%s: error %v", tc.name, err)
		}
	}
}

// A FLAC file that is cut off or changed gives whole frames, then an error.
func TestFLACDamage(t *testing.T) {
	for _, name := range []string{"stereo44k.flac", "s24at24k.flac"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := readAllBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		total := len(r[0])
		x, _, err := readAllBytes(b[:len(b)-5])
		if err == nil || !strings.Contains(err.Error(), "cut off") || len(x[0]) == 0 && total > 4096 || len(x[0]) >= total {
			t.Errorf("%s cut off: %d of %d samples, error %v", name, len(x[0]), total, err)
		}
		bad := bytes.Clone(b)
		bad[len(bad)-100] ^= 4
		x, _, err = readAllBytes(bad)
		if err == nil || !strings.Contains(err.Error(), "damaged") || len(x[0]) >= total {
			t.Errorf("%s with a wrong byte: %d of %d samples, error %v", name, len(x[0]), total, err)
		}
		bad = bytes.Clone(b)
		bad[8+18] ^= 1 // first byte of the MD5 sum
		if x, _, err = readAllBytes(bad); err == nil || !strings.Contains(err.Error(), "MD5") || len(x[0]) != total {
			t.Errorf("%s with a wrong MD5 sum: %d of %d samples, error %v", name, len(x[0]), total, err)
		}
		// Bytes behind the last frame are no audio.
		if x, _, err = readAllBytes(append(bytes.Clone(b), "TAG and so on"...)); err != nil || len(x[0]) != total {
			t.Errorf("%s with a tag behind: %v", name, err)
		}
	}
}

func readAllBytes(b []byte) ([][]float32, Format, error) {
	r, err := NewReader(bytes.NewReader(b), "test")
	if err != nil {
		return nil, Format{}, err
	}
	x, err := ReadAll(r)
	return x, r.Format(), err
}

// Cut MP3 and Vorbis files give what is whole, the latter with an error.
func TestLossyCut(t *testing.T) {
	for name, wantErr := range map[string]bool{"stereo44k.mp3": false, "stereo44k.ogg": true} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		x, _, err := readAllBytes(b[:len(b)*3/4])
		if (err != nil) != wantErr {
			t.Errorf("%s: error %v", name, err)
		}
		if name == "stereo44k.mp3" && len(x[0]) < 3000 {
			t.Errorf("%s: only %d frames", name, len(x[0]))
		}
	}
}

// A chained Ogg file is read through, and MP3 files put together play on.
func TestChained(t *testing.T) {
	for _, name := range []string{"stereo44k.ogg", "mono16k.ogg"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		one, _, err := readAllBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		two, _, err := readAllBytes(append(bytes.Clone(b), b...))
		if err != nil || len(two[0]) != 2*len(one[0]) {
			t.Errorf("%s twice: %d samples of 2*%d (%v)", name, len(two[0]), len(one[0]), err)
		}
	}
}

// The FLAC library logs about 24 kHz; none of that may reach the program's log,
// whose settings stay as they are.
func TestFLACKeepsLog(t *testing.T) {
	var buf bytes.Buffer
	old := log.Writer()
	log.SetOutput(&buf)
	defer log.SetOutput(old)
	if _, _, err := ReadFile("testdata/s24at24k.flac"); err != nil {
		t.Fatal(err)
	}
	m := &memFile{}
	w, err := NewFLACWriter(m, Format{SampleRate: 24000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(tone(440, 24000, 24000, 0.5)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAllBytes(m.b); err != nil {
		t.Fatal(err)
	}
	if buf.Len() > 0 || log.Writer() != io.Writer(&buf) {
		t.Errorf("log has %q", buf.String())
	}
}

func FuzzNewReader(f *testing.F) {
	names, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && len(b) < 12000 && filepath.Ext(name) != ".py" {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), "fuzz")
		if err != nil {
			return
		}
		checkStream(t, r)
	})
}

// checkStream reads up to a bound and checks the contract of Read.
func checkStream(t *testing.T, r Reader) {
	f := r.Format()
	if err := f.validate(); err != nil {
		t.Fatalf("opened with %v", err)
	}
	buf := make([]float32, 1024*f.Channels)
	for range 10000 {
		n, err := r.Read(buf)
		if n%f.Channels != 0 || n == 0 && err == nil {
			t.Fatalf("read %d samples of %d channels, error %v", n, f.Channels, err)
		}
		for _, v := range buf[:n] {
			if v-v != 0 {
				t.Fatalf("sample %v", v)
			}
		}
		if err != nil {
			if _, again := r.Read(buf); again == nil {
				t.Fatalf("goes on after %v", err)
			}
			return
		}
	}
}

func FuzzWAV(f *testing.F) {
	for _, tag := range []uint16{1, 3, 6, 7, 0xfffe} {
		f.Add(append(wavHeader(tag, 2, 8000, 16, 16, 8), "abcdefgh"...))
	}
	b, err := os.ReadFile("testdata/chunks.wav")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:300])
	f.Fuzz(func(t *testing.T, b []byte) {
		// The magic is given, so that the fuzzer need not find it.
		b = append([]byte("RIFF\x00\x00\x00\x00WAVE"), b[min(len(b), 12):]...)
		if r, err := NewReader(bytes.NewReader(b), "fuzz"); err == nil {
			checkStream(t, r)
		}
	})
}

// FuzzOgg corrects the checksums of pages, without which no change would
// reach the codec.
func FuzzOgg(f *testing.F) {
	for _, name := range []string{"mono16k.ogg", "stereo44k.ogg", "silk.opus", "hybrid.opus", "celt.opus"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for p := 0; len(b)-p > 27 && string(b[p:p+4]) == "OggS"; {
			end := p + 27 + int(b[p+26])
			if end > len(b) {
				break
			}
			for _, s := range b[p+27 : end] {
				end += int(s)
			}
			end = min(end, len(b))
			clear(b[p+22 : p+26])
			binary.LittleEndian.PutUint32(b[p+22:], oggChecksum(b[p:end]))
			p = end
		}
		if r, err := NewReader(bytes.NewReader(b), "fuzz"); err == nil {
			checkStream(t, r)
		}
	})
}

// FuzzFLAC corrects the checksum of every frame header that is found, so that
// changes reach the subframes.
func FuzzFLAC(f *testing.F) {
	for _, name := range []string{"mono16k.flac", "s24at24k.flac"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for p := 42; p+7 < len(b); p++ {
			if b[p] == 0xff && b[p+1]&0xfe == 0xf8 {
				b[p+5] = crc8(b[p : p+5])
			}
		}
		if r, err := NewReader(bytes.NewReader(b), "fuzz"); err == nil {
			checkStream(t, r)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"stereo44k.wav", "s24.wav", "stereo44k.flac", "stereo44k.mp3", "stereo44k.ogg"} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile("testdata/" + name)
			if err != nil {
				b.Fatal(err)
			}
			var buf [8192]float32
			var seconds float64
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(data), name)
				if err != nil {
					b.Fatal(err)
				}
				f := r.Format()
				for {
					n, err := r.Read(buf[:])
					seconds += float64(n) / float64(f.SampleRate*f.Channels)
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(seconds/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	x := tone(440, 44100, 2*44100, 0.5) // one second of stereo
	for _, tc := range writerCases {
		b.Run(tc.name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "x"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			w, err := tc.new(f, Format{SampleRate: 44100, Channels: 2, Bits: tc.bits, Float: tc.fl})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := w.Write(x); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
		})
	}
}
