package quality

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
)

// parrot hears the same words in everything, each half a second long and 100 ms
// late; of tokens it hears one word for each codebook.
type parrot struct {
	text  string
	codec codec.Fingerprint
}

func (p parrot) Info() asr.Info {
	return asr.Info{Name: "parrot", SampleRate: 16000, Codec: p.codec}
}
func (parrot) Latency(asr.Options) (time.Duration, error) { return 400 * time.Millisecond, nil }
func (p parrot) NewStream(asr.Options) (asr.Stream, error) {
	return &parrotStream{text: strings.Fields(p.text)}, nil
}
func (p parrot) NewTokenStream(codebooks int, _ asr.Options) (asr.TokenStream, error) {
	return &parrotStream{text: strings.Fields(p.text)[:min(codebooks, 2)]}, nil
}

type parrotStream struct{ text []string }

func (s *parrotStream) Push([]float32) (asr.Update, error)     { return asr.Update{}, nil }
func (s *parrotStream) PushTokens([]int32) (asr.Update, error) { return asr.Update{}, nil }
func (s *parrotStream) Reset()                                 {}
func (s *parrotStream) Flush() (u asr.Update, err error) {
	for i, w := range s.text {
		end := time.Duration(i+1) * 500 * time.Millisecond
		u.Committed = append(u.Committed, asr.Word{Text: w, Start: end - 500*time.Millisecond, End: end, Emitted: end + 100*time.Millisecond})
	}
	return u, nil
}

// data writes a manifest and its recordings, a second each.
func data(t *testing.T, table string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "manifest.tsv")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.wav", "b.wav"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := audio.NewWAVWriter(f, audio.Format{SampleRate: 16000, Channels: 1, Bits: 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(make([]float32, 16000)), w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestEvaluateRecognizer(t *testing.T) {
	path := data(t, "path\tsplit\ttext\ttimes\n"+
		"a.wav\tvalid\tOne, two three.\t0-0.45 0.51-1.1 1-2\n"+
		"b.wav\tvalid\ttwo four\t\n"+
		"c.wav\ttrain\tnever opened\t\n"+
		"d.wav\tvalid\t\t\n")
	clips, err := ReadTranscripts(path, "valid", "")
	if err != nil || len(clips) != 2 {
		t.Fatal(clips, err)
	}
	done := int64(0)
	r, err := EvaluateRecognizer(context.Background(), parrot{text: "one two"}, clips, RecognizerOptions{Raw: true, Parallel: 2}, func(n int64) { done = max(done, n) })
	if err != nil {
		t.Fatal(err)
	}
	// One two (three), and one for two, two for four: 3 errors in 5 words.
	if r.WER != 0.6 || r.Words != 5 || r.Deletions != 1 || r.Substitutions != 2 || r.Clips != 2 || r.Seconds != 2 || done != 2 {
		t.Errorf("%+v", r)
	}
	if r.Latency == nil || *r.Latency != (Latency{400, Spread{100, 100, 100}}) {
		t.Errorf("latency %+v", r.Latency)
	}
	// "one" begins 0 and ends 50 ms late, "two" 10 early and 100 early.
	if e := r.Times; e == nil || e.Words != 1 {
		t.Errorf("times %+v", e) // "One," and "one" differ: "two" alone is compared
	} else if e.Begin != (Spread{10, 10, 10}) || e.EndBias != -100 {
		t.Errorf("times %+v", *e)
	}
	if want := []Confusion{{"four", "two", 1}, {"three", "", 1}, {"two", "one", 1}}; !reflect.DeepEqual(r.Errors, want) {
		t.Errorf("%v", r.Errors)
	}
	if len(r.PerClip) != 2 || r.PerClip[0].WER != 1.0/3 || r.PerClip[1].Hyp != "one two" {
		t.Errorf("%+v", r.PerClip)
	}
	merged, err := EvaluateRecognizer(context.Background(), parrot{text: "12 3"}, clips[:1], RecognizerOptions{}, func(int64) {})
	if err != nil || merged.Words != 1 || merged.PerClip[0].Ref != "123" {
		t.Errorf("numbers merged: %+v, %v", merged, err)
	}
}

func TestEvaluateRecognizerOnTokens(t *testing.T) {
	model, err := sotto.Default()
	if err != nil {
		t.Fatal(err)
	}
	clips, err := ReadTranscripts(data(t, "path\tsplit\ttext\na.wav\tvalid\tone two\n"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	p := parrot{text: "one two", codec: model.Info().Fingerprint}
	r, err := EvaluateRecognizer(context.Background(), p, clips, RecognizerOptions{Raw: true, Codec: model, Tokens: true, Decoded: true}, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(model.Info().Levels); len(r.Tokens) != n || len(r.Decoded) != n {
		t.Fatalf("%+v", r)
	}
	for rate, f := range r.Tokens {
		want := 0.0
		if rate == "0.5" { // one codebook
			want = 0.5
		}
		if f.WER != want || r.Decoded[rate].WER != 0 {
			t.Errorf("%s kbit/s: %v from tokens, %v decoded", rate, f.WER, r.Decoded[rate].WER)
		}
	}
}

func TestReadTranscriptsRefuses(t *testing.T) {
	for name, table := range map[string]string{
		"no text column": "path\tsplit\na.wav\tvalid\n",
		"no row":         "path\tsplit\ttext\na.wav\ttrain\tx\n",
		"times":          "path\tsplit\ttext\ttimes\na.wav\tvalid\tx y\t0-1\n",
		"no number":      "path\tsplit\ttext\ttimes\na.wav\tvalid\tx\t0-a\n",
	} {
		if _, err := ReadTranscripts(data(t, table), "valid", ""); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	clips := []Spoken{{Path: "/nowhere/x.wav", Text: "x"}}
	if _, err := EvaluateRecognizer(context.Background(), parrot{}, clips, RecognizerOptions{}, func(int64) {}); err == nil || !strings.Contains(err.Error(), "x.wav") {
		t.Error(err)
	}
}
