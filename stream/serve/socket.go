package serve

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
)

const (
	protocol    = "sotto"
	maxMessage  = 1 << 18                // bytes
	queued      = 8                      // messages that wait to be worked on
	stepSeconds = 0.2                    // of sound that is worked on in one turn
	sendWait    = 10 * time.Second       // for a client to take what it is sent
	startWait   = 10 * time.Second       // for its first message
	closeWait   = 500 * time.Millisecond // for what is on its way when the server ends
)

// startMessage is the first message of a stream.
type startMessage struct {
	Type       string  `json:"type"` // "start"
	Task       string  `json:"task"` // encode, decode or transcribe
	SampleRate int     `json:"sample_rate"`
	Format     string  `json:"format"`  // of samples: s16 or f32, little-endian
	Input      string  `json:"input"`   // of transcribe: samples or tokens
	Bitrate    float64 `json:"bitrate"` // kbit/s
	Chunk      int     `json:"chunk_ms"`
	Language   string  `json:"language"`
}

// readyMessage answers it.
type readyMessage struct {
	Type       string  `json:"type"` // "ready"
	Task       string  `json:"task"`
	Model      string  `json:"model"`
	SampleRate int     `json:"sample_rate"` // of the client's samples, in or out
	Format     string  `json:"format,omitempty"`
	Codebooks  []int   `json:"codebook_sizes,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"`
	LatencyMS  float64 `json:"latency_ms"`
}

// wordsMessage tells what a step of transcription changed.
type wordsMessage struct {
	Type      string `json:"type"` // "words"
	Committed []word `json:"committed"`
	Tentative []word `json:"tentative"`
	Endpoint  bool   `json:"endpoint,omitempty"`
	// Seconds of sound that the stream has taken in.
	Seconds float64 `json:"seconds"`
}

// word is a recognised word; times are seconds in the stream.
type word struct {
	Word       string  `json:"word"`
	Start      float64 `json:"start"`
	End        float64 `json:"end"`
	Confidence float64 `json:"confidence"`
	Emitted    float64 `json:"emitted,omitempty"`
}

func wordOf(w asr.Word) word {
	return word{w.Text, w.Start.Seconds(), w.End.Seconds(), w.Confidence, w.Emitted.Seconds()}
}

func wordsOf(words []asr.Word) []word {
	out := make([]word, 0, len(words)) // never null
	for _, w := range words {
		out = append(out, wordOf(w))
	}
	return out
}

// task is what a stream does with what it is sent.
type task interface {
	// units is how many samples or frames a message holds.
	units(message []byte) (int, error)
	// step works on units [from, to) of a message and sends what comes of it.
	step(ctx context.Context, message []byte, from, to int) error
	// finish works on the end.
	finish(ctx context.Context) error
}

// stream is one web socket.
type stream struct {
	s       *Server
	c       *websocket.Conn
	start   startMessage
	ready   readyMessage
	task    task
	turn    turn
	rate    float64 // units a second
	taken   float64 // seconds
	arrived []mark
}

// mark says when sound up to a second had arrived.
type mark struct {
	seconds float64
	at      time.Time
}

// stream serves a web socket (docs/serve.md).
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	s.streams.Add(1)
	defer s.streams.Done()
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{protocol},
		InsecureSkipVerify: true, // guarded has looked at the origin
	})
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(maxMessage)
	st := &stream{s: s, c: c}
	err = st.run(r.Context())
	if err == nil {
		return
	}
	var e *apiError
	reason, message := "failed", err.Error()
	code := websocket.StatusInternalError
	switch {
	case errors.As(err, &e):
		reason, message, code = e.code, e.message, websocket.StatusPolicyViolation
	case websocket.CloseStatus(err) != -1, errors.Is(err, context.Canceled):
		return // the client left
	}
	s.metrics.rejected.WithLabelValues(reason).Inc()
	s.o.Log.Info("stream", "from", r.RemoteAddr, "task", st.start.Task, "error", message)
	ctx, cancel := context.WithTimeout(r.Context(), sendWait)
	defer cancel()
	st.send(ctx, map[string]string{"type": "error", "code": reason, "message": message})
	if reason == "too_large" {
		return // it has been told, and would go on sending
	}
	// The handshake of closing takes in what the client still sends: not for long.
	if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		conn.SetReadDeadline(time.Now().Add(time.Second))
	}
	c.Close(code, reason)
}

