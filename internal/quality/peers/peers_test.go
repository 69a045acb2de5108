package peers

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/audio"
)

var sample = filepath.FromSlash("../../../samples/speech.wav")

func speech(t *testing.T) []float32 {
	t.Helper()
	pcm, err := audio.ReadMono(sample, Rate)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}

// page is an Ogg page of packets that end in it.
func page(packets ...int) []byte {
	p := append([]byte("OggS"), make([]byte, 22)...)
	var lacing []byte
	body := 0
	for _, n := range packets {
		lacing = append(append(lacing, bytes.Repeat([]byte{255}, n/255)...), byte(n%255))
		body += n
	}
	p = append(append(p, byte(len(lacing))), lacing...)
	return append(p, make([]byte, body)...)
}

func TestOggPayload(t *testing.T) {
	stream := append(append(page(19), page(700)...), append(page(100, 255), page(0, 31)...)...)
	if got, err := oggPayload(stream); err != nil || got != 100+255+31 {
		t.Errorf("%d bytes, %v; want 386", got, err)
	}
	for name, bad := range map[string][]byte{
		"cut": stream[:len(stream)-1], "cut in the header": stream[:30], "no Ogg": []byte("RIFF"), "one packet": page(5), "empty": nil,
	} {
		if got, err := oggPayload(bad); err == nil {
			t.Errorf("%s: %d bytes", name, got)
		}
	}
}

func FuzzOggPayload(f *testing.F) {
	f.Add(append(page(19), page(700, 3)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := oggPayload(data); err == nil && n > len(data) {
			t.Errorf("%d bytes in %d", n, len(data))
		}
	})
}

func TestAlign(t *testing.T) {
	pcm := speech(t)
	for _, lag := range []int{0, 1, -1, 320, -777, 1500} {
		moved := make([]float32, len(pcm))
		for i := range moved {
			if k := i - lag; k >= 0 && k < len(pcm) {
				moved[i] = 0.7 * pcm[k]
			}
		}
		got := align(pcm, moved)
		for i := 2000; i < len(pcm)-2000; i++ {
			if got[i] != 0.7*pcm[i] {
				t.Errorf("moved by %d samples: not found", lag)
				break
			}
		}
	}
}

func TestCompare(t *testing.T) {
	systems := []System{
		{Codec: "copy", Setting: "late", run: func(_ context.Context, dir string, pcm []float32) ([]float32, int, error) {
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o666); err != nil {
				return nil, 0, err
			}
			return append(make([]float32, 250), pcm...), 2 * len(pcm), nil
		}},
		{Codec: "noise", run: func(_ context.Context, _ string, pcm []float32) ([]float32, int, error) {
			out := append([]float32(nil), pcm...)
			for i := range out {
				out[i] += 0.05 * float32(math.Sin(float64(i*i)))
			}
			return out, 0, nil
		}},
	}
	t.Setenv("TMPDIR", t.TempDir())
	rows, err := Compare(t.Context(), systems, []string{sample, sample}, Options{MaxSeconds: 3, Parallel: 2, Done: func(int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; math.Abs(r.ESTOI-1) > 1e-9 || r.Mel != 0 || r.SISDR != 200 || math.Abs(r.Kbps-32) > 1e-9 {
		t.Errorf("a late copy has %+v", r)
	}
	if r := rows[1]; r.ESTOI > 0.95 || r.Mel < 0.05 || r.SISDR > 30 {
		t.Errorf("noise has %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	systems[0].run = func(context.Context, string, []float32) ([]float32, int, error) { cancel(); return nil, 0, ctx.Err() }
	if _, err := Compare(ctx, systems, []string{sample}, Options{Done: func(int64) {}}); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), sample) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPrograms runs the codecs that are on this machine; their sound must be
// speech that was said.
func TestPrograms(t *testing.T) {
	systems, missing := Programs()
	if len(systems) == 0 {
		t.Skipf("not on this machine: %v", missing)
	}
	rows, err := Compare(t.Context(), systems, []string{sample}, Options{Parallel: 2, Done: func(int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.ESTOI < 0.4 || r.Kbps < 0.5 || r.Kbps > 20 {
			t.Errorf("%s %s: %+v", r.Codec, r.Setting, r)
		}
		// Codec2's modes are named by their rates.
		if mode, err := strconv.Atoi(strings.TrimSuffix(r.Setting, "C")); r.Codec == "Codec2" && (err != nil || math.Abs(1000*r.Kbps/float64(mode)-1) > 0.02) {
			t.Errorf("Codec2 %s at %.3f kbit/s", r.Setting, r.Kbps)
		}
	}
}

func TestProgramsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	systems, missing := Programs()
	if len(systems) != 0 || len(missing) != 6 {
		t.Errorf("%d systems, missing %v", len(systems), missing)
	}
	if _, err := startPESQ(t.Context(), "no-python"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no interpreter: %v", err)
	}
}

func TestPlot(t *testing.T) {
	var b bytes.Buffer
	score := 2.0
	rows := []Row{{Codec: "a", Kbps: 1, ESTOI: 0.5, PESQ: &score}, {Codec: "a", Kbps: 3, ESTOI: 0.7, PESQ: &score}, {Codec: "b", Kbps: 2, PESQ: &score}}
	if err := Plot(&b, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&b); err != nil {
		t.Error(err)
	}
}
