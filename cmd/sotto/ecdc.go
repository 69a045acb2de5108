package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/encodec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/transcode"
)

// namesECDC reports whether an output is to be in EnCodec's own format.
func namesECDC(path string) bool { return strings.EqualFold(filepath.Ext(path), ".ecdc") }

// isECDC tells by its first bytes whether a file, or standard input, is in EnCodec's
// own format. Standard input goes on where it was.
func isECDC(s *session, path string) bool {
	if path == "-" {
		in := bufio.NewReader(s.stdin)
		s.stdin = in
		head, _ := in.Peek(len(encodec.Magic))
		return string(head) == encodec.Magic
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(encodec.Magic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == encodec.Magic
}

// asEnCodec is the model of a file in EnCodec's own format.
func asEnCodec(c codec.Codec) (*encodec.Model, error) {
	m, ok := c.(*encodec.Model)
	if !ok {
		return nil, fmt.Errorf(".ecdc files are EnCodec's, the model at hand is %s: give an EnCodec checkpoint with --model", c.Info().Name)
	}
	return m, nil
}

// lmFlag chooses the language model of files in EnCodec's own format.
type lmFlag struct {
	LM string `name:"lm" placeholder:"FILE" help:"Checkpoint of EnCodec's language model, with which .ecdc files are a quarter smaller."`
}

// languageModel opens the language model, nil where none is asked for.
func (l lmFlag) languageModel(m *encodec.Model) (*encodec.LanguageModel, error) {
	if l.LM == "" {
		return nil, nil
	}
	return encodec.LoadLanguageModel(l.LM, m)
}

// encodeECDC encodes a whole signal, whose length the format has in front.
func (l lmFlag) encodeECDC(ctx context.Context, c codec.Codec, src audio.Reader, dst io.Writer, o transcode.EncodeOptions) (transcode.Summary, error) {
	var sum transcode.Summary
	m, err := asEnCodec(c)
	if err != nil {
		return sum, err
	}
	lm, err := l.languageModel(m)
	if err != nil {
		return sum, err
	}
	info := m.Info()
	channels, err := audio.ReadAll(src)
	if err != nil {
		return sum, err
	}
	if m.Channels() == 1 && len(channels) > 1 {
		var all []float32
		for i := range channels[0] {
			for _, c := range channels {
				all = append(all, c[i])
			}
		}
		channels = [][]float32{audio.Mono(nil, all, len(channels))}
	}
	switch {
	case len(channels) > 2:
		return sum, fmt.Errorf("%d channels: %s takes one or two", len(channels), info.Name)
	case m.Channels() == 2 && len(channels) == 1:
		channels = append(channels, channels[0])
	}
	sum = transcode.Summary{SampleRate: info.SampleRate, Channels: len(channels), SourceBytes: int64(2 * len(channels) * len(channels[0]))}
	if rate := src.Format().SampleRate; rate != info.SampleRate {
		for i, x := range channels {
			r := audio.NewResampler(rate, info.SampleRate, 1)
			channels[i] = r.Flush(r.Process(nil, x))
		}
	}
	var pcm []float32
	for i := range channels[0] {
		for _, x := range channels {
			pcm = append(pcm, x[i])
		}
	}
	segments, err := m.EncodeSegments(ctx, pcm, o.Codebooks)
	if err != nil {
		return sum, err
	}
	sum.Samples = int64(len(channels[0]))
	for _, s := range segments {
		sum.Frames += int64(s.Frames)
		sum.Codebooks = s.Codebooks
	}
	sum.Bitrate = info.FrameRate * float64(codec.FrameBits(info.CodebookSizes[:sum.Codebooks]))
	counted := &counting{Writer: dst}
	if lm != nil {
		err = m.WriteECDCWith(counted, sum.Samples, segments, lm)
	} else {
		err = m.WriteECDC(counted, sum.Samples, segments)
	}
	sum.Bytes = counted.n
	return sum, err
}

type counting struct {
	io.Writer
	n int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n += int64(n)
	return n, err
}

// ecdcSound is the sound of a file in EnCodec's own format.
type ecdcSound struct {
	format audio.Format
	pcm    []float32
	frames int64
}

var _ audio.Reader = (*ecdcSound)(nil)

// openECDC decodes a file, with a vocoder where one was chosen.
func (l lmFlag) openECDC(ctx context.Context, c codec.Codec, v vocoderFlag, r io.Reader) (*ecdcSound, error) {
	m, err := asEnCodec(c)
	if err != nil {
		return nil, err
	}
	h, err := encodec.ReadHeader(r)
	if err != nil {
		return nil, err
	}
	lm, err := l.languageModel(m)
	if err != nil {
		return nil, err
	}
	var segments []encodec.Segment
	if lm != nil {
		segments, err = m.ReadECDCWith(r, h, lm)
	} else {
		segments, err = m.ReadECDC(r, h)
	}
	if err != nil {
		return nil, err
	}
	pcm, err := v.decodeSegments(ctx, m, segments)
	if err != nil {
		return nil, err
	}
	pcm = pcm[:min(len(pcm), int(h.Samples)*m.Channels())]
	return &ecdcSound{audio.Format{SampleRate: m.Info().SampleRate, Channels: m.Channels(), Kind: "ecdc"}, pcm, int64(len(pcm) / m.Channels())}, nil
}

func (e *ecdcSound) Format() audio.Format { return e.format }
func (e *ecdcSound) Frames() int64        { return e.frames }
func (e *ecdcSound) Close() error         { return nil }
func (e *ecdcSound) Damage() []error      { return nil }

func (e *ecdcSound) Read(dst []float32) (int, error) {
	if len(e.pcm) == 0 {
		return 0, io.EOF
	}
	n := copy(dst[:len(dst)/e.format.Channels*e.format.Channels], e.pcm)
	e.pcm = e.pcm[n:]
	return n, nil
}

// describeECDC reads a file's header.
func describeECDC(path string) (d description, err error) {
	f, err := os.Open(path)
	if err != nil {
		return d, err
	}
	defer f.Close()
	h, err := encodec.ReadHeader(bufio.NewReader(f))
	if err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	d = description{Kind: "ecdc", Model: h.Model, Samples: h.Samples, Codebooks: h.Codebooks, Channels: 1}
	d.CodebookSizes = slices.Repeat([]int{1024}, h.Codebooks)
	switch h.Model {
	case "encodec_24khz":
		d.SampleRate, d.FrameRate = 24000, 75
	case "encodec_48khz":
		d.SampleRate, d.FrameRate, d.Channels = 48000, 150, 2
	default:
		return d, fmt.Errorf("%s: made with %q, which is no EnCodec that is known", path, h.Model)
	}
	d.Seconds = float64(h.Samples) / float64(d.SampleRate)
	if st, err := f.Stat(); err == nil && d.Seconds > 0 {
		d.Bitrate = float64(st.Size()) * 8 / d.Seconds
	}
	return d, nil
}
