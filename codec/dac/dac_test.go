package dac

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pth", "testdata/small")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "dac/dac-16000.fixture.safetensors", "dac/dac-16000.pth")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "dac/dac-16000.pth") }
