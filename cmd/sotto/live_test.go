package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/metrics"
	"github.com/sotto-audio/sotto/stream/packet/packettest"
)

// intelligible is the mean ESTOI of stretches of speech, each at the delay at which
// the sound heard fits it best: a live stream's delay moves.
func intelligible(t *testing.T, spoken, heard []float32) float64 {
	t.Helper()
	// The buffer may insert a frame at any time: stretches are short, so that it
	// shifts few of them in their middle.
	const stretch, before, after = 24000, 1600, 9600 // samples; delays to look at
	heard = append(append(make([]float32, before), heard...), make([]float32, stretch+after)...)
	var sum float64
	n := 0
	for from := 0; from+stretch <= len(spoken) && from+before+after+stretch <= len(heard); from += stretch {
		ref := spoken[from : from+stretch]
		best, lag := math.Inf(-1), 0
		try := func(l, step int) {
			x := heard[from+l:]
			var s float64
			for i := 0; i < stretch; i += step {
				s += float64(x[i] * ref[i])
			}
			if s > best {
				best, lag = s, l
			}
		}
		for l := 0; l < before+after; l += 4 {
			try(l, 3)
		}
		best = math.Inf(-1)
		for l := max(0, lag-4); l <= lag+4; l++ {
			try(l, 1)
		}
		e, err := metrics.ESTOI(ref, heard[from+lag:from+lag+stretch], 16000)
		if err != nil {
			t.Fatal(err)
		}
		sum += e
		n++
	}
	return sum / float64(n)
}

// TestSendReceive joins two processes by networks of every kind: with repairs,
// speech through a loss of a fifth is nine tenths as intelligible as through none.
func TestSendReceive(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the speech")
	}
	dir := t.TempDir()
	var spoken []float32
	for _, name := range []string{"speech.wav", "flite.flac"} {
		pcm, err := audio.ReadMono(filepath.Join("..", "..", "samples", name), 16000)
		if err != nil {
			t.Fatal(err)
		}
		spoken = append(spoken, pcm...)
	}
	f, err := os.Create(filepath.Join(dir, "spoken.wav"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := audio.NewWAVWriter(f, audio.Format{SampleRate: 16000, Channels: 1, Bits: 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(spoken); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	networks := []struct {
		name string
		net  packettest.Network
	}{
		{"clean", packettest.Network{}},
		{"loss5", packettest.Network{Loss: 0.05}},
		{"loss20", packettest.Network{Loss: 0.2}},
		{"all", packettest.Network{Loss: 0.15, Burst: 2, Jitter: 50 * time.Millisecond, Reorder: 0.05, Duplicate: 0.05}},
	}
	scores := map[string]float64{}
	t.Run("networks", func(t *testing.T) {
		results := make(chan func(), len(networks))
		for i := range networks {
			n := &networks[i]
			t.Run(n.name, func(t *testing.T) {
				t.Parallel()
				port := freePort(t)
				relay, err := packettest.NewRelay(&n.net, port)
				if err != nil {
					t.Fatal(err)
				}
				defer relay.Close()
				out := filepath.Join(dir, n.name+".wav")
				var told, errors bytes.Buffer
				receive := exec.Command(program, "receive", port, out, "--timeout", "2", "--json")
				receive.Stdout, receive.Stderr = &told, &errors
				if err := receive.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				send := runs(t, dir, nil, "send", "--repair", "100", "--json", relay.Addr(), "spoken.wav")
				if err := receive.Wait(); err != nil || send.code != 0 {
					t.Fatalf("%v, %s, %+v", err, &errors, send)
				}
				var stats struct{ Played, Repaired, Concealed int }
				if err := json.Unmarshal(told.Bytes(), &stats); err != nil {
					t.Fatal(err)
				}
				heard, err := audio.ReadMono(out, 16000)
				if err != nil {
					t.Fatal(err)
				}
				score := intelligible(t, spoken, heard)
				t.Logf("ESTOI %.3f, receiver %s, sender %s", score, strings.TrimSpace(told.String()), send.stdout)
				if frames := stats.Played + stats.Repaired + stats.Concealed; math.Abs(float64(frames-len(spoken)/320)) > 15 {
					t.Errorf("%d frames of %d", frames, len(spoken)/320)
				}
				results <- func() { scores[n.name] = score }
			})
		}
		t.Cleanup(func() {
			close(results)
			for r := range results {
				r()
			}
		})
	})
	for name, share := range map[string]float64{"loss5": 0.95, "loss20": 0.9, "all": 0.75} {
		if scores[name] < share*scores["clean"] {
			t.Errorf("%s: ESTOI %.3f of %.3f", name, scores[name], scores["clean"])
		}
	}
}

// freePort is an address of this machine that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	relay, err := packettest.NewRelay(&packettest.Network{}, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	return relay.Addr()
}

// TestNoDevices: without sound hardware every command says so in one line.
func TestNoDevices(t *testing.T) {
	for _, args := range []string{"send 127.0.0.1:1", "play " + filepath.Join("..", "..", "samples", "speech.wav")} {
		r := runs(t, "", nil, strings.Fields(args)...)
		if r.code != 1 || !strings.Contains(r.stderr, "no sound device") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("sotto %s: %+v", args, r)
		}
	}
}

// TestServe: the server says where it listens, answers there, and ends in order
// when it is interrupted.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted on Windows")
	}
	cmd := exec.Command(program, "serve", "--addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "<title>sotto</title>", "/healthz": "ok", "/v1/info": "sotto-16k"} {
		res, err := http.Get(strings.TrimSpace(url) + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %.100s %v", path, res.StatusCode, text, err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, the server ends with %v", err)
	}
	for _, args := range []string{"serve --tls-cert a.pem", "serve --max-time 1ms", "send nowhere", "receive --delay 1"} {
		if r := runs(t, "", nil, strings.Fields(args)...); r.code != 2 {
			t.Errorf("sotto %s: %+v", args, r)
		}
	}
}

// TestListenUsage: what sotto listen cannot do, it says.
func TestListenUsage(t *testing.T) {
	for args, code := range map[string]int{"listen --offline": 2, "listen --raw-channels 0 -": 2, "info --devices x": 2, "listen --model nothing.safetensors": 1} {
		if r := runs(t, "", nil, strings.Fields(args)...); r.code != code || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("sotto %s: %+v", args, r)
		}
	}
}
