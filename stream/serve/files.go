package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
)

// upload is an audio file on its way in: bounded in length, worked on in turns.
type upload struct {
	audio.Reader
	ctx    context.Context
	t      *turn
	s      *Server
	task   string
	frames int64
}

// open reads the body, or a part of it, as audio.
func (s *Server) open(ctx context.Context, r io.Reader, name, task string) (*upload, error) {
	src, err := audio.NewReader(r, name)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, err
	}
	if err != nil {
		return nil, &apiError{http.StatusUnsupportedMediaType, "unsupported_media", "file", err.Error()}
	}
	return &upload{Reader: src, ctx: ctx, t: &turn{s: s}, s: s, task: task}, nil
}

// Read reads at most a fifth of a second and waits for a turn to work on it.
func (u *upload) Read(dst []float32) (int, error) {
	f := u.Format()
	u.t.done()
	n, err := u.Reader.Read(dst[:min(len(dst), max(1, f.SampleRate/5)*f.Channels)])
	u.frames += int64(n / f.Channels)
	u.s.metrics.sound.WithLabelValues(u.task).Add(float64(n/f.Channels) / float64(f.SampleRate))
	if u.frames > int64(u.s.o.Limits.Seconds)*int64(f.SampleRate) {
		return 0, &apiError{http.StatusRequestEntityTooLarge, "too_long", "file", fmt.Sprintf("the sound is longer than %d seconds, which is the limit here", u.s.o.Limits.Seconds)}
	}
	if err != nil && err != io.EOF {
		var large *http.MaxBytesError
		if !errors.As(err, &large) {
			err = bad("file", "%v", err)
		}
		return n, err
	}
	if turn := u.t.next(u.ctx); turn != nil {
		return 0, turn
	}
	return n, err
}

// Close gives the turn back.
func (u *upload) Close() error {
	u.t.done()
	return u.Reader.Close()
}

// encode turns an audio file into a .sotto file.
func (s *Server) encode(w http.ResponseWriter, r *http.Request) {
	o, err := s.encodeOptions(r)
	if err != nil {
		fail(w, err)
		return
	}
	src, err := s.open(r.Context(), r.Body, "upload", "encode")
	if err != nil {
		fail(w, err)
		return
	}
	defer src.Close()
	out := &starting{w: w, t: src.t, kind: "application/vnd.sotto", name: "speech.sotto"}
	held := bufio.NewWriterSize(out, 1<<20) // half an hour of speech
	if _, err = transcode.Encode(r.Context(), s.o.Codec, src, held, o); err == nil {
		err = held.Flush()
	}
	out.end(err)
}

func (s *Server) encodeOptions(r *http.Request) (o transcode.EncodeOptions, err error) {
	q := r.URL.Query()
	kbps := 0.0
	if v := q.Get("bitrate"); v != "" {
		if kbps, err = strconv.ParseFloat(v, 64); err != nil {
			return o, bad("bitrate", "bitrate %q is no number of kbit/s", v)
		}
	}
	if o.Codebooks, err = transcode.Codebooks(s.o.Codec.Info(), kbps); err != nil {
		return o, bad("bitrate", "%v", err)
	}
	o.Mono = q.Get("mono") != "" && q.Get("mono") != "0"
	return o, nil
}

// starting sends a file whose header it writes with the first bytes, so that an
// error before them can still be told.
type starting struct {
	w          http.ResponseWriter
	t          *turn // given back while the client takes the bytes
	kind, name string
	begun      bool
}

func (s *starting) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", s.kind)
		s.w.Header().Set("Content-Disposition", `attachment; filename="`+s.name+`"`)
	}
	s.t.done()
	return s.w.Write(b)
}

// end tells an error; where bytes have been sent, by cutting the connection.
func (s *starting) end(err error) {
	switch {
	case err == nil:
	case s.begun:
		panic(http.ErrAbortHandler)
	default:
		fail(s.w, err)
	}
}

