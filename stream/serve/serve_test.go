package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/audio"
)

// running is a server on a port of this machine.
type running struct {
	*Server
	url  string
	stop func() error
}

func start(t testing.TB, change func(o *Options)) *running {
	t.Helper()
	model, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Codec: model, Recognizer: counting{}, Version: "test"}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	var over bool
	r := &running{Server: s, url: "http://" + l.Addr().String()}
	r.stop = func() error {
		if over {
			return nil
		}
		over = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial opens a web socket and starts a task.
func (r *running) dial(t testing.TB, start string) *websocket.Conn {
	t.Helper()
	c, resp, err := websocket.Dial(t.Context(), r.url+"/v1/stream", &websocket.DialOptions{Subprotocols: []string{"sotto"}})
	// A connection counts until the server has seen its end.
	for range 100 {
		if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(10 * time.Millisecond)
		c, resp, err = websocket.Dial(t.Context(), r.url+"/v1/stream", &websocket.DialOptions{Subprotocols: []string{"sotto"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(1 << 22)
	if start != "" {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(start)); err != nil {
			t.Fatal(err)
		}
		m, data, err := c.Read(t.Context())
		if err != nil || m != websocket.MessageText || !strings.Contains(string(data), `"ready"`) {
			t.Fatalf("%s is answered with %s, %v", start, data, err)
		}
	}
	return c
}

// drain reads to the end: the messages of both kinds, the last text, and how the
// socket was closed.
func drain(t testing.TB, c *websocket.Conn) (binary []byte, texts []string, status websocket.StatusCode) {
	t.Helper()
	for {
		kind, data, err := c.Read(t.Context())
		if err != nil {
			return binary, texts, websocket.CloseStatus(err)
		}
		if kind == websocket.MessageBinary {
			binary = append(binary, data...)
		} else {
			texts = append(texts, string(data))
		}
	}
}

func speech(t testing.TB) []float32 {
	t.Helper()
	pcm, err := audio.ReadMono("../../samples/speech.wav", 16000)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

func s16(pcm []float32) []byte {
	var b []byte
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(v*32768)))
	}
	return b
}

// give sends bytes in random pieces of whole units, then end. What goes wrong
// shows at the reader.
func give(ctx context.Context, c *websocket.Conn, data []byte, unit int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for len(data) > 0 {
		n := min(len(data), unit*rng.IntN(20000/unit+1))
		if c.Write(ctx, websocket.MessageBinary, data[:n]) != nil {
			return
		}
		data = data[n:]
	}
	c.Write(ctx, websocket.MessageText, []byte(`{"type":"end"}`))
}

// TestStreamCodec: tokens and samples of the socket are those of the library, in
// any chunks.
func TestStreamCodec(t *testing.T) {
	r := start(t, nil)
	pcm := speech(t)[:40000]
	for i, v := range pcm {
		pcm[i] = float32(int16(v*32768)) / 32768
	}
	want, err := r.o.Codec.Encode(t.Context(), pcm, 4)
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial(t, `{"type":"start","task":"encode","bitrate":2}`)
	go give(t.Context(), c, s16(pcm), 2, 1)
	codes, texts, status := drain(t, c)
	if status != websocket.StatusNormalClosure || !strings.Contains(texts[len(texts)-1], `"done"`) {
		t.Errorf("closed with %d after %v", status, texts)
	}
	var wanted []byte
	for _, v := range want.Codes {
		wanted = binary.LittleEndian.AppendUint16(wanted, uint16(v))
	}
	if !bytes.Equal(codes, wanted) {
		t.Fatalf("%d bytes of codes differ from the library's %d", len(codes), len(wanted))
	}
	sound, err := r.o.Codec.Decode(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	c = r.dial(t, `{"type":"start","task":"decode","bitrate":2,"format":"f32"}`)
	go give(t.Context(), c, codes, 8, 2)
	got, _, _ := drain(t, c)
	if len(got) != 4*len(sound) {
		t.Fatalf("%d bytes of samples, want %d", len(got), 4*len(sound))
	}
	for i, v := range sound {
		if binary.LittleEndian.Uint32(got[4*i:]) != math.Float32bits(v) {
			t.Fatalf("sample %d differs", i)
		}
	}
}

// TestStreamWords: words come as the recogniser gives them, at any rate of the
// samples, and what is committed never changes.
func TestStreamWords(t *testing.T) {
	r := start(t, nil)
	for _, rate := range []int{16000, 48000} {
		c := r.dial(t, fmt.Sprintf(`{"type":"start","task":"transcribe","sample_rate":%d,"language":"en","chunk_ms":320}`, rate))
		go give(t.Context(), c, make([]byte, 2*rate*4), 2, 3)
		_, texts, _ := drain(t, c)
		var words []string
		tentative := 0
		for _, text := range texts {
			var m wordsMessage
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			for _, w := range m.Committed {
				words = append(words, w.Word)
			}
			tentative += len(m.Tentative)
		}
		if got := strings.Join(words, " "); got != "w0 w1 w2 w3 w4 w5 w6 w7" || tentative == 0 {
			t.Errorf("%d Hz: %s, %d tentative", rate, got, tentative)
		}
	}
}

// TestEndpointAtEnd: the end of an utterance is told that only the last samples, which
// resampling holds back, complete: 0.32 s after word 7, which ends at 3.9 s.
func TestEndpointAtEnd(t *testing.T) {
	r := start(t, nil)
	c := r.dial(t, `{"type":"start","task":"transcribe","sample_rate":48000}`)
	go give(t.Context(), c, make([]byte, 2*48000*422/100), 2, 3)
	_, texts, _ := drain(t, c)
	told := false
	for _, text := range texts {
		var m wordsMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		told = told || m.Endpoint && len(m.Committed) == 1 && m.Committed[0].Word == "w7"
	}
	if !told {
		t.Errorf("no endpoint after w7: %s", texts)
	}
}

func (r *running) do(t testing.TB, method, path string, body io.Reader, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// TestPage: the page and all that it names are inside the program.
func TestPage(t *testing.T) {
	r := start(t, nil)
	seen := map[string]bool{}
	next := []string{"/"}
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		status, text := r.do(t, "GET", path, nil)
		if status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
		if foreign := regexp.MustCompile(`https?://[^"'\s]*`).FindString(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")); foreign != "" {
			t.Errorf("%s names %s", path, foreign)
		}
		if path == "/metrics" || path == "/healthz" {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"|(?:from|addModule\() ?'(/[^']*)'`).FindAllStringSubmatch(text, -1) {
			next = append(next, m[1]+m[2])
		}
	}
	for _, path := range []string{"/style.css", "/app.js", "/spectrum.js", "/api.js"} {
		if !seen[path] {
			t.Errorf("the page does not name %s", path)
		}
	}
	if status, _ := r.do(t, "GET", "/../serve.go", nil); status == 200 {
		t.Error("files outside of the page are served")
	}
	if status, _ := r.do(t, "POST", "/", nil); status != 405 {
		t.Errorf("POST / gives %d", status)
	}
}

// TestFiles: an upload comes back encoded, decoded and as tokens.
func TestFiles(t *testing.T) {
	r := start(t, nil)
	wav, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	status, coded := r.do(t, "POST", "/v1/audio/encode?bitrate=1", bytes.NewReader(wav))
	if status != 200 || !strings.HasPrefix(coded, "\x89SOTTO") {
		t.Fatalf("encode: %d %.100q", status, coded)
	}
	status, decoded := r.do(t, "POST", "/v1/audio/decode", strings.NewReader(coded))
	if status != 200 {
		t.Fatalf("decode: %d %s", status, decoded)
	}
	src, err := audio.NewReader(strings.NewReader(decoded), "decoded")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(speech(t)); src.Frames() != int64(n) {
		t.Errorf("%d samples come back of %d", src.Frames(), n)
	}
	status, text := r.do(t, "POST", "/v1/audio/tokens?bitrate=1", bytes.NewReader(wav))
	var tokens struct {
		Frames, Codebooks int
		Codes             []int
	}
	if err := json.Unmarshal([]byte(text), &tokens); err != nil || status != 200 || tokens.Codebooks != 2 || len(tokens.Codes) != 2*tokens.Frames || tokens.Frames != 290 {
		t.Errorf("tokens: %d, %d frames of %d, %v", status, tokens.Frames, tokens.Codebooks, err)
	}
	for path, want := range map[string]int{
		"/v1/audio/encode?bitrate=9": 400, "/v1/audio/encode": 415, "/v1/audio/decode": 415, "/v1/audio/nothing": 404,
	} {
		status, text := r.do(t, "POST", path, strings.NewReader("no sound at all, really"))
		if status != want || !strings.Contains(text, `"message"`) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// TestHoles: a .sotto file may lack some packets, and not claim an hour without its
// bytes.
func TestHoles(t *testing.T) {
	r := start(t, nil)
	info := r.o.Codec.Info()
	for _, c := range []struct{ whole, lost, status int }{{5, 15, 200}, {1, 3600, 400}} {
		var b bytes.Buffer
		w, err := codec.NewWriter(&b, codec.Header{
			Model: info.Name, Fingerprint: info.Fingerprint, ModelRate: info.SampleRate, HopLength: info.HopLength,
			CodebookSizes: info.CodebookSizes[:1], SampleRate: info.SampleRate, Channels: 1,
			Samples: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		for i := range c.whole + c.lost {
			if i == c.whole {
				from = b.Len()
			}
			if err := w.WriteFrames([][]int32{make([]int32, int(info.FrameRate))}); err != nil {
				t.Fatal(err)
			}
		}
		to := b.Len()
		if err := w.Close(int64(c.whole+c.lost) * int64(info.SampleRate)); err != nil {
			t.Fatal(err)
		}
		file := slices.Delete(b.Bytes(), from, to)
		status, text := r.do(t, "POST", "/v1/audio/decode", bytes.NewReader(file))
		if status != c.status || status != 200 && !strings.Contains(text, "most of the file is lost") {
			t.Errorf("%d s of %d: %d %.200q", c.whole, c.whole+c.lost, status, text)
		}
	}
}

// form is a multipart form with a file.
func form(t testing.TB, file []byte, values ...string) (io.Reader, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	for i := 0; i < len(values); i += 2 {
		w.WriteField(values[i], values[i+1])
	}
	w.Close()
	return &b, w.FormDataContentType()
}

// TestTranscriptions: OpenAI's formats.
func TestTranscriptions(t *testing.T) {
	r := start(t, nil)
	wav, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	const text = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10"
	for _, c := range []struct {
		values []string
		status int
		want   string
	}{
		{nil, 200, `{"text":"` + text + `"}`},
		{[]string{"response_format", "text"}, 200, text + "\n"},
		{[]string{"response_format", "srt"}, 200, "1\n00:00:00,000 --> 00:00:05,400\n"},
		{[]string{"response_format", "vtt"}, 200, "WEBVTT\n\n00:00:00.000 --> 00:00:05.400\n"},
		{[]string{"response_format", "verbose_json", "timestamp_granularities[]", "word"}, 200, `"words":[{"word":"w0","start":0,"end":0.4}`},
		{[]string{"response_format", "verbose_json"}, 200, `"segments":[{"id":0`},
		{[]string{"stream", "true"}, 200, `data: {"delta":" w7","type":"transcript.text.delta"}`},
		{[]string{"response_format", "yaml"}, 400, "give json"},
		{[]string{"language", "xx"}, 400, "knows en, de"},
		{[]string{"language", "de"}, 200, text},
	} {
		body, kind := form(t, wav, c.values...)
		status, got := r.do(t, "POST", "/v1/audio/transcriptions", body, "Content-Type", kind)
		if status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%v: %d %s, want %s", c.values, status, got, c.want)
		}
	}
	body, kind := form(t, wav)
	if status, got := r.do(t, "POST", "/v1/audio/translations", body, "Content-Type", kind); status != 400 || !strings.Contains(got, "translate") {
		t.Errorf("translations: %d %s", status, got)
	}
	body, kind = form(t, []byte("no sound"))
	if status, got := r.do(t, "POST", "/v1/audio/transcriptions", body, "Content-Type", kind); status != 415 {
		t.Errorf("a text file: %d %s", status, got)
	}
	if status, got := r.do(t, "POST", "/v1/audio/transcriptions", strings.NewReader("{}")); status != 400 {
		t.Errorf("no form: %d %s", status, got)
	}
}

// TestGuards: pages of other origins, names that were made to point here and
// clients without the token get nothing.
func TestGuards(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Token, o.Origins, o.Hosts = "secret", []string{"https://good.example"}, []string{"Speech.example"}
	})
	bearer := []string{"Authorization", "Bearer secret"}
	for _, c := range []struct {
		path   string
		header []string
		status int
	}{
		{"/", nil, 200}, {"/healthz", nil, 200}, {"/readyz", nil, 200},
		{"/v1/info", nil, 401}, {"/metrics", nil, 401}, {"/v1/stream", nil, 401},
		{"/v1/info", bearer, 200}, {"/metrics", bearer, 200},
		{"/v1/info", []string{"Authorization", "Bearer secrets"}, 401},
		{"/v1/info", append([]string{"Origin", r.url}, bearer...), 200},
		{"/v1/info", append([]string{"Origin", "https://good.example"}, bearer...), 200},
		{"/v1/info", append([]string{"Origin", "https://bad.example"}, bearer...), 403},
		{"/v1/info", append([]string{"Origin", "null"}, bearer...), 403},
		{"/v1/info", append([]string{"Host", "speech.example"}, bearer...), 200},
		{"/v1/info", append([]string{"Host", "evil.example"}, bearer...), 421},
		{"/v1/info", append([]string{"Host", "localhost:8640"}, bearer...), 200},
	} {
		if status, text := r.do(t, "GET", c.path, nil, c.header...); status != c.status {
			t.Errorf("%s %v: %d, want %d: %.100s", c.path, c.header, status, c.status, text)
		}
	}
	// Browsers give the token as a protocol.
	for token, want := range map[string]bool{"secret": true, "wrong": false} {
		c, _, err := websocket.Dial(t.Context(), r.url+"/v1/stream", &websocket.DialOptions{
			Subprotocols: []string{"sotto", "bearer." + token}, HTTPHeader: http.Header{"Origin": {r.url}},
		})
		if (err == nil) != want {
			t.Errorf("token %s: %v", token, err)
		}
		if err == nil {
			c.CloseNow()
		}
	}
	_, _, err := websocket.Dial(t.Context(), r.url+"/v1/stream", &websocket.DialOptions{
		Subprotocols: []string{"sotto", "bearer.secret"}, HTTPHeader: http.Header{"Origin": {"https://bad.example"}},
	})
	if err == nil {
		t.Error("a page of another origin gets a socket")
	}
}

// TestLimits: what is too much is refused in words.
func TestLimits(t *testing.T) {
	// What waits for a client's silence has a server of its own: on a busy machine
	// the tests themselves are silent for long.
	hasty := start(t, func(o *Options) { o.Limits = Limits{Idle: 300 * time.Millisecond} })
	r := start(t, func(o *Options) { o.Limits = Limits{Connections: 2, Bytes: 100_000, Seconds: 3, Idle: time.Minute} })
	wav, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/v1/audio/encode": 413, "/v1/audio/transcriptions": 413} {
		body, kind := io.Reader(bytes.NewReader(wav)), "audio/wav"
		if strings.HasSuffix(path, "transcriptions") {
			body, kind = form(t, wav)
		}
		if status, text := r.do(t, "POST", path, body, "Content-Type", kind); status != want {
			t.Errorf("%s with %d bytes: %d %s", path, len(wav), status, text)
		}
	}
	long := make([]byte, 90_000)
	copy(long, wav[:44])
	binary.LittleEndian.PutUint32(long[24:], 8000)
	if status, text := r.do(t, "POST", "/v1/audio/encode", bytes.NewReader(long)); status != 413 || !strings.Contains(text, "3 seconds") {
		t.Errorf("5 s of sound: %d %s", status, text)
	}
	for _, c := range []struct {
		name  string
		start string
		send  func(c *websocket.Conn) error
		want  string
	}{
		{"no start", "", func(c *websocket.Conn) error { return nil }, "first message"},
		{"samples first", "", func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageBinary, make([]byte, 100))
		}, "first message"},
		{"garbage", "", func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageText, []byte("\x00{[garbage"))
		}, "first message"},
		{"no task", "", func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"start"}`))
		}, "give encode, decode or transcribe"},
		{"rate", "", func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"start","task":"encode","sample_rate":1000000000}`))
		}, "give 8000 to 192000"},
		{"idle", `{"type":"start","task":"encode"}`, func(c *websocket.Conn) error { return nil }, "nothing came"},
		{"half a sample", `{"type":"start","task":"encode"}`, func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageBinary, make([]byte, 101))
		}, "whole samples"},
		{"unknown", `{"type":"start","task":"encode"}`, func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"dance"}`))
		}, "end and ping"},
		{"too long", `{"type":"start","task":"encode"}`, func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageBinary, make([]byte, 4*32000))
		}, "3 seconds"},
		{"code", `{"type":"start","task":"decode","bitrate":0.5}`, func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageBinary, []byte{0xff, 0xff})
		}, "outside codebook"},
		{"failing model", `{"type":"start","task":"transcribe"}`, func(c *websocket.Conn) error {
			return c.Write(t.Context(), websocket.MessageBinary, []byte{0xff, 0x7f})
		}, "too loud"},
	} {
		server := r
		switch c.name {
		case "no start", "idle":
			server = hasty
		}
		conn := server.dial(t, c.start)
		if err := c.send(conn); err != nil {
			t.Fatal(err)
		}
		_, texts, status := drain(t, conn)
		if len(texts) != 1 || !strings.Contains(texts[0], c.want) || status == websocket.StatusNormalClosure || status == -1 {
			t.Errorf("%s: closed with %d after %v, want %q", c.name, status, texts, c.want)
		}
	}
	a, b := r.dial(t, `{"type":"start","task":"encode"}`), r.dial(t, `{"type":"start","task":"encode"}`)
	if status, text := r.do(t, "POST", "/v1/audio/encode", nil); status != 503 || !strings.Contains(text, "2 connections") {
		t.Errorf("a third connection: %d %s", status, text)
	}
	a.CloseNow()
	b.CloseNow()
	for range 2000 {
		if status, _ := r.do(t, "POST", "/v1/audio/encode", nil); status != 503 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("connections that have ended still count")
}

// TestHarm: clients that send garbage, too much, or leave in the middle of a word
// harm no other, and leave nothing behind.
func TestHarm(t *testing.T) {
	r := start(t, nil)
	before := runtime.NumGoroutine()
	good := r.dial(t, `{"type":"start","task":"transcribe"}`)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 8 {
		c := r.dial(t, `{"type":"start","task":"transcribe"}`)
		switch i % 4 {
		case 0: // leaves in the middle
			c.Write(t.Context(), websocket.MessageBinary, make([]byte, 16000))
			c.CloseNow()
		case 1: // garbage
			noise := make([]byte, 2000)
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			c.Write(t.Context(), websocket.MessageText, noise)
		case 2: // one message without end
			w, err := c.Writer(t.Context(), websocket.MessageBinary)
			if err != nil {
				t.Fatal(err)
			}
			sent := 0
			for ; sent < 2<<30; sent += 1 << 16 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					break
				}
			}
			if sent > 64<<20 {
				t.Errorf("%d bytes of one message were taken", sent)
			}
		case 3: // stalls: its idle time is another test's
		}
	}
	go give(t.Context(), good, make([]byte, 4*32000), 2, 6)
	_, texts, status := drain(t, good)
	if status != websocket.StatusNormalClosure || !strings.Contains(texts[len(texts)-1], `"seconds":4`) {
		t.Errorf("the good client: %d, %v", status, texts)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	for range 2000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	var b bytes.Buffer
	buf := make([]byte, 1<<16)
	b.Write(buf[:runtime.Stack(buf, true)])
	t.Errorf("%d goroutines, %d before: %s", runtime.NumGoroutine(), before, &b)
}

// TestEnd: when the server ends, streams get the words of all that they sent, and
// an upload its answer.
func TestEnd(t *testing.T) {
	r := start(t, func(o *Options) { o.Recognizer = counting{cost: 5 * time.Millisecond} })
	c := r.dial(t, `{"type":"start","task":"transcribe"}`)
	if err := c.Write(t.Context(), websocket.MessageBinary, make([]byte, 2*16000)); err != nil {
		t.Fatal(err)
	}
	wav, err := os.ReadFile("../../samples/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	body, kind := form(t, wav)
	go func() {
		status, _ := r.do(t, "POST", "/v1/audio/transcriptions", body, "Content-Type", kind)
		answered <- status
	}()
	for len(r.slots) < 2 {
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	_, texts, status := drain(t, c)
	all := strings.Join(texts, " ")
	if status != websocket.StatusGoingAway || !strings.Contains(all, `"w1"`) || !strings.Contains(all, `"done"`) {
		t.Errorf("%d after %s", status, all)
	}
	if got := <-answered; got != 200 {
		t.Errorf("the upload gets %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestWithout: a server without a recogniser says so.
func TestWithout(t *testing.T) {
	r := start(t, func(o *Options) { o.Recognizer = nil })
	_, text := r.do(t, "GET", "/v1/info", nil)
	if !strings.Contains(text, `"recognizer":null`) {
		t.Errorf("info: %s", text)
	}
	body, kind := form(t, nil)
	if status, text := r.do(t, "POST", "/v1/audio/transcriptions", body, "Content-Type", kind); status != 404 || !strings.Contains(text, "no recogniser") {
		t.Errorf("%d %s", status, text)
	}
	c := r.dial(t, "")
	c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"start","task":"transcribe"}`))
	if _, texts, _ := drain(t, c); len(texts) != 1 || !strings.Contains(texts[0], "no recogniser") {
		t.Errorf("%v", texts)
	}
	if status, text := r.do(t, "GET", "/metrics", nil); status != 200 || !strings.Contains(text, "sotto_requests_total") {
		t.Errorf("metrics: %d %.100s", status, text)
	}
}
