package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/audio"
)

// TestALSA plays into ALSA's null and file devices, and sends from a file device as
// from a microphone.
func TestALSA(t *testing.T) {
	dir := t.TempDir()
	const config = `pcm.!default { type null }
pcm.out { type file slave.pcm "null" file "DIR/out.raw" format raw }
pcm.in { type file slave.pcm "null" file "/dev/null" infile "DIR/out.raw" format raw }
`
	if err := os.WriteFile(filepath.Join(dir, ".asoundrc"), []byte(strings.ReplaceAll(config, "DIR", dir)), 0o666); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "PULSE_SERVER=unix:none")
		return cmd
	}
	speech := filepath.Join("..", "..", "samples", "speech.wav")
	for _, device := range []string{"", "alsa:out"} {
		out, err := command("play", "--device", device, speech).CombinedOutput()
		if strings.Contains(string(out), "libasound.so.2 is not installed") {
			t.Skip("libasound is not installed: ALSA is not tested")
		}
		if err != nil {
			t.Fatalf("device %q: %v: %s", device, err, out)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "out.raw"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := audio.ReadMono(speech, 16000)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) < 4*len(want) {
		t.Fatalf("%d bytes reach the device of %d samples", len(raw), len(want))
	}
	for i, v := range want {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); got != v {
			t.Fatalf("sample %d reaches the device as %g, not %g", i, got, v)
		}
	}
	out, err := command("play", "--device", "alsa:nothing", speech).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "device nothing") || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("a device that is not there: %v: %s", err, out)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	send := command("send", "--device", "alsa:in", socket.LocalAddr().String())
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}
	socket.SetReadDeadline(time.Now().Add(time.Minute))
	packets := 0
	for buf := make([]byte, 2048); packets < 50; {
		n, _, err := socket.ReadFrom(buf)
		if err != nil {
			t.Errorf("sending from a file device: %d packets, then %v", packets, err)
			break
		}
		if n > 12 && buf[1]&0x7f == 97 {
			packets++
		}
	}
	send.Process.Signal(os.Interrupt)
	if err := send.Wait(); err != nil {
		t.Errorf("interrupted, sending ends with %v", err)
	}
}
