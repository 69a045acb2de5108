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
	for _, name := range []string{"16k-320d", "24k-320d", "24k-240d"} {
		t.Run(name, func(t *testing.T) {
			fixture.Full(t, "hificodec/"+name+".fixture.safetensors", "hificodec/"+name+".pth")
		})
	}
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "hificodec/16k-320d.pth") }

func TestSeams(t *testing.T) { fixture.Seams(t, "testdata/small.pth", 8*time.Second, 40*time.Second) }

func TestLongFile(t *testing.T) { fixture.LongFile(t, "hificodec/16k-320d.pth") }
