package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/device"
	"github.com/sotto-audio/sotto/internal/transcode"
	"github.com/sotto-audio/sotto/stream"
)

type infoCmd struct {
	File    string `arg:"" optional:"" help:"Audio file, .sotto file or weights file; \"default\" or its name is the model inside this program; \"-\" is standard input."`
	Devices bool   `help:"List the microphones, loudspeakers and graphics processors of this machine."`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// Validate asks for one thing to describe.
func (c *infoCmd) Validate() error {
	if (c.File == "") == !c.Devices {
		return errors.New("give a FILE, or --devices")
	}
	return nil
}

// Help is shown by --help.
func (infoCmd) Help() string {
	return `Examples:
  sotto info speech.sotto
  sotto info default
  sotto info --json speech.wav
  sotto info --devices`
}

// description is what info says; scripts rely on the keys of the first block,
// which are there for every kind of file.
type description struct {
	Samples     int64   `json:"samples"` // a channel, -1 unknown
	SampleRate  int     `json:"sample_rate"`
	Channels    int     `json:"channels"`
	Frames      int64   `json:"frames"`
	Codebooks   int     `json:"codebooks"`
	Bitrate     float64 `json:"bitrate"` // of all channels, bits per second
	Model       string  `json:"model"`
	Fingerprint string  `json:"fingerprint"`

	Kind          string    `json:"kind"`
	Bits          int       `json:"bits,omitempty"`
	Seconds       float64   `json:"seconds,omitempty"`
	Bytes         int64     `json:"bytes,omitempty"`
	CodebookSizes []int     `json:"codebook_sizes,omitempty"`
	FrameRate     float64   `json:"frame_rate,omitempty"`
	Packets       int       `json:"packets,omitempty"`
	Coding        string    `json:"coding,omitempty"`  // of a .sotto file: packed or entropy
	Entropy       string    `json:"entropy,omitempty"` // the network that codes it
	Damage        []string  `json:"damage,omitempty"`
	Family        string    `json:"family,omitempty"`
	Bitrates      []float64 `json:"bitrates,omitempty"`
	Streaming     string    `json:"streaming,omitempty"`
	LatencyMS     float64   `json:"latency_ms,omitempty"`
	Parameters    int       `json:"parameters,omitempty"`
}

// Run is called by kong.
func (c *infoCmd) Run(s *session) error {
	if c.Devices {
		return c.devices(s)
	}
	d, err := c.describe(s)
	if err != nil {
		return err
	}
	if st, err := os.Stat(c.File); err == nil && st.Mode().IsRegular() {
		d.Bytes = st.Size()
	}
	if d.Kind != "sotto" && d.Kind != "ecdc" && d.Kind != "model" && d.Seconds > 0 {
		d.Bitrate = float64(d.Bytes) * 8 / d.Seconds
	}
	if c.JSON {
		err = json.NewEncoder(s.stdout).Encode(d)
	} else {
		err = d.print(s.stdout)
	}
	if len(d.Damage) > 0 {
		return fmt.Errorf("%s: %s", name(c.File), d.Damage[0])
	}
	return err
}

// devices lists what sound can come from and go to, and what models can run on.
func (c *infoCmd) devices(s *session) error {
	compute, missing := device.List()
	sound, err := stream.Devices(s.ctx)
	if c.JSON && err == nil {
		return json.NewEncoder(s.stdout).Encode(map[string]any{"sound": sound, "compute": compute})
	}
	t := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tUSE\tDESCRIPTION\t")
	for _, d := range sound {
		use := "in, out"
		switch {
		case !d.Output:
			use = "in"
		case !d.Input:
			use = "out"
		}
		note := ""
		if d.Default {
			note = "default"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", d.Name, use, d.Description, note)
	}
	for _, d := range compute {
		note := ""
		switch {
		case d.Name == device.CPU:
			note = "default"
		case d.Software:
			note = "in software"
		}
		fmt.Fprintf(t, "%s\tcompute\t%s\t%s\n", d.Name, d.Description, note)
	}
	for _, m := range missing {
		fmt.Fprintf(t, "%s\tcompute\t%s\t\n", m.Kind, line(m.Err))
	}
	return errors.Join(t.Flush(), err)
}

// describe tells the kinds apart by their first bytes, not by their names.
func (c *infoCmd) describe(s *session) (description, error) {
	if c.File == "-" {
		in := bufio.NewReader(s.stdin)
		s = &session{ctx: s.ctx, stdin: in}
		if head, _ := in.Peek(len(sottoMagic)); bytes.Equal(head, sottoMagic) {
			return c.describeTokens(s)
		}
		return c.describeAudio(s)
	}
	switch {
	case isSotto(c.File):
		return c.describeTokens(s)
	case isECDC(s, c.File):
		return describeECDC(c.File)
	case isWeights(c.File):
		model, err := modelFlag{Model: c.File}.any()
		if err != nil {
			return description{}, err
		}
		return describeModel(model.Info()), nil
	case !exists(c.File):
		for _, quantizer := range quantizers {
			model, err := inside(quantizer)
			if err != nil {
				return description{}, err
			}
			if i := model.Info(); c.File == i.Name || c.File == "default" && quantizer == quantizerGRVQ {
				return describeModel(i), nil
			}
		}
	}
	return c.describeAudio(s)
}

func describeModel(i codec.Info) description {
	d := description{
		Samples: -1, Kind: "model", Model: i.Name, Fingerprint: i.Fingerprint.String(), Family: i.Family,
		SampleRate: i.SampleRate, Channels: 1, Codebooks: i.Codebooks(), CodebookSizes: i.CodebookSizes,
		FrameRate: i.FrameRate, Bitrates: i.Bitrates, Streaming: string(i.Streaming),
		LatencyMS: float64(i.Latency.Microseconds()) / 1000, Parameters: i.Parameters,
	}
	if n := len(i.Bitrates); n > 0 {
		d.Bitrate = i.Bitrates[n-1]
	}
	return d
}

// describeTokens reads a .sotto file through: what is damaged shows only then.
func (c *infoCmd) describeTokens(s *session) (d description, err error) {
	r, f, err := openTokens(s, c.File)
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := r.Header()
	d = description{
		Kind: "sotto", SampleRate: h.SampleRate, Channels: h.Channels, Bits: h.Bits,
		Codebooks: len(h.CodebookSizes), CodebookSizes: h.CodebookSizes,
		FrameRate: float64(h.ModelRate) / float64(h.HopLength),
		Model:     h.Model, Fingerprint: h.Fingerprint.String(),
	}
	d.Bitrate = float64(codec.FrameBits(h.CodebookSizes)*h.Channels) * d.FrameRate
	none := codec.Fingerprint{}
	if d.Coding = coding(h.Entropy != none); h.Entropy != none {
		d.Entropy = h.Entropy.String()
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return d, err
		}
		if err := s.ctx.Err(); err != nil {
			return d, err
		}
		d.Packets++
		d.Frames += int64(p.Frames)
	}
	d.Samples = r.Samples()
	d.Seconds = float64(max(d.Samples, 0)) / float64(d.SampleRate)
	for _, e := range r.Damage() {
		d.Damage = append(d.Damage, e.Error())
	}
	return d, nil
}

// describeAudio reads a source through where it does not say its length.
func (c *infoCmd) describeAudio(s *session) (d description, err error) {
	src, err := rawFlags{}.open(s, c.File)
	if err != nil {
		return d, err
	}
	defer src.Close()
	f := src.Format()
	d = description{Kind: f.Kind, Samples: src.Frames(), SampleRate: f.SampleRate, Channels: f.Channels, Bits: f.Bits}
	if d.Samples < 0 {
		d.Samples, err = transcode.Copy(s.ctx, discard{}, src, func(int64) {})
		if err != nil {
			return d, err
		}
	}
	d.Seconds = float64(d.Samples) / float64(d.SampleRate)
	return d, nil
}

// discard is an audio.Writer that only counts.
type discard struct{}

func (discard) Write([]float32) error { return nil }
func (discard) Close() error          { return nil }

func (d description) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	row("kind", "%s", d.Kind)
	if d.Model != "" {
		row("model", "%s", d.Model)
		row("fingerprint", "%s", d.Fingerprint)
	}
	row("sample rate", "%d Hz", d.SampleRate)
	if d.Kind != "model" {
		row("channels", "%d", d.Channels)
		if d.Samples >= 0 {
			row("samples", "%d (%s)", d.Samples, duration(d.Seconds))
		} else {
			row("samples", "unknown")
		}
		if d.Bits > 0 {
			row("bits", "%d", d.Bits)
		}
	}
	if d.FrameRate > 0 {
		row("frame rate", "%.4g Hz", d.FrameRate)
	}
	if d.Codebooks > 0 {
		row("codebooks", "%d of %v entries", d.Codebooks, d.CodebookSizes)
	}
	if d.Kind == "sotto" {
		row("frames", "%d in %d packets", d.Frames, d.Packets)
		if d.Entropy == "" {
			row("coding", "bit-packed")
		} else {
			row("coding", "entropy, by network %s", d.Entropy)
		}
	}
	if d.Kind == "model" {
		steps := ""
		for i, b := range d.Bitrates {
			if i > 0 {
				steps += ", "
			}
			steps += fmt.Sprint(b / 1000)
		}
		if len(d.Bitrates) > 0 {
			row("bitrates", "%s kbit/s", steps)
		}
		row("latency", "%.4g ms", d.LatencyMS)
		row("streaming", "%s", d.Streaming)
		row("parameters", "%.2f million", float64(d.Parameters)/1e6)
	} else if d.Bitrate > 0 {
		row("bitrate", "%s", kbps(d.Bitrate))
	}
	if d.Bytes > 0 {
		whole := ""
		if d.Kind == "sotto" && d.Seconds > 0 {
			whole = fmt.Sprintf(" (%s)", kbps(float64(d.Bytes)*8/d.Seconds))
		}
		row("size", "%s%s", size(d.Bytes), whole)
	}
	return t.Flush()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isWeights tells a safetensors file: 8 bytes of header length, then JSON.
func isWeights(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		return true
	}
	var head [9]byte
	if _, read := io.ReadFull(f, head[:]); errors.Join(err, read) != nil {
		return false
	}
	if bytes.HasPrefix(head[:], []byte("PK\x03\x04")) || bytes.HasPrefix(head[:], []byte{0x80, 2}) {
		return true // a PyTorch checkpoint
	}
	n := binary.LittleEndian.Uint64(head[:])
	return head[8] == '{' && n > 0 && n < uint64(st.Size())
}