// connKey finds the connection of a request in its context.
type connKey struct{}

// received is a message of the client.
type received struct {
	kind websocket.MessageType
	data []byte
	at   time.Time
}

// run speaks the protocol.
func (st *stream) run(ctx context.Context) error {
	reading := ctx // the end of a context that is read with cuts the connection
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := make(chan received, queued)
	gone := make(chan error, 1)
	go func() {
		defer close(in)
		for {
			kind, data, err := st.c.Read(reading)
			if err != nil {
				gone <- err
				return
			}
			select {
			case in <- received{kind, data, time.Now()}:
			case <-ctx.Done(): // what still comes is not taken; closing waits for its answer
			}
		}
	}()
	lost := func() error { return clientError(<-gone) }

	select {
	case m, ok := <-in:
		if !ok {
			return lost()
		}
		if err := st.begin(m); err != nil {
			return err
		}
	case <-time.After(min(startWait, st.s.o.Limits.Idle)):
		return bad("", "the first message did not come: it is a JSON object of type start")
	}
	st.s.metrics.streams.WithLabelValues(st.start.Task).Inc()
	defer st.s.metrics.streams.WithLabelValues(st.start.Task).Dec()
	if err := st.send(ctx, st.ready); err != nil {
		return err
	}
	st.turn.s = st.s
	defer st.turn.done()
	life := time.After(time.Duration(st.s.o.Limits.Seconds) * time.Second)
	idle := time.NewTimer(st.s.o.Limits.Idle)
	defer idle.Stop()
	ending := st.s.ending.Done()
	var cutoff <-chan time.Time
	for {
		var m received
		var ok bool
		select {
		case m, ok = <-in:
			if !ok {
				return lost()
			}
		case <-idle.C:
			return &apiError{0, "idle", "", fmt.Sprintf("nothing came for %v", st.s.o.Limits.Idle)}
		case <-life:
			return &apiError{0, "too_long", "", fmt.Sprintf("a stream lives %d seconds at most here", st.s.o.Limits.Seconds)}
		case <-ending:
			// What has been sent by now is still worked on.
			ending, cutoff = nil, time.After(closeWait)
			continue
		case <-cutoff:
			return st.finish(ctx, "server ending", websocket.StatusGoingAway)
		}
		idle.Reset(st.s.o.Limits.Idle)
		if m.kind == websocket.MessageText {
			var c struct {
				Type string `json:"type"`
			}
			if json.Unmarshal(m.data, &c) != nil {
				return bad("", "a text message is no JSON object")
			}
			switch c.Type {
			case "end":
				return st.finish(ctx, "end", websocket.StatusNormalClosure)
			case "ping":
				if err := st.send(ctx, map[string]string{"type": "pong"}); err != nil {
					return err
				}
			default:
				return bad("type", "a message of type %q: after start there are end and ping", c.Type)
			}
			continue
		}
		if err := st.work(ctx, m); err != nil {
			return err
		}
	}
}

// clientError tells a message that is too large from a client that left.
func clientError(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) || websocket.CloseStatus(err) == websocket.StatusMessageTooBig {
		return &apiError{0, "too_large", "", fmt.Sprintf("a message is larger than %d bytes", maxMessage)}
	}
	if websocket.CloseStatus(err) != -1 {
		return err
	}
	return context.Canceled
}

// work takes a message in, in turns.
func (st *stream) work(ctx context.Context, m received) error {
	n, err := st.task.units(m.data)
	if err != nil {
		return err
	}
	st.taken += float64(n) / st.rate
	if st.taken > float64(st.s.o.Limits.Seconds) {
		return &apiError{0, "too_long", "", fmt.Sprintf("a stream holds %d seconds of sound at most here", st.s.o.Limits.Seconds)}
	}
	st.s.metrics.sound.WithLabelValues(st.start.Task).Add(float64(n) / st.rate)
	st.arrived = append(st.arrived, mark{st.taken, m.at})
	if len(st.arrived) > 2048 {
		st.arrived = st.arrived[:copy(st.arrived, st.arrived[1024:])]
	}
	step := max(1, int(stepSeconds*st.rate))
	for from := 0; from < n; from += step {
		if err := st.turn.next(ctx); err != nil {
			return err
		}
		err := st.task.step(ctx, m.data, from, min(from+step, n))
		st.turn.done()
		if err != nil {
			return err
		}
	}
	st.s.metrics.lag.WithLabelValues(st.start.Task).Observe(time.Since(m.at).Seconds())
	return nil
}

