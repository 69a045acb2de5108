package hificodec

import (
	"testing"
	"time"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	fixture.Test(t, "testdata/small.fixture.safetensors", "testdata/small.pth")
}

func TestFullSize(t *testing.T) {
	fixture.Full(t, "hificodec/small.fixture.safetensors", "hificodec/small.pth")
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "hificodec/small.pth") }

func TestSeams(t *testing.T) { fixture.Seams(t, "testdata/small.pth", 8*time.Second, 40*time.Second) }

func TestLongFile(t *testing.T) { fixture.LongFile(t, "hificodec/small.pth") }
