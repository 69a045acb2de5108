package academicodec

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	// As published, of one process, and a training state.
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pth", "testdata/single.pth", "testdata/training.pth")
}

func TestFullSize(t *testing.T) {
	for _, name := range []string{"encodec-16k-320d", "encodec-24k-240d", "encodec-24k-32d", "soundstream-24k-240d"} {
		t.Run(name, func(t *testing.T) {
			fixture.Full(t, "academicodec/"+name+".fixture.safetensors", "academicodec/"+name+".pth")
		})
	}
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "academicodec/encodec-16k-320d.pth") }
