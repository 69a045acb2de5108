package lyra

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// coefficients opens the published files, which are not part of this project.
func coefficients(t *testing.T) *Model {
	t.Helper()
	data := os.Getenv("SOTTO_DATA")
	if data == "" {
		t.Skip("SOTTO_DATA is not set: Lyra's coefficients are not there")
	}
	folder := filepath.Join(data, "peers", "lyra_v2")
	if _, err := os.Stat(folder); err != nil {
		t.Skip(err)
	}
	c, err := codec.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Model)
}

func speech(t *testing.T) []float32 {
	t.Helper()
	x, err := audio.ReadMono("../../samples/speech.wav", sampleRate)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Packets and samples are those of TensorFlow Lite's reference kernels on the
// same coefficients, bit for bit, at every bitrate.
func TestPacketsAndSamplesEqualTensorFlowLite(t *testing.T) {
	m, x := coefficients(t), speech(t)
	text, err := os.ReadFile("testdata/packets.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(rows) != len(levels) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		column := strings.Split(row, "\t")
		n, err := strconv.Atoi(column[0])
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := m.Encode(context.Background(), x, n)
		if err != nil {
			t.Fatal(err)
		}
		different := 0
		for i, c := range tokens.Codes {
			if strconv.FormatInt(int64(c), 16) != column[1][i:i+1] {
				different++
			}
		}
		if different > 0 || len(tokens.Codes) != len(column[1]) {
			t.Errorf("%d codebooks: %d of %d codes differ", n, different, len(column[1]))
		}
		y, err := m.Decode(context.Background(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		var raw []byte
		for _, v := range y {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != column[2] {
			t.Errorf("%d codebooks: the samples differ", n)
		}
	}
}

// Samples in pieces of any length give the packets of the whole, and packets one
// by one the samples.
func TestStreamingIsExact(t *testing.T) {
	m, x := coefficients(t), speech(t)
	x = x[:16000*2+77]
	want, err := m.Encode(context.Background(), x, 16)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.NewEncoder(16)
	if err != nil {
		t.Fatal(err)
	}
	d, err := m.NewDecoder(16)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := m.Decode(context.Background(), want)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 320, 1000} {
		var codes []int32
		var y []float32
		for rest := x; len(rest) > 0; {
			n := min(size, len(rest))
			at := len(codes)
			if codes, err = e.Encode(codes, rest[:n]); err != nil {
				t.Fatal(err)
			}
			if y, err = d.Decode(y, codes[at:]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		at := len(codes)
		if codes, err = e.Flush(codes); err != nil {
			t.Fatal(err)
		}
		if y, err = d.Decode(y, codes[at:]); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(codes, want.Codes) || !slices.Equal(y, pcm) {
			t.Errorf("pieces of %d samples give other packets or samples", size)
		}
		e.Reset()
		d.Reset()
	}
	if frames := (len(x) + hop - 1) / hop; want.Frames != frames || len(pcm) != frames*hop {
		t.Errorf("%d frames and %d samples of %d", want.Frames, len(pcm), len(x))
	}
}

func TestInfo(t *testing.T) {
	m := coefficients(t)
	info := m.Info()
	if !slices.Equal(info.Bitrates, []float64{3200, 6000, 9200}) || info.Codebooks() != 46 || info.FrameRate != 50 {
		t.Errorf("%+v", info)
	}
	if _, err := m.NewEncoder(17); err == nil {
		t.Error("17 codebooks are accepted")
	}
	d, err := m.NewDecoder(16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(nil, make([]int32, 15)); err == nil {
		t.Error("a part of a frame is accepted")
	}
	codes := make([]int32, 16)
	codes[3] = 16
	if _, err := d.Decode(nil, codes); err == nil {
		t.Error("a code outside of its codebook is accepted")
	}
}

func TestLoadNamesTheMissingFile(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), encoderFile) {
		t.Errorf("error %v", err)
	}
}
