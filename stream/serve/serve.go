// Package serve is a server of live speech for browsers and programs: a page, a
// web-socket protocol to encode, decode and transcribe, and the transcription
// interface of OpenAI's clients. docs/serve.md describes what it speaks.
package serve

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/codec"
	"golang.org/x/sync/semaphore"
)

// Limits bound what clients may take. Zero values mean the defaults.
type Limits struct {
	Connections int           // requests and streams at once; 64
	Bytes       int64         // of an upload; 256 MiB
	Seconds     int           // of sound in a request or stream, and of a stream's life; 4 hours
	Idle        time.Duration // without a message or a byte; 30 s
	Grace       time.Duration // for what runs when the server ends; 20 s
}

func (l *Limits) defaults() {
	if l.Connections == 0 {
		l.Connections = 64
	}
	if l.Bytes == 0 {
		l.Bytes = 256 << 20
	}
	if l.Seconds == 0 {
		l.Seconds = 4 * 3600
	}
	if l.Idle == 0 {
		l.Idle = 30 * time.Second
	}
	if l.Grace == 0 {
		l.Grace = 20 * time.Second
	}
}

// Options choose what a Server serves.
type Options struct {
	Codec      codec.Codec
	Recognizer asr.Recognizer // nil serves no transcription
	Beam       int            // hypotheses of a live stream; 0 is the recogniser's default
	Token      string         // bearer token that the interface asks for; empty asks for none
	Origins    []string       // further origins whose pages may call, such as https://example.org
	Hosts      []string       // names under which the server is reached, besides addresses and localhost
	Limits     Limits
	Version    string
	Log        *slog.Logger // nil logs nothing
}

// Server serves a codec and a recogniser.
type Server struct {
	o       Options
	metrics *metrics
	slots   chan struct{} // taken by requests and streams
	turns   *semaphore.Weighted
	handler http.Handler

	ending  context.Context // done when the server begins to end
	end     context.CancelFunc
	streams sync.WaitGroup
}

// New makes a server.
func New(o Options) (*Server, error) {
	if o.Codec == nil {
		return nil, errors.New("serve: a codec is needed")
	}
	o.Limits.defaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, slots: make(chan struct{}, o.Limits.Connections),
		turns: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.metrics = newMetrics()
	s.handler = s.routes()
	return s, nil
}

// Handler is the server without its socket, for a server of another kind.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes() http.Handler {
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	open.HandleFunc("GET /readyz", s.ready)
	open.Handle("/", page())

	closed := http.NewServeMux()
	closed.Handle("GET /metrics", s.metrics.handler())
	closed.HandleFunc("GET /v1/info", s.info)
	closed.HandleFunc("GET /v1/models", s.models)
	closed.HandleFunc("GET /v1/models/{name}", s.model)
	closed.HandleFunc("GET /v1/stream", s.limited(s.stream))
	closed.HandleFunc("POST /v1/audio/encode", s.limited(s.encode))
	closed.HandleFunc("POST /v1/audio/tokens", s.limited(s.tokens))
	closed.HandleFunc("POST /v1/audio/decode", s.limited(s.decode))
	closed.HandleFunc("POST /v1/audio/transcriptions", s.limited(s.transcriptions))
	closed.HandleFunc("POST /v1/audio/translations", s.limited(s.translations))
	closed.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &apiError{http.StatusNotFound, "not_found", "", fmt.Sprintf("there is no %s %s here: docs/serve.md lists what there is", r.Method, r.URL.Path)})
	})
	open.Handle("/metrics", s.authorised(closed))
	open.Handle("/v1/", s.authorised(closed))
	return s.recorded(s.guarded(open))
}

// ready says whether new work is taken.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.ending.Err() != nil {
		http.Error(w, "ending", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ready\n"))
}

// info describes what is served.
func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	type recognizer struct {
		Name       string   `json:"name"`
		SampleRate int      `json:"sample_rate"`
		Languages  []string `json:"languages"`
		ChunksMS   []int64  `json:"chunks_ms"`
		LatencyMS  int64    `json:"latency_ms"`
	}
	c := s.o.Codec.Info()
	v := struct {
		Version string `json:"version"`
		Codec   struct {
			Name        string    `json:"name"`
			SampleRate  int       `json:"sample_rate"`
			HopLength   int       `json:"hop_length"`
			Codebooks   []int     `json:"codebook_sizes"`
			Levels      []int     `json:"levels"`
			Bitrates    []float64 `json:"bitrates"`
			LatencyMS   int64     `json:"latency_ms"`
			Fingerprint string    `json:"fingerprint"`
		} `json:"codec"`
		Recognizer *recognizer `json:"recognizer"`
		Limits     struct {
			Bytes   int64 `json:"bytes"`
			Seconds int   `json:"seconds"`
		} `json:"limits"`
	}{Version: s.o.Version}
	v.Codec.Name, v.Codec.SampleRate, v.Codec.HopLength = c.Name, c.SampleRate, c.HopLength
	v.Codec.Codebooks, v.Codec.Levels, v.Codec.Bitrates = c.CodebookSizes, c.Levels, c.Bitrates
	v.Codec.LatencyMS, v.Codec.Fingerprint = c.Latency.Milliseconds(), c.Fingerprint.String()
	v.Limits.Bytes, v.Limits.Seconds = s.o.Limits.Bytes, s.o.Limits.Seconds
	if s.o.Recognizer != nil {
		i := s.o.Recognizer.Info()
		v.Recognizer = &recognizer{Name: i.Name, SampleRate: i.SampleRate, Languages: i.Languages}
		for _, c := range i.Chunks {
			v.Recognizer.ChunksMS = append(v.Recognizer.ChunksMS, c.Milliseconds())
		}
		if l, err := s.o.Recognizer.Latency(asr.Options{}); err == nil {
			v.Recognizer.LatencyMS = l.Milliseconds()
		}
	}
	reply(w, v)
}

// reply sends a JSON value.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// Serve answers on l until ctx ends; then it takes nothing new, finishes what it
// has within the grace of the limits, and returns nil. With a TLS configuration
// it speaks TLS.
func (s *Server) Serve(ctx context.Context, l net.Listener, t *tls.Config) error {
	h := &http.Server{
		Handler: s.handler, TLSConfig: t,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if t != nil {
			failed <- h.ServeTLS(l, "", "")
		} else {
			failed <- h.Serve(l)
		}
	}()
	select {
	case err := <-failed:
		s.end()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.o.Log.Info("ending", "grace", s.o.Limits.Grace)
	s.end()
	grace, cancel := context.WithTimeout(context.Background(), s.o.Limits.Grace)
	defer cancel()
	err := h.Shutdown(grace)
	over := make(chan struct{})
	go func() {
		s.streams.Wait() // hijacked connections, which Shutdown does not know
		close(over)
	}()
	select {
	case <-over:
	case <-grace.Done():
		err = grace.Err()
	}
	if err != nil {
		h.Close()
		return fmt.Errorf("serve: what ran did not end within %v: cut off", s.o.Limits.Grace)
	}
	return nil
}