// finish works on the end, says that all is done and closes the socket.
func (st *stream) finish(ctx context.Context, reason string, code websocket.StatusCode) error {
	if err := st.turn.next(ctx); err != nil {
		return err
	}
	err := st.task.finish(ctx)
	st.turn.done()
	if err != nil {
		return err
	}
	err = st.send(ctx, map[string]any{"type": "done", "reason": reason, "seconds": st.taken})
	if err != nil {
		return err
	}
	st.c.Close(code, reason)
	return nil
}

// send sends a JSON message.
func (st *stream) send(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return st.write(ctx, websocket.MessageText, data)
}

// write sends a message. The turn is given back first: a client that does not take
// it keeps no other waiting.
func (st *stream) write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	st.turn.done()
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	if err := st.c.Write(ctx, kind, data); err != nil {
		return context.Canceled // it does not take what it is sent, or left
	}
	return nil
}

// begin reads the first message and prepares the task.
func (st *stream) begin(m received) error {
	st.start = startMessage{SampleRate: 16000, Format: "s16", Input: "samples"}
	if m.kind != websocket.MessageText {
		return bad("", "the first message is a JSON object of type start")
	}
	if err := json.Unmarshal(m.data, &st.start); err != nil || st.start.Type != "start" {
		return bad("type", "the first message is a JSON object of type start")
	}
	in := &st.start
	if in.SampleRate < 8000 || in.SampleRate > 192000 {
		return bad("sample_rate", "%d Hz: give 8000 to 192000", in.SampleRate)
	}
	if in.Format != "s16" && in.Format != "f32" {
		return bad("format", "samples of format %q: give s16 or f32", in.Format)
	}
	st.rate = float64(in.SampleRate)
	st.ready = readyMessage{Type: "ready", Task: in.Task, SampleRate: in.SampleRate, Format: in.Format}
	info := st.s.o.Codec.Info()
	books, err := transcode.Codebooks(info, in.Bitrate)
	if err != nil {
		return bad("bitrate", "%v", err)
	}
	if slices.Max(info.CodebookSizes[:books]) > 1<<16 && (in.Task != "transcribe" || in.Input == "tokens") {
		return bad("task", "codes of %s do not fit 16 bits", info.Name)
	}
	tokens := func() {
		st.ready.Codebooks, st.ready.FrameRate = info.CodebookSizes[:books], info.FrameRate
	}
	switch in.Task {
	case "encode":
		e, err := st.s.o.Codec.NewEncoder(books)
		if err != nil {
			return err
		}
		tokens()
		st.ready.Model, st.ready.LatencyMS = info.Name, float64(info.Latency.Microseconds())/1000
		st.task = &encodeTask{samplesIn: newSamplesIn(in, info.SampleRate), st: st, e: e}
	case "decode":
		d, err := st.s.o.Codec.NewDecoder(books)
		if err != nil {
			return err
		}
		tokens()
		st.ready.Model, st.ready.LatencyMS = info.Name, float64(info.Latency.Microseconds())/1000
		st.rate = info.FrameRate
		t := &decodeTask{tokensIn: tokensIn{info.CodebookSizes[:books]}, st: st, d: d}
		if in.SampleRate != info.SampleRate {
			t.resampler = audio.NewResampler(info.SampleRate, in.SampleRate, 1)
		}
		st.task = t
	case "transcribe":
		return st.beginTranscribe(info, books, tokens)
	default:
		return bad("task", "task %q: give encode, decode or transcribe", in.Task)
	}
	return nil
}

