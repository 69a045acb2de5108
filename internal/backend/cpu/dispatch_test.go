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
// masked, which must lead to the kernels that remain. Where an emulator runs it,
// TEST_EMULATOR is its command.
func TestDispatch(t *testing.T) {
	if os.Getenv("PRINT_BACKEND") != "" {
		t.Log("chosen: " + cpu.New(1).Name())
		return
	}
	type masked struct{ godebug, not, want string }
	all := map[string][]masked{
		"amd64": {
			{"cpu.avx512f=off", "avx512", ""},
			{"cpu.avx512bw=off", "avx512", ""},
			{"cpu.avx512vnni=off", "vnni", ""},
			{"cpu.avx512bf16=off", "bf16", ""},
			{"cpu.avx2=off", "avx", "portable"},
			{"cpu.fma=off", "avx", "portable"},
			{"cpu.all=off", "avx", "portable"},
		},
		"arm64": { // where NEON is always there
			{"", "portable", "neon"},
			{"cpu.asimddp=off", "dotprod", "neon"},
			{"cpu.all=off", "dotprod", "neon"},
		},
	}
	cases, ok := all[runtime.GOARCH]
	if !ok {
		cases = []masked{{"", "+", "portable"}}
	}
	for _, c := range cases {
		// An emulator runs this process, but not what it starts.
		args := append(strings.Fields(os.Getenv("TEST_EMULATOR")), os.Args[0], "-test.run=^TestDispatch$", "-test.v")
		cmd := exec.Command(args[0], args[1:]...)
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
