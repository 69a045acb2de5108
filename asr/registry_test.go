package asr

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sotto-audio/sotto/internal/weights"
)

func TestLoadFindsFamilyAndFormat(t *testing.T) {
	asked := ""
	note := func(name string) Loader {
		return func(path string) (Recognizer, error) {
			asked = name
			return nil, errors.New("out of tune")
		}
	}
	Register("test-family", note("family"))
	RegisterFormat("test-format", func(path string) bool { return strings.HasSuffix(path, ".test") }, note("format"))
	dir := t.TempDir()
	file := func(name, family string) string {
		f := weights.File{Metadata: map[string]string{"family": family}, Tensors: map[string]weights.Tensor{"x": {Shape: []int{1}, Data: []float32{1}}}}
		b, err := f.Bytes(false)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ path, asked, message string }{
		{file("a.safetensors", "test-family"), "family", "out of tune"},
		{file("a.test", "test-family"), "format", "out of tune"},
		{file("b.safetensors", "codec"), "", `family "codec" is no recogniser that this program knows: it has test-family, test-format`},
		{filepath.Join(dir, "none"), "", "no such file"},
		{dir, "", "no recogniser"},
	} {
		asked = ""
		_, err := Load(c.path)
		if err == nil || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), c.path) || asked != c.asked {
			t.Errorf("%s: loader %q, %v", c.path, asked, err)
		}
	}
}