func (st *stream) beginTranscribe(info codec.Info, books int, tokens func()) error {
	rec, in := st.s.o.Recognizer, &st.start
	if rec == nil {
		return &apiError{http.StatusNotFound, "no_recognizer", "", "this server has no recogniser: start it with --asr"}
	}
	o, err := options(rec.Info(), in.Language, in.Chunk)
	if err != nil {
		return err
	}
	o.Beam = st.s.o.Beam
	latency, err := rec.Latency(o)
	if err != nil {
		return bad("chunk_ms", "%v", err)
	}
	st.ready.Model, st.ready.LatencyMS = rec.Info().Name, float64(latency.Microseconds())/1000
	switch in.Input {
	case "samples":
		stream, err := rec.NewStream(o)
		if err != nil {
			return bad("", "%v", err)
		}
		st.task = &transcribeTask{samplesIn: newSamplesIn(in, rec.Info().SampleRate), st: st, stream: stream}
	case "tokens":
		ts, ok := rec.(asr.TokenStreamer)
		if !ok || rec.Info().Codec != info.Fingerprint {
			return bad("input", "%s takes samples only", rec.Info().Name)
		}
		stream, err := ts.NewTokenStream(books, o)
		if err != nil {
			return bad("", "%v", err)
		}
		tokens()
		st.rate = info.FrameRate
		st.task = &transcribeTokensTask{tokensIn: tokensIn{info.CodebookSizes[:books]}, st: st, stream: stream}
	default:
		return bad("input", "input %q: give samples or tokens", in.Input)
	}
	return nil
}

// options chooses how to recognise.
func options(info asr.Info, language string, chunk int) (asr.Options, error) {
	o := asr.Options{Chunk: time.Duration(chunk) * time.Millisecond}
	if chunk != 0 && !slices.Contains(info.Chunks, o.Chunk) {
		return o, bad("chunk_ms", "chunks of %d ms: %s has %v", chunk, info.Name, info.Chunks)
	}
	if language != "" {
		o.Language = strings.ToLower(language)
		if !slices.Contains(info.Languages, o.Language) {
			return o, bad("language", "language %q: %s knows %s", language, info.Name, strings.Join(info.Languages, ", "))
		}
	}
	return o, nil
}

// samplesIn reads samples and brings them to a model's rate.
type samplesIn struct {
	float     bool
	resampler *audio.Resampler // nil where the rates are equal
	raw, pcm  []float32
}

func newSamplesIn(m *startMessage, rate int) samplesIn {
	s := samplesIn{float: m.Format == "f32"}
	if m.SampleRate != rate {
		s.resampler = audio.NewResampler(m.SampleRate, rate, 1)
	}
	return s
}

func (s *samplesIn) size() int {
	if s.float {
		return 4
	}
	return 2
}

func (s *samplesIn) units(message []byte) (int, error) {
	if len(message)%s.size() != 0 {
		return 0, bad("", "%d bytes are no whole samples of %d bytes", len(message), s.size())
	}
	return len(message) / s.size(), nil
}

// samples gives samples [from, to) of a message at the model's rate.
func (s *samplesIn) samples(message []byte, from, to int) []float32 {
	s.raw = s.raw[:0]
	for i := from; i < to; i++ {
		if s.float {
			v := math.Float32frombits(binary.LittleEndian.Uint32(message[4*i:]))
			if !(v >= -8 && v <= 8) { // no samples are there, nor NaN
				v = 0
			}
			s.raw = append(s.raw, v)
		} else {
			s.raw = append(s.raw, float32(int16(binary.LittleEndian.Uint16(message[2*i:])))/32768)
		}
	}
	if s.resampler == nil {
		return s.raw
	}
	s.pcm = s.resampler.Process(s.pcm[:0], s.raw)
	return s.pcm
}

// rest gives the samples that the resampler still holds.
func (s *samplesIn) rest() []float32 {
	if s.resampler == nil {
		return nil
	}
	return s.resampler.Flush(s.pcm[:0])
}

// tokensIn reads frames of 16-bit codes, little-endian.
type tokensIn struct{ sizes []int }

func (t tokensIn) units(message []byte) (int, error) {
	if len(message)%(2*len(t.sizes)) != 0 {
		return 0, bad("", "%d bytes are no whole frames of %d codes of two bytes", len(message), len(t.sizes))
	}
	return len(message) / 2 / len(t.sizes), nil
}

