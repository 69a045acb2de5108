package encodec

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.th", "testdata/small")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "encodec/small.fixture.safetensors", "encodec/small.th")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "encodec/small.th") }
