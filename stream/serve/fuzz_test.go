package serve

import (
	"bytes"
	"testing"

	"github.com/coder/websocket"
	"github.com/sotto-audio/sotto/codec/sotto"
)

// FuzzStream: no first message and no samples or codes after it break a stream.
func FuzzStream(f *testing.F) {
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(Options{Codec: model, Recognizer: counting{}})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		`{"type":"start","task":"encode","sample_rate":8000,"format":"f32"}`, `{"type":"start","task":"decode","bitrate":0.5}`,
		`{"type":"start","task":"transcribe","chunk_ms":160,"language":"de"}`, `{"type":"start","task":"transcribe","input":"tokens"}`, `[1]`,
	} {
		f.Add([]byte(text), bytes.Repeat([]byte{0xff, 0x03}, 40))
	}
	f.Fuzz(func(t *testing.T, text, data []byte) {
		st := &stream{s: s}
		if st.begin(received{kind: websocket.MessageText, data: text}) != nil {
			return
		}
		n, err := st.task.units(data)
		if err != nil {
			return
		}
		switch task := st.task.(type) {
		case *encodeTask:
			task.codes, err = task.e.Encode(task.codes[:0], task.samples(data, 0, n))
		case *decodeTask:
			if codes, bad := task.tokensIn.codes(data, 0, n); bad == nil {
				_, err = task.d.Decode(nil, codes)
			}
		case *transcribeTask:
			task.stream.Push(task.samples(data, 0, n)) // too loud is an error of this model
		}
		if err != nil {
			t.Error(err)
		}
	})
}
