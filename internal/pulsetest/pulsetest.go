// Package pulsetest runs a PulseAudio server without sound hardware, for tests.
package pulsetest

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jfreymuth/pulse"
)

// Start starts a server with null sinks, the first of them the default, for the
// rest of a test and the programs that it starts. Without PulseAudio the test is
// skipped.
func Start(t *testing.T, sinks ...string) {
	t.Helper()
	program, err := exec.LookPath("pulseaudio")
	if err != nil {
		t.Skip("pulseaudio is not installed: sound through a real server is not tested")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "native")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("PULSE_RUNTIME_PATH", dir)
	args := []string{"-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
		"-L", "module-native-protocol-unix socket=" + socket + " auth-anonymous=1"}
	for _, name := range sinks {
		args = append(args, "-L", "module-null-sink sink_name="+name)
	}
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Setenv("PULSE_SERVER", "unix:"+socket)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := pulse.NewClient()
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Skipf("pulseaudio does not start here: %v", err)
		}
	}
}
