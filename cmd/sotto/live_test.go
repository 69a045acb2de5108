package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/stream/packet"
	"github.com/sotto-audio/sotto/stream/packet/packettest"
)

// TestSendReceive joins two processes by networks of every kind: the stream ends by
// itself, all of it is accounted for, and it can be understood. How well depends here
// on what else the machine does; stream/packet measures it on a simulated clock.
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
			receive := exec.Command(program, "receive", port, out, "--delay", "60000", "--json")
			receive.Stdout, receive.Stderr = &told, &errors
			if err := receive.Start(); err != nil {
				t.Fatal(err)
			}
			defer receive.Process.Kill()
			for taken := false; !taken; time.Sleep(20 * time.Millisecond) {
				conn, err := net.ListenPacket("udp", port)
				if taken = err != nil; !taken {
					conn.Close()
				}
			}
			send := runs(t, dir, nil, "send", "--repair", "100", "--json", relay.Addr(), "spoken.wav")
			if err := receive.Wait(); err != nil || send.code != 0 {
				t.Fatalf("%v, %s, %+v", err, &errors, send)
			}
			var sent packet.SenderStats
			var got packet.Stats
			if err := json.Unmarshal([]byte(send.stdout), &sent); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(told.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			heard, err := audio.ReadMono(out, 16000)
			if err != nil {
				t.Fatal(err)
			}
			score, err := packettest.ESTOI(spoken, heard, 5*16000)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("ESTOI %.3f, receiver %+v, sender %+v", score, got, sent)
			if score < 0.4 {
				t.Errorf("ESTOI %.3f: what was heard is not what was spoken", score)
			}
			// What was lost at the very end is not known to have been there.
			if got.Refused != 0 || math.Abs(float64(got.Packets+got.Lost-sent.Packets)) > 8 {
				t.Errorf("%d packets came and %d were lost of %d", got.Packets, got.Lost, sent.Packets)
			}
			if frames := got.Played + got.Repaired + got.Concealed + got.Skipped; math.Abs(float64(frames-sent.Packets)) > 8 {
				t.Errorf("%d frames of %d", frames, sent.Packets)
			}
		})
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
