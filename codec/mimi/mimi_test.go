package mimi

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/original/small.safetensors", "testdata/transformers")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "mimi/mimi.fixture.safetensors", "mimi/mimi/mimi.safetensors")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "mimi/mimi") }
