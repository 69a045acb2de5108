package dac

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pth", "testdata/small")
}

func TestFullSize(t *testing.T) {
	for _, name := range []string{"dac-16000", "dac-24000", "dac-44100"} {
		t.Run(name, func(t *testing.T) { fixture.Full(t, "dac/"+name+".fixture.safetensors", "dac/"+name+".pth") })
	}
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "dac/dac-16000.pth") }