// tokens turns an audio file into tokens as JSON.
func (s *Server) tokens(w http.ResponseWriter, r *http.Request) {
	o, err := s.encodeOptions(r)
	if err != nil {
		fail(w, err)
		return
	}
	src, err := s.open(r.Context(), r.Body, "upload", "encode")
	if err != nil {
		fail(w, err)
		return
	}
	defer src.Close()
	info := s.o.Codec.Info()
	e, err := s.o.Codec.NewEncoder(o.Codebooks)
	if err != nil {
		fail(w, err)
		return
	}
	mono := audio.NewMonoReader(src, info.SampleRate)
	block := make([]float32, info.SampleRate/5)
	var codes []int32
	for {
		n, err := mono.Read(block)
		if n > 0 {
			if codes, err = e.Encode(codes, block[:n]); err != nil {
				fail(w, err)
				return
			}
			continue
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			fail(w, err)
			return
		}
	}
	if codes, err = e.Flush(codes); err != nil {
		fail(w, err)
		return
	}
	reply(w, map[string]any{
		"model": info.Name, "fingerprint": info.Fingerprint.String(), "frame_rate": info.FrameRate,
		"frames": len(codes) / o.Codebooks, "codebooks": o.Codebooks, "codebook_sizes": info.CodebookSizes[:o.Codebooks],
		"codes": codes,
	})
}

// mostlyWhole refuses a .sotto file that lacks more than it holds: what a few bytes
// claim to be lost is not concealed for hours.
type mostlyWhole struct {
	*transcode.Decoder
	rate float64 // token frames a second
}

const concealed = 60 // seconds, beyond what is there

func (m mostlyWhole) Read(dst []float32) (int, error) {
	if whole, lost := m.Extent(); float64(lost-whole) > concealed*m.rate {
		return 0, bad("file", "most of the file is lost: %.0f s, with %.0f s that are there", float64(lost)/m.rate, float64(whole)/m.rate)
	}
	return m.Decoder.Read(dst)
}

// decode turns a .sotto file into a WAV file.
func (s *Server) decode(w http.ResponseWriter, r *http.Request) {
	tokens, err := codec.NewReader(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if !errors.As(err, &large) {
			err = &apiError{http.StatusUnsupportedMediaType, "unsupported_media", "file", err.Error()}
		}
		fail(w, err)
		return
	}
	d, err := transcode.NewDecoder(s.o.Codec, tokens)
	if err != nil {
		fail(w, bad("file", "%v", err))
		return
	}
	src := &upload{Reader: mostlyWhole{d, s.o.Codec.Info().FrameRate}, ctx: r.Context(), t: &turn{s: s}, s: s, task: "decode"}
	defer src.Close()
	// The header of a WAV file holds its length, and browsers read it.
	file, err := os.CreateTemp("", "sotto-*.wav")
	if err != nil {
		fail(w, err)
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()
	format := d.Format()
	format.Bits = 16
	out, err := audio.NewWAVWriter(file, format)
	if err == nil {
		_, err = transcode.Copy(r.Context(), out, src, func(int64) {})
	}
	if err == nil {
		err = out.Close()
	}
	src.t.done()
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Content-Disposition", `attachment; filename="speech.wav"`)
	http.ServeContent(w, r, "", time.Time{}, file)
}

// models lists the recogniser as OpenAI's clients expect.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{"object": "list", "data": s.modelList()})
}

func (s *Server) modelList() []map[string]any {
	list := []map[string]any{}
	if s.o.Recognizer != nil {
		list = append(list, map[string]any{"id": s.o.Recognizer.Info().Name, "object": "model", "created": 0, "owned_by": "sotto"})
	}
	return list
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) {
	for _, m := range s.modelList() {
		if m["id"] == r.PathValue("name") {
			reply(w, m)
			return
		}
	}
	fail(w, &apiError{http.StatusNotFound, "model_not_found", "model", fmt.Sprintf("there is no model %q here", r.PathValue("name"))})
}

// event sends a server-sent event and flushes it.
func event(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
