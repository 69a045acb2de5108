// Package peers runs other speech codecs through the clips and metrics that a
// codec of this project is measured by. Opus, Codec2 and Speex are programs that
// are found when it runs; Lyra is package codec/lyra.
package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/rvq"
)

// Rate is the sample rate at which everything is compared, in Hz.
const Rate = 16000

// System is a codec at one setting.
type System struct {
	Codec   string // "Opus"
	Setting string // "6 kbit/s"
	// run codes mono sound at Rate, using files in dir, and gives what comes out of
	// the decoder at Rate with the number of bits between the two.
	run func(ctx context.Context, dir string, pcm []float32) (decoded []float32, bits int, err error)
	// used gives the least share of a codebook's entries that run has used so far;
	// nil where there is no telling.
	used func() float64
}

// pad is the silence after a clip that a program may need to let go of its end.
const pad = Rate / 10

// Name is codec and setting.
func (s System) Name() string { return s.Codec + " " + s.Setting }

// Of gives a system for each bitrate of a model that runs at Rate.
func Of(name string, model codec.Codec) ([]System, error) {
	info := model.Info()
	if info.SampleRate != Rate {
		return nil, fmt.Errorf("%s runs at %d Hz: codecs are compared at %d Hz", info.Name, info.SampleRate, Rate)
	}
	var systems []System
	for i, books := range info.Levels {
		usage, mu := rvq.NewUsage(info.CodebookSizes[:books]), &sync.Mutex{}
		systems = append(systems, System{
			Codec: name, Setting: fmt.Sprintf("%g kbit/s", info.Bitrates[i]/1000),
			used: func() float64 {
				mu.Lock()
				defer mu.Unlock()
				least := 1.0
				for k := range books {
					least = min(least, usage.Used(k))
				}
				return least
			},
			run: func(ctx context.Context, _ string, pcm []float32) ([]float32, int, error) {
				tokens, err := model.Encode(ctx, pcm, books)
				if err != nil {
					return nil, 0, err
				}
				mu.Lock()
				usage.Add(tokens.Codes, books)
				mu.Unlock()
				bits := 0.0
				for _, size := range info.CodebookSizes[:books] {
					bits += float64(tokens.Frames) * math.Log2(float64(size))
				}
				decoded, err := model.Decode(ctx, tokens)
				return decoded, int(bits + 0.5), err
			},
		})
	}
	return systems, nil
}

// Programs gives the systems whose programs are on this machine, and the names of
// the programs that are not.
func Programs() (systems []System, missing []string) {
	find := func(names ...string) bool {
		found := true
		for _, n := range names {
			if _, err := exec.LookPath(n); err != nil {
				missing = append(missing, n)
				found = false
			}
		}
		return found
	}
	if find("opusenc", "opusdec") {
		for _, kbps := range []string{"6", "8", "12"} {
			systems = append(systems, ogg("Opus", kbps+" kbit/s",
				"opusenc --quiet --speech --hard-cbr --bitrate "+kbps+" IN OUT", "opusdec --quiet --rate 16000 IN OUT", Rate))
		}
	}
	if find("c2enc", "c2dec") {
		for _, m := range []struct {
			name string
			bits int // of a frame
		}{{"700C", 28}, {"1300", 52}, {"2400", 48}, {"3200", 64}} {
			systems = append(systems, codec2(m.name, m.bits))
		}
	}
	if find("speexenc", "speexdec") {
		for _, q := range []string{"1", "2", "4"} {
			systems = append(systems, ogg("Speex 8 kHz", "quality "+q, "speexenc --narrowband --comp 10 --quality "+q+" IN OUT", "speexdec IN OUT", Rate/2))
		}
		for _, q := range []string{"0", "1", "3"} {
			systems = append(systems, ogg("Speex 16 kHz", "quality "+q, "speexenc --wideband --comp 10 --quality "+q+" IN OUT", "speexdec IN OUT", Rate))
		}
	}
	return systems, missing
}

// ogg is a codec whose programs read and write WAV at a rate, and Ogg streams.
func ogg(name, setting, encode, decode string, rate int) System {
	return System{Codec: name, Setting: setting, run: func(ctx context.Context, dir string, pcm []float32) ([]float32, int, error) {
		in, coded, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "coded.ogg"), filepath.Join(dir, "out.wav")
		if err := writeWAV(in, resampled(padded(pcm), Rate, rate), rate); err != nil {
			return nil, 0, err
		}
		if err := command(ctx, encode, in, coded); err != nil {
			return nil, 0, err
		}
		data, err := os.ReadFile(coded)
		if err != nil {
			return nil, 0, err
		}
		bytes, err := oggPayload(data)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", coded, err)
		}
		if err := command(ctx, decode, coded, out); err != nil {
			return nil, 0, err
		}
		decoded, err := audio.ReadMono(out, Rate)
		return decoded, share(8*bytes, len(pcm)), err
	}}
}

// padded is pcm with silence after it.
func padded(pcm []float32) []float32 { return append(slices.Clip(pcm), make([]float32, pad)...) }

// share is the part of the bits of a padded clip that the clip itself has.
func share(bits, samples int) int { return int(int64(bits) * int64(samples) / int64(samples+pad)) }

// codec2 is a mode of Codec2, whose programs read and write 16-bit samples at
// 8 kHz, and frames of bits that are filled up to bytes.
func codec2(mode string, bits int) System {
	return System{Codec: "Codec2", Setting: mode, run: func(ctx context.Context, dir string, pcm []float32) ([]float32, int, error) {
		in, coded, out := filepath.Join(dir, "in.raw"), filepath.Join(dir, "coded.bit"), filepath.Join(dir, "out.raw")
		var raw []byte
		for _, v := range resampled(padded(pcm), Rate, Rate/2) {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(int16(math.RoundToEven(float64(min(max(v*32768, -32768), 32767))))))
		}
		if err := os.WriteFile(in, raw, 0o666); err != nil {
			return nil, 0, err
		}
		if err := command(ctx, "c2enc "+mode+" IN OUT", in, coded); err != nil {
			return nil, 0, err
		}
		if err := command(ctx, "c2dec "+mode+" IN OUT", coded, out); err != nil {
			return nil, 0, err
		}
		size, err := os.Stat(coded)
		if err != nil {
			return nil, 0, err
		}
		if raw, err = os.ReadFile(out); err != nil {
			return nil, 0, err
		}
		decoded := make([]float32, len(raw)/2)
		for i := range decoded {
			decoded[i] = float32(int16(binary.LittleEndian.Uint16(raw[2*i:]))) / 32768
		}
		frames := int(size.Size()) / ((bits + 7) / 8)
		return resampled(decoded, Rate/2, Rate), share(frames*bits, len(pcm)), nil
	}}
}

// command runs a program whose arguments IN and OUT stand for files.
func command(ctx context.Context, line, in, out string) error {
	words := strings.Fields(line)
	for i, w := range words {
		switch w {
		case "IN":
			words[i] = in
		case "OUT":
			words[i] = out
		}
	}
	text, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", words[0], err, strings.TrimSpace(string(text)))
	}
	return nil
}

func resampled(pcm []float32, from, to int) []float32 {
	if from == to {
		return pcm
	}
	r := audio.NewResampler(from, to, 1)
	return r.Flush(r.Process(nil, pcm))
}

// writeWAV writes mono sound in 16 bits.
func writeWAV(path string, pcm []float32, rate int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := audio.NewWAVWriter(f, audio.Format{SampleRate: rate, Channels: 1})
	if err == nil {
		if err = w.Write(pcm); err == nil {
			err = w.Close()
		}
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
