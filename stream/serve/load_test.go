package serve

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/asr/sotto"
)

// recognizer is the released one where the environment's SOTTO_LOAD is set, else
// the one that counts: then the figures are those of the server alone.
func recognizer(t testing.TB) asr.Recognizer {
	if os.Getenv("SOTTO_LOAD") == "" {
		return counting{}
	}
	r, err := sotto.Default(sotto.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// number is what a variable of the environment says, else a small one.
func number(t testing.TB, name string, short int) int {
	if v := os.Getenv(name); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return short
}

// delays of words: from the end of a word, as it was spoken, to its being shown for the
// first time, and to its being committed; and to that from the moment at which the
// recogniser had heard enough to decide.
type delays struct{ shown, words, server []time.Duration }

// talk streams speech at its own speed.
func talk(ctx context.Context, r *running, pcm []float32, offset, seconds int) (all delays, err error) {
	c, _, err := websocket.Dial(ctx, r.url+"/v1/stream", &websocket.DialOptions{Subprotocols: []string{"sotto"}})
	if err != nil {
		return all, err
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"start","task":"transcribe"}`)); err != nil {
		return all, err
	}
	begin := make(chan time.Time, 1)
	go func() {
		start := <-begin
		for i := range seconds * 50 {
			time.Sleep(time.Until(start.Add(time.Duration(i+1) * 20 * time.Millisecond)))
			block := make([]float32, 320)
			for k := range block {
				block[k] = pcm[(offset+320*i+k)%len(pcm)]
			}
			if c.Write(ctx, websocket.MessageBinary, s16(block)) != nil {
				return
			}
		}
		c.Write(ctx, websocket.MessageText, []byte(`{"type":"end"}`))
	}()
	var start time.Time
	type sight struct {
		word
		at time.Time
	}
	var sights []sight // of words that are not committed yet
	for {
		_, data, err := c.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		now := time.Now()
		var m wordsMessage
		if err := json.Unmarshal(data, &m); err != nil {
			return all, err
		}
		if m.Type == "ready" {
			start = now
			begin <- now
		}
		for _, w := range m.Tentative {
			sights = append(sights, sight{w, now})
		}
		for _, w := range m.Committed {
			since := func(seconds float64) time.Duration {
				return now.Sub(start.Add(time.Duration(seconds * float64(time.Second))))
			}
			shown := since(w.End)
			for i, s := range sights {
				if s.Word == w.Word && math.Abs(s.Start-w.Start) < 0.4 {
					shown -= now.Sub(s.at)
					sights = sights[i+1:]
					break
				}
			}
			all.shown = append(all.shown, shown)
			all.words, all.server = append(all.words, since(w.End)), append(all.server, since(w.Emitted))
		}
	}
}

// TestLoad runs sixteen streams, or as many as the environment's SOTTO_STREAMS says, at
// the speed of speech for SOTTO_LOAD seconds beside clients that flood, stall, send
// garbage and leave: words come in time all the same.
func TestLoad(t *testing.T) {
	seconds, count := number(t, "SOTTO_LOAD", 3), number(t, "SOTTO_STREAMS", 16)
	r := start(t, func(o *Options) { o.Recognizer, o.Beam = recognizer(t), sotto.LiveBeam })
	pcm := append(speech(t), make([]float32, 16000)...)
	ctx, cancel := context.WithCancel(t.Context())
	var hostile sync.WaitGroup
	for i := range 4 {
		hostile.Go(func() { harm(ctx, r, i) })
	}
	var mu sync.Mutex
	var all delays
	var streams sync.WaitGroup
	for i := range count {
		streams.Go(func() {
			got, err := talk(t.Context(), r, pcm, i*7919, seconds)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
			mu.Lock()
			all.shown, all.words, all.server = append(all.shown, got.shown...), append(all.words, got.words...), append(all.server, got.server...)
			mu.Unlock()
		})
	}
	streams.Wait()
	cancel()
	hostile.Wait()
	if len(all.words) < count {
		t.Fatalf("%d words in %d seconds of %d streams", len(all.words), seconds, count)
	}
	for _, d := range [][]time.Duration{all.shown, all.words, all.server} {
		slices.Sort(d)
	}
	at := func(d []time.Duration, p float64) time.Duration {
		return d[min(len(d)-1, int(p*float64(len(d))))].Round(time.Millisecond)
	}
	for name, d := range map[string][]time.Duration{
		"the end of a word to its first sight": all.shown, "the end of a word to its being settled": all.words, "what the recogniser had to hear to that": all.server,
	} {
		t.Logf("%d streams, %d s, %d words, delay from %s: %v in the median, %v for 95 %%, %v for 99 %%, %v at most", count, seconds, len(d), name, at(d, 0.5), at(d, 0.95), at(d, 0.99), at(d, 1))
	}
	if os.Getenv("SOTTO_LOAD") != "" && (at(all.shown, 0.99) > time.Second || at(all.server, 0.99) > time.Second) {
		t.Errorf("the 99th percentiles of the delays are %v, %v of it the server's", at(all.shown, 0.99), at(all.server, 0.99))
	}
}

// harm is a client that does one kind of harm until ctx ends.
func harm(ctx context.Context, r *running, kind int) {
	rng := rand.New(rand.NewPCG(uint64(kind), 1))
	for ctx.Err() == nil {
		c, _, err := websocket.Dial(ctx, r.url+"/v1/stream", &websocket.DialOptions{Subprotocols: []string{"sotto"}})
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		c.SetReadLimit(1 << 22)
		c.Write(ctx, websocket.MessageText, []byte(`{"type":"start","task":"transcribe"}`))
		switch kind {
		case 0: // as much as it can
			go func() {
				for {
					if _, _, err := c.Read(ctx); err != nil {
						return
					}
				}
			}()
			for sent := 0; sent < 2<<30; sent += 1 << 17 {
				if c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<17)) != nil {
					break
				}
			}
		case 1: // garbage
			noise := make([]byte, 1+rng.IntN(4000))
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			c.Write(ctx, websocket.MessageType(1+rng.IntN(2)), noise)
			time.Sleep(50 * time.Millisecond)
		case 2: // nothing
			wait, cancel := context.WithTimeout(ctx, 2*time.Second)
			<-wait.Done()
			cancel()
		case 3: // leaves in the middle
			c.Write(ctx, websocket.MessageBinary, s16(make([]float32, rng.IntN(16000))))
		}
		c.CloseNow()
	}
}

// TestHours feeds hours of speech as fast as the server takes them: memory stays as
// it is, and nothing is left behind.
func TestHours(t *testing.T) {
	seconds := 600
	if os.Getenv("SOTTO_LOAD") != "" {
		seconds = 2 * 3600
	}
	r := start(t, func(o *Options) { o.Recognizer = recognizer(t) })
	r.do(t, "GET", "/healthz", nil) // the server is up
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(100 * time.Millisecond)
	goroutines := runtime.NumGoroutine()
	pcm := append(speech(t), make([]float32, 16000)...)
	block := s16(pcm)
	c := r.dial(t, `{"type":"start","task":"transcribe"}`)
	began := time.Now()
	go func() {
		sent := 0
		for sent < seconds*32000 {
			n := min(32000, len(block), seconds*32000-sent)
			at := sent % len(block)
			n = min(n, len(block)-at)
			if c.Write(t.Context(), websocket.MessageBinary, block[at:at+n]) != nil {
				return
			}
			sent += n
		}
		c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"end"}`))
	}()
	var heaps []float64
	words, mark := 0, 0.0
	for {
		_, data, err := c.Read(t.Context())
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("the stream ends with %v", err)
			}
			break
		}
		var m wordsMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		words += len(m.Committed)
		if m.Seconds-mark >= float64(seconds)/10 {
			mark = m.Seconds
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			heaps = append(heaps, float64(s.HeapAlloc)/1e6)
		}
	}
	took := time.Since(began)
	t.Logf("%d s of sound in %.1f s, %.0f x real time, %d words; heap %.1f MB by tenths", seconds, took.Seconds(), float64(seconds)/took.Seconds(), words, heaps)
	if n := len(heaps); n < 5 || heaps[n-1] > heaps[1]+5 {
		t.Errorf("the heap grows: %.1f MB", heaps)
	}
	if os.Getenv("SOTTO_LOAD") != "" && float64(seconds)/took.Seconds() < 10 {
		t.Errorf("%.1f x real time", float64(seconds)/took.Seconds())
	}
	for range 1000 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before: %s", runtime.NumGoroutine(), goroutines, strings.TrimSpace(string(buf[:runtime.Stack(buf, true)])))
}
