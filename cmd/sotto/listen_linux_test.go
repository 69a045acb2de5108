package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/pulsetest"
)

// TestPlayListen plays speech into a sink and listens to its monitor: words come.
// Where the environment sets SOTTO_LOAD they must be those of the file, which the
// recogniser of the day decides.
func TestPlayListen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the speech")
	}
	speech := filepath.Join("..", "..", "samples", "speech.wav")
	want := strings.Fields(runs(t, "", nil, "transcribe", speech).stdout)
	pulsetest.Start(t, "null")
	listen := exec.Command(program, "listen", "--device", "null.monitor")
	var heard, complaint bytes.Buffer
	listen.Stdout, listen.Stderr = &heard, &complaint
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	defer listen.Process.Kill()
	time.Sleep(3 * time.Second) // a monitor is heard from its next buffer on
	if out, err := exec.Command(program, "play", speech).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(time.Second)
	if err := listen.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := listen.Wait(); err != nil {
		t.Fatalf("interrupted, listening ends with %v: %s", err, &complaint)
	}
	var got []string
	tentative := 0
	for line := range strings.Lines(heard.String()) {
		var m struct {
			Text  string
			Final bool `json:"is_final"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m.Final {
			got = append(got, strings.Fields(m.Text)...)
		} else {
			tentative++
		}
	}
	same := common(got, want)
	t.Logf("%d of %d words come back, %d tentative lines: %q, transcribed from the file: %q; %s", same, len(want), tentative, strings.Join(got, " "), strings.Join(want, " "), &complaint)
	if len(got) < 5 || tentative == 0 || os.Getenv("SOTTO_LOAD") != "" && 2*same < len(want) {
		t.Error("that is not what was played")
	}
}

// common is the length of the longest common subsequence.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
