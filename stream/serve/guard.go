package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiError is an error as OpenAI's clients read it.
type apiError struct {
	status  int
	code    string
	param   string
	message string
}

func (e *apiError) Error() string { return e.message }

// bad is a mistake in the request.
func bad(param, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "invalid_request", param, fmt.Sprintf(format, args...)}
}

// fail answers with an error: those of the request as they are, others as 500.
func fail(w http.ResponseWriter, err error) {
	var e *apiError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &large):
		e = &apiError{http.StatusRequestEntityTooLarge, "too_large", "file", fmt.Sprintf("the upload is larger than %d bytes, which is the limit here", large.Limit)}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &apiError{http.StatusServiceUnavailable, "ended", "", "the request was cut off"}
	default:
		e = &apiError{http.StatusInternalServerError, "internal", "", err.Error()}
	}
	kind := "invalid_request_error"
	if e.status >= 500 {
		kind = "server_error"
	}
	var param any
	if e.param != "" {
		param = e.param
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"message": e.message, "type": kind, "param": param, "code": e.code,
	}})
}

// guarded refuses requests that a page of another origin, or a name that was made
// to point here, would make in a visitor's browser.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.knownHost(r.Host) {
			fail(w, &apiError{http.StatusMisdirectedRequest, "unknown_host", "", fmt.Sprintf("this server is not called %q: start it with --host to allow that name", r.Host)})
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			if !s.knownOrigin(origin, r.Host) {
				s.metrics.rejected.WithLabelValues("origin").Inc()
				fail(w, &apiError{http.StatusForbidden, "origin", "", fmt.Sprintf("pages of %s may not call here: start the server with --origin to allow them", origin)})
				return
			}
			w.Header().Add("Vary", "Origin")
			if slices.Contains(s.o.Origins, origin) {
				w.Header().Set("Access-Control-Allow-Origin", origin)
				w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				if r.Method == http.MethodOptions {
					w.WriteHeader(http.StatusNoContent)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost says whether a Host header names this server: an address, localhost or
// a name of the options.
func (s *Server) knownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	return net.ParseIP(name) != nil || name == "localhost" ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

func (s *Server) knownOrigin(origin, host string) bool {
	if slices.Contains(s.o.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// tokenProtocol is the prefix of the web-socket protocol by which browsers, which
// can send no headers, give the token.
const tokenProtocol = "bearer."

// authorised asks for the token, where there is one.
func (s *Server) authorised(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(s.o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Token != "" {
			given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			for _, p := range strings.Split(r.Header.Get("Sec-WebSocket-Protocol"), ",") {
				if t, ok := strings.CutPrefix(strings.TrimSpace(p), tokenProtocol); ok {
					given = t
				}
			}
			if have := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
				s.metrics.rejected.WithLabelValues("token").Inc()
				w.Header().Set("WWW-Authenticate", "Bearer")
				fail(w, &apiError{http.StatusUnauthorized, "invalid_api_key", "", "the token is missing or wrong: send it as Authorization: Bearer TOKEN"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// limited takes one of the slots for the time of a request, bounds its body, and
// takes nothing while the server ends.
func (s *Server) limited(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.ending.Err() != nil {
			fail(w, &apiError{http.StatusServiceUnavailable, "ending", "", "the server is ending"})
			return
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			s.metrics.rejected.WithLabelValues("connections").Inc()
			w.Header().Set("Retry-After", "5")
			fail(w, &apiError{http.StatusServiceUnavailable, "busy", "", fmt.Sprintf("all %d connections are in use: try again later", s.o.Limits.Connections)})
			return
		}
		r.Body = http.MaxBytesReader(w, &lively{r.Body, http.NewResponseController(w), s.o.Limits.Idle}, s.o.Limits.Bytes)
		next(w, r)
	}
}

// lively ends a body that stalls.
type lively struct {
	io.ReadCloser
	c    *http.ResponseController
	idle time.Duration
}

func (l *lively) Read(p []byte) (int, error) {
	l.c.SetReadDeadline(time.Now().Add(l.idle))
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.c.SetReadDeadline(time.Time{}) // the answer takes the time that it needs
	}
	return n, err
}

// recorded counts and logs requests, and answers for a handler that panics.
func (s *Server) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, idle: s.o.Limits.Idle, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.o.Log.Error("panic", "path", r.URL.Path, "value", p, "stack", string(debug.Stack()))
				if !rec.begun {
					fail(rec, errors.New("the server made a mistake: its log says more"))
				}
				rec.status = http.StatusInternalServerError
			}
			s.metrics.requests.WithLabelValues(pattern(r), strconv.Itoa(rec.status)).Inc()
			s.o.Log.Info("request", "method", r.Method, "path", r.URL.Path, "status", rec.status, "took", time.Since(start).Round(time.Microsecond), "from", r.RemoteAddr)
		}()
		next.ServeHTTP(rec, r)
	})
}

// pattern is the path for metrics: one of a few.
func pattern(r *http.Request) string {
	if r.URL.Path == "/metrics" || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/v1/stream" || r.URL.Path == "/v1/info" {
		return r.URL.Path
	}
	for _, p := range []string{"/v1/audio/encode", "/v1/audio/decode", "/v1/audio/tokens", "/v1/audio/transcriptions", "/v1/audio/translations"} {
		if r.URL.Path == p {
			return p
		}
	}
	if strings.HasPrefix(r.URL.Path, "/v1/models") {
		return "/v1/models"
	}
	return "page"
}

// recorder remembers the status, and ends an answer that its client does not take.
// Unwrap lets the response controller and the web socket reach what is under it.
type recorder struct {
	http.ResponseWriter
	idle   time.Duration
	status int
	begun  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.begun {
		r.status, r.begun = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// pieceBytes of an answer are to be taken within the idle time.
const pieceBytes = 1 << 16

func (r *recorder) Write(b []byte) (n int, err error) {
	r.begun = true
	c := http.NewResponseController(r.ResponseWriter)
	defer c.SetWriteDeadline(time.Time{}) // what comes next takes the time that it needs
	for err == nil && n < len(b) {
		c.SetWriteDeadline(time.Now().Add(r.idle))
		var k int
		k, err = r.ResponseWriter.Write(b[n:min(n+pieceBytes, len(b))])
		n += k
	}
	return n, err
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// turn is the right to use a processor core. Work of every client goes in steps of
// a fraction of a second of sound, and waits for a turn before each: one that
// floods the server gets no more of them than another.
type turn struct {
	s    *Server
	held bool
}

// next gives the turn back and waits for the next one.
func (t *turn) next(ctx context.Context) error {
	t.done()
	if err := t.s.turns.Acquire(ctx, 1); err != nil {
		return err
	}
	t.held = true
	return nil
}

// done gives the turn back.
func (t *turn) done() {
	if t.held {
		t.s.turns.Release(1)
		t.held = false
	}
}
