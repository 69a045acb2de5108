package wavtokenizer

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.ckpt", "testdata/small")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "wavtokenizer/wavtokenizer-40.fixture.safetensors", "wavtokenizer/wavtokenizer-40")
}
