package sotto

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/ctc"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

func load(t testing.TB) *Model {
	t.Helper()
	m, err := Default(WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// clip gives the sample that ships with the repository.
func clip(t testing.TB) []float32 {
	t.Helper()
	pcm, err := audio.ReadMono(filepath.FromSlash("../../samples/speech.wav"), 16000)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// transcript runs a stream over pieces of the input, and checks that each update
// goes on where the one before ended.
func transcript(t testing.TB, s asr.Stream, pcm []float32, piece func() int) []asr.Word {
	t.Helper()
	var words []asr.Word
	take := func(u asr.Update, err error) {
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, u.Committed...)
	}
	for len(pcm) > 0 {
		n := min(len(pcm), piece())
		take(s.Push(pcm[:n]))
		pcm = pcm[n:]
	}
	take(s.Flush())
	return words
}

// Any split of the samples gives the same words, times, confidences and times of
// emission, and so does a stream that was used before.
func TestChunkedEqualsWhole(t *testing.T) {
	m, pcm := load(t), clip(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, o := range []asr.Options{{}, {Chunk: 80 * time.Millisecond, Beam: 1}, {Offline: true}} {
		s, err := m.NewStream(o)
		if err != nil {
			t.Fatal(err)
		}
		whole := transcript(t, s, pcm, func() int { return len(pcm) })
		for _, most := range []int{700, 20000} {
			s.Reset()
			got := transcript(t, s, pcm, func() int { return 1 + rng.IntN(most) })
			if !reflect.DeepEqual(got, whole) {
				t.Errorf("%+v: pieces of up to %d samples give %v, the whole %v", o, most, got, whole)
			}
		}
	}
}

// The words of a growing prefix are those of the whole, as far as they were
// committed before its end.
func TestCommittedWordsStay(t *testing.T) {
	m, pcm := load(t), clip(t)
	s, err := m.NewStream(asr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole := transcript(t, s, pcm, func() int { return 4000 })
	for seconds := 1; seconds*16000 < len(pcm); seconds++ {
		s.Reset()
		u, err := s.Push(pcm[:seconds*16000])
		if err != nil {
			t.Fatal(err)
		}
		if n := len(u.Committed); n > len(whole) || !reflect.DeepEqual(u.Committed, whole[:n:n]) && n > 0 {
			t.Errorf("after %d s %v were committed, later %v", seconds, u.Committed, whole)
		}
	}
}

// Tokens are transcribed without being decoded, for each bitrate, whatever the
// number of frames that come together.
func TestTokens(t *testing.T) {
	m, pcm := load(t), clip(t)
	for _, books := range []int{m.codec.Info().Codebooks(), m.codec.Info().Levels[0]} {
		tokens, err := m.codec.Encode(t.Context(), pcm, books)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewTokenStream(books, asr.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run := func(frames int) (words []asr.Word) {
			s.Reset()
			for part := range slices.Chunk(tokens.Codes, frames*books) {
				u, err := s.PushTokens(part)
				if err != nil {
					t.Fatal(err)
				}
				words = append(words, u.Committed...)
			}
			u, err := s.Flush()
			if err != nil {
				t.Fatal(err)
			}
			return append(words, u.Committed...)
		}
		whole := run(tokens.Frames)
		if got := run(7); !reflect.DeepEqual(got, whole) {
			t.Errorf("%d codebooks: %v frame by frame, %v at once", books, got, whole)
		}
		if _, err := s.PushTokens([]int32{-1}); err == nil && books > 1 {
			t.Error("a part of a frame is no error")
		}
	}
	if _, err := m.NewTokenStream(99, asr.Options{}); err == nil {
		t.Error("99 codebooks are no error")
	}
}

func TestLatencyIsThatOfTheLayers(t *testing.T) {
	m := load(t)
	for _, c := range m.Info().Chunks {
		got, err := m.Latency(asr.Options{Chunk: c})
		if want := c + time.Duration(m.network.Lookahead)*40*time.Millisecond + ctc.DefaultGap; err != nil || got != want {
			t.Errorf("chunk %v: latency %v, %v; want %v", c, got, err, want)
		}
	}
	if m.Info().Chunks[0] != 80*time.Millisecond {
		t.Errorf("chunks %v", m.Info().Chunks)
	}
}

func TestOptionsThatItDoesNotHave(t *testing.T) {
	m := load(t)
	for _, o := range []asr.Options{
		{Chunk: 100 * time.Millisecond}, {Language: "de"}, {Translate: true}, {Beam: -1}, {LM: "no such file"},
	} {
		if _, err := m.NewStream(o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
}

// Silence, noise and a tone have no words.
func TestNoSpeechNoWords(t *testing.T) {
	m := load(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, f := range map[string]func(i int) float64{
		"silence": func(int) float64 { return 0 },
		"noise":   func(int) float64 { return 0.05 * rng.NormFloat64() },
		"faint":   func(int) float64 { return 0.0005 * rng.NormFloat64() },
		"tone":    func(i int) float64 { return 0.1 * math.Sin(float64(i)*0.2) },
	} {
		pcm := make([]float32, 20*16000)
		for i := range pcm {
			pcm[i] = float32(f(i))
		}
		s, err := m.NewStream(asr.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if words := transcript(t, s, pcm, func() int { return 16000 }); len(words) > 0 {
			t.Errorf("%s: %v", name, words)
		}
	}
}

// Weights of another codec's frames are refused.
func TestOtherCodecIsRefused(t *testing.T) {
	c, _, err := recognizer.Unmarshal(released)
	if err != nil {
		t.Fatal(err)
	}
	c.Codec[0]++
	data, err := c.Marshal(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(data); err == nil || !strings.Contains(err.Error(), "fingerprint") {
		t.Errorf("error %v", err)
	}
}

func BenchmarkStream(b *testing.B) {
	m, pcm := load(b), clip(b)
	s, err := m.NewStream(asr.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Reset()
		transcript(b, s, pcm, func() int { return 5120 })
	}
	b.ReportMetric(float64(len(pcm))/16000*float64(b.N)/b.Elapsed().Seconds(), "×realtime")
}
