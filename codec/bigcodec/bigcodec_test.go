package bigcodec

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pt")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "bigcodec/bigcodec.fixture.safetensors", "bigcodec/bigcodec.pt")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "bigcodec/bigcodec.pt") }
