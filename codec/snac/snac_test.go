package snac

import (
	"testing"

	"github.com/sotto-audio/sotto/internal/published/fixture"
)

func TestOriginal(t *testing.T) {
	for _, name := range []string{"small", "plain"} { // with attention and without
		t.Run(name, func(t *testing.T) {
			fixture.Test(t, "testdata/"+name+".fixture.safetensors", "testdata/"+name)
		})
	}
}

func TestFullSize(t *testing.T) {
	for _, name := range []string{"snac-24", "snac-32", "snac-44"} {
		t.Run(name, func(t *testing.T) { fixture.Full(t, "snac/"+name+".fixture.safetensors", "snac/"+name) })
	}
}

func BenchmarkFullSize(b *testing.B) { fixture.Bench(b, "snac/snac-24") }
