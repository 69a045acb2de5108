package wavtokenizer

import (
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.ckpt", "testdata/small")
}

func TestFullSize(t *testing.T) {
	for _, rate := range []string{"40", "75"} {
		t.Run(rate, func(t *testing.T) {
			fixture.Full(t, "wavtokenizer/wavtokenizer-"+rate+".fixture.safetensors", "wavtokenizer/wavtokenizer-"+rate)
		})
	}
}

func TestSeams(t *testing.T) { fixture.Seams(t, "testdata/small", 8*time.Second, 26*time.Second) }

func TestLongFile(t *testing.T) {
	for _, rate := range []string{"40", "75"} {
		t.Run(rate, func(t *testing.T) { fixture.LongFile(t, "wavtokenizer/wavtokenizer-"+rate) })
	}
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "wavtokenizer/wavtokenizer-40") }
