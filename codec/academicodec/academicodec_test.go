package academicodec

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pth", "testdata/training.pth")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "academicodec/small.fixture.safetensors", "academicodec/small.pth")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "academicodec/small.pth") }
