package transcribe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

func word(text string, start, end float64) asr.Word {
	at := func(s float64) time.Duration { return time.Duration(s * 1e9) }
	return asr.Word{Text: text, Start: at(start), End: at(end), Confidence: 0.5, Emitted: at(end + 0.1)}
}

// said is a talk of two utterances, the second longer than two lines hold.
func said() []asr.Update {
	long := []asr.Word{word("<b>", 3, 3.5)}
	for i := range 15 {
		t := 3.5 + 0.4*float64(i)
		long = append(long, word("wonderful", t, t+0.4))
	}
	return []asr.Update{
		{Tentative: []asr.Word{word("hell", 0.5, 0.9)}},
		{Committed: []asr.Word{word("hello", 0.5, 1)}, Tentative: []asr.Word{word("wor", 1, 1.2)}},
		{Tentative: []asr.Word{word("wor", 1, 1.2)}},
		{Committed: []asr.Word{word("world", 1, 1.4567)}, Endpoint: true},
		{},
		{Committed: long},
	}
}

func write(t *testing.T, format string, updates []asr.Update) string {
	t.Helper()
	var b bytes.Buffer
	w, err := New(&b, format, About{File: "a.wav", Model: "m", Chunk: 320 * time.Millisecond, Latency: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range updates {
		if err := w.Update(u, i == len(updates)-1); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPlainText(t *testing.T) {
	want := "hello world\n<b> " + strings.TrimSpace(strings.Repeat("wonderful ", 15)) + "\n"
	if got := write(t, "txt", said()); got != want {
		t.Errorf("%q", got)
	}
}

func TestSubtitles(t *testing.T) {
	line := strings.TrimSpace(strings.Repeat("wonderful ", 4))
	want := `1
00:00:00,500 --> 00:00:01,457
hello world

2
00:00:03,000 --> 00:00:06,700
<b> ` + line + "\n" + line + `

3
00:00:06,700 --> 00:00:09,500
` + line + "\n" + strings.TrimSuffix(line, " wonderful") + "\n\n"
	got := write(t, "srt", said())
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	vtt := write(t, "vtt", said())
	if !strings.HasPrefix(vtt, "WEBVTT\n\n00:00:00.500 --> 00:00:01.457\nhello world\n\n") || !strings.Contains(vtt, "&lt;b&gt; ") {
		t.Errorf("%s", vtt)
	}
	for _, l := range strings.Split(got, "\n") {
		if len(l) > 46 {
			t.Errorf("a line of %d letters: %s", len(l), l)
		}
	}
}

func TestEmptyTranscripts(t *testing.T) {
	for format, want := range map[string]string{
		"txt": "", "srt": "", "vtt": "WEBVTT\n", "jsonl": "",
		"json": `{"file":"a.wav","model":"m","duration":10.000,"chunk":0.320,"latency":0.400,"text":"","segments":[]}` + "\n",
	} {
		if got := write(t, format, []asr.Update{{}}); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
	if _, err := New(io.Discard, "doc", About{}); err == nil {
		t.Error("an unknown format is accepted")
	}
}

func TestJSON(t *testing.T) {
	var d struct {
		Text     string
		Segments []struct {
			Start, End float64
			Text       string
			Words      []struct {
				Text                   string
				Start, End, Confidence float64
				Emission               float64 `json:"emission_time"`
			}
		}
	}
	if err := json.Unmarshal([]byte(write(t, "json", said())), &d); err != nil {
		t.Fatal(err)
	}
	w := d.Segments[0].Words[1]
	if len(d.Segments) != 3 || !strings.HasPrefix(d.Text, "hello world <b> wonderful") || d.Segments[0].Text != "hello world" ||
		w.Text != "world" || w.Start != 1 || w.End != 1.457 || w.Confidence != 0.5 || w.Emission != 1.557 {
		t.Errorf("%+v", d)
	}
}

func TestJSONLines(t *testing.T) {
	type row struct {
		Text     string
		Final    bool `json:"is_final"`
		Endpoint bool
		Emission float64 `json:"emission_time"`
	}
	var got []row
	for _, l := range strings.Split(strings.TrimSpace(write(t, "jsonl", said()[:5])), "\n") {
		var r row
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		got = append(got, r)
	}
	want := []row{{"hell", false, false, 0}, {"hello", true, false, 1.1}, {"wor", false, false, 0}, {"world", true, true, 1.557}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// echo commits a word for every second of sound, or 50 frames, that it got.
type echo struct {
	n, unit int
	sum     float64
	fail    error
}

func (e *echo) take(n int, sum float64) (u asr.Update, err error) {
	for range n {
		if e.n++; e.n%e.unit == 0 {
			u.Committed = append(u.Committed, word("w", float64(e.n/e.unit-1), float64(e.n/e.unit)))
		}
	}
	e.sum += sum
	return u, e.fail
}

func (e *echo) Push(pcm []float32) (asr.Update, error) {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v)
	}
	return e.take(len(pcm), sum)
}

func (e *echo) PushTokens(codes []int32) (asr.Update, error) {
	sum := 0.0
	for _, c := range codes {
		sum += float64(c)
	}
	return e.take(len(codes)/2, sum)
}

func (e *echo) Flush() (asr.Update, error) {
	return asr.Update{Committed: []asr.Word{word("end", 9, 9)}}, nil
}
func (e *echo) Reset() {}

func collect(words *[]string, ends *int) func(asr.Update, bool) error {
	return func(u asr.Update, end bool) error {
		for _, w := range u.Committed {
			*words = append(*words, w.Text)
		}
		if end {
			*ends++
		}
		return nil
	}
}

func TestSamplesChannelsAndRates(t *testing.T) {
	// Two seconds of stereo at 8 kHz: 0.5 left, -0.25 right.
	raw := make([]float32, 2*16000)
	for i := range raw {
		raw[i] = []float32{0.5, -0.25}[i%2]
	}
	for channel, mean := range []float64{0.125, 0.5, -0.25} {
		var wav bytes.Buffer
		w, err := audio.NewWAVWriter(&wav, audio.Format{SampleRate: 8000, Channels: 2, Bits: 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(raw), w.Close()); err != nil {
			t.Fatal(err)
		}
		src, err := audio.NewReader(&wav, "x.wav")
		if err != nil {
			t.Fatal(err)
		}
		e := &echo{unit: 16000}
		var words []string
		ends, last := 0, int64(0)
		length, err := Samples(context.Background(), e, 16000, src, channel, collect(&words, &ends), func(n int64) { last = n })
		if err != nil || length != 2*time.Second || ends != 1 || last != 16000 || strings.Join(words, " ") != "w w end" {
			t.Fatalf("channel %d: %v, %v, %d ends, %d frames, %v", channel, length, err, ends, last, words)
		}
		if got := e.sum / float64(e.n); e.n != 32000 || math.Abs(got-mean) > 0.002 {
			t.Errorf("channel %d: %d samples with mean %v, want %v", channel, e.n, got, mean)
		}
	}
}

func tokenFile(t *testing.T, frames int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := codec.NewWriter(&b, codec.Header{Model: "m", ModelRate: 16000, HopLength: 320, SampleRate: 8000, Channels: 2, Samples: -1, CodebookSizes: []int{16, 16}}, codec.WithPacketFrames(10))
	if err != nil {
		t.Fatal(err)
	}
	for range frames {
		if err := w.WriteFrames([][]int32{{1, 2}, {3, 4}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(int64(frames) * 160); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTokensAndTheirDamage(t *testing.T) {
	file := tokenFile(t, 100)
	for name, damage := range map[string]func([]byte){
		"whole":  func([]byte) {},
		"a byte": func(b []byte) { b[len(b)/2] ^= 0xff },
	} {
		b := bytes.Clone(file)
		damage(b)
		r, err := codec.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		e := &echo{unit: 50}
		var words []string
		ends := 0
		length, err := Tokens(context.Background(), e, r, 2, collect(&words, &ends), func(int64) {})
		// Frames that are lost are filled with the one before: times stay right.
		if err != nil || length != 2*time.Second || e.n != 100 || e.sum != 700 || ends != 1 || strings.Join(words, " ") != "w w end" {
			t.Errorf("%s: %v, %v, %d frames, sum %v, %v", name, length, err, e.n, e.sum, words)
		}
	}
	r, _ := codec.NewReader(bytes.NewReader(file))
	if _, err := Tokens(context.Background(), &echo{unit: 1}, r, 3, nil, nil); err == nil {
		t.Error("channel 3 of 2 is accepted")
	}
}

func TestEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	src, err := audio.NewPCMReader(endless{}, audio.Format{SampleRate: 16000, Channels: 1, Bits: 16})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err = Samples(ctx, &echo{unit: 1 << 30}, 16000, src, 0, func(asr.Update, bool) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	}, func(int64) {})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	boom := errors.New("boom")
	if _, err := Samples(context.Background(), &echo{unit: 1, fail: boom}, 16000, src, 0, nil, nil); !errors.Is(err, boom) {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
