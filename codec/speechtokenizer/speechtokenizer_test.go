package speechtokenizer

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small/SpeechTokenizer.pt")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "speechtokenizer/speechtokenizer.fixture.safetensors", "speechtokenizer/speechtokenizer")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "speechtokenizer/speechtokenizer") }