func (t tokensIn) codes(message []byte, from, to int) ([]int32, error) {
	codes := make([]int32, 0, (to-from)*len(t.sizes))
	for i := from * len(t.sizes); i < to*len(t.sizes); i++ {
		code := int32(binary.LittleEndian.Uint16(message[2*i:]))
		if book := i % len(t.sizes); int(code) >= t.sizes[book] {
			return nil, bad("", "code %d lies outside codebook %d of %d entries", code, book, t.sizes[book])
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// encodeTask turns samples into frames of 16-bit codes.
type encodeTask struct {
	samplesIn
	st    *stream
	e     codec.Encoder
	codes []int32
}

func (t *encodeTask) step(ctx context.Context, message []byte, from, to int) (err error) {
	t.codes, err = t.e.Encode(t.codes[:0], t.samples(message, from, to))
	return errors.Join(err, t.give(ctx))
}

func (t *encodeTask) finish(ctx context.Context) (err error) {
	if t.codes, err = t.e.Encode(t.codes[:0], t.rest()); err == nil {
		t.codes, err = t.e.Flush(t.codes)
	}
	return errors.Join(err, t.give(ctx))
}

func (t *encodeTask) give(ctx context.Context) error {
	if len(t.codes) == 0 {
		return nil
	}
	data := make([]byte, 0, 2*len(t.codes))
	for _, c := range t.codes {
		data = binary.LittleEndian.AppendUint16(data, uint16(c))
	}
	return t.st.write(ctx, websocket.MessageBinary, data)
}

// decodeTask turns frames into samples.
type decodeTask struct {
	tokensIn
	st        *stream
	d         codec.Decoder
	resampler *audio.Resampler
	pcm, out  []float32
}

func (t *decodeTask) step(ctx context.Context, message []byte, from, to int) error {
	codes, err := t.codes(message, from, to)
	if err != nil {
		return err
	}
	if t.pcm, err = t.d.Decode(t.pcm[:0], codes); err != nil {
		return err
	}
	return t.give(ctx, false)
}

func (t *decodeTask) finish(ctx context.Context) (err error) {
	if t.pcm, err = t.d.Flush(t.pcm[:0]); err != nil {
		return err
	}
	return t.give(ctx, true)
}

func (t *decodeTask) give(ctx context.Context, end bool) error {
	out := t.pcm
	if t.resampler != nil {
		t.out = t.resampler.Process(t.out[:0], t.pcm)
		if end {
			t.out = t.resampler.Flush(t.out)
		}
		out = t.out
	}
	if len(out) == 0 {
		return nil
	}
	var data []byte
	for _, v := range out {
		if t.st.start.Format == "f32" {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		} else {
			data = binary.LittleEndian.AppendUint16(data, uint16(int16(math.RoundToEven(float64(min(max(v*32768, -32768), 32767))))))
		}
	}
	return t.st.write(ctx, websocket.MessageBinary, data)
}

// transcribeTask turns samples into words.
type transcribeTask struct {
	samplesIn
	st     *stream
	stream asr.Stream
	teller
}

func (t *transcribeTask) step(ctx context.Context, message []byte, from, to int) error {
	u, err := t.stream.Push(t.samples(message, from, to))
	return errors.Join(err, t.tell(ctx, t.st, u))
}

func (t *transcribeTask) finish(ctx context.Context) error {
	first, err := t.stream.Push(t.rest())
	if err != nil {
		return err
	}
	u, err := t.stream.Flush()
	u.Committed = append(first.Committed, u.Committed...)
	u.Endpoint = u.Endpoint || first.Endpoint
	return errors.Join(err, t.tell(ctx, t.st, u))
}

// transcribeTokensTask turns frames into words.
type transcribeTokensTask struct {
	tokensIn
	st     *stream
	stream asr.TokenStream
	teller
}

func (t *transcribeTokensTask) step(ctx context.Context, message []byte, from, to int) error {
	codes, err := t.codes(message, from, to)
	if err != nil {
		return err
	}
	u, err := t.stream.PushTokens(codes)
	return errors.Join(err, t.tell(ctx, t.st, u))
}

func (t *transcribeTokensTask) finish(ctx context.Context) error {
	u, err := t.stream.Flush()
	return errors.Join(err, t.tell(ctx, t.st, u))
}

// teller tells the client what changed.
type teller struct{ tentative []asr.Word }

func (t *teller) tell(ctx context.Context, st *stream, u asr.Update) error {
	if len(u.Committed) == 0 && !u.Endpoint && slices.Equal(u.Tentative, t.tentative) {
		return nil
	}
	t.tentative = slices.Clone(u.Tentative)
	now := time.Now()
	for _, w := range u.Committed {
		for _, m := range st.arrived {
			if m.seconds >= w.End.Seconds() {
				st.s.metrics.words.Observe(now.Sub(m.at).Seconds())
				break
			}
		}
	}
	return st.send(ctx, wordsMessage{"words", wordsOf(u.Committed), wordsOf(u.Tentative), u.Endpoint, st.taken})
}
