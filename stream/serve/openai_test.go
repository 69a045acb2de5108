package serve

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOpenAI transcribes with OpenAI's client library for Node, in every format.
func TestOpenAI(t *testing.T) {
	modules := os.Getenv("OPENAI_MODULES")
	if modules == "" {
		t.Skip("OPENAI_MODULES names no folder where npm has installed openai: its client is not tried")
	}
	r := start(t, func(o *Options) { o.Token = "secret" })
	cmd := exec.Command("node", "testdata/openai.mjs", r.url+"/v1", "../../samples/speech.wav", "secret")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var got struct {
		Model, JSON, Text, SRT, VTT, Stream, Done string
		Words, Segments                           int
		Duration                                  float64
		Error                                     struct {
			Status      int
			Code, Param string
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	const text = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10"
	if got.JSON != text || strings.TrimSpace(got.Text) != text || got.Stream != text || got.Done != text ||
		!strings.Contains(got.SRT, "00:00:00,000 --> ") || !strings.HasPrefix(got.VTT, "WEBVTT") ||
		got.Words != 11 || got.Segments < 1 || got.Duration < 5.7 || got.Error.Status != 400 || got.Error.Param != "language" {
		t.Errorf("%s", out)
	}
}
