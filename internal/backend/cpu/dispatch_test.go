package cpu_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

// TestDispatch runs this test binary again with features of the processor
// masked, which must lead to the kernels that remain.
func TestDispatch(t *testing.T) {
	if os.Getenv("PRINT_BACKEND") != "" {
		t.Log("chosen: " + cpu.New(1).Name())
		return
	}
	if runtime.GOARCH != "amd64" {
		if name := cpu.New(1).Name(); name != "cpu (portable)" {
			t.Errorf("name %q", name)
		}
		return
	}
	for _, c := range []struct{ godebug, not, want string }{
		{"cpu.avx512f=off", "avx512", ""},
		{"cpu.avx512bw=off", "avx512", ""},
		{"cpu.avx512vnni=off", "vnni", ""},
		{"cpu.avx512bf16=off", "bf16", ""},
		{"cpu.avx2=off", "avx", "portable"},
		{"cpu.fma=off", "avx", "portable"},
		{"cpu.all=off", "avx", "portable"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDispatch$", "-test.v")
		cmd.Env = append(os.Environ(), "PRINT_BACKEND=1", "GODEBUG="+c.godebug)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("GODEBUG=%s: %v\n%s", c.godebug, err, out)
		}
		_, name, _ := strings.Cut(string(out), "chosen: ")
		name, _, _ = strings.Cut(name, "\n")
		if name == "" || strings.Contains(name, c.not) || !strings.Contains(name, c.want) {
			t.Errorf("GODEBUG=%s: %q", c.godebug, name)
		}
	}
}
