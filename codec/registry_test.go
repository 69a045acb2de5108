package codec

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type loadedCodec struct {
	Codec
	path string
}

func TestLoad(t *testing.T) {
	Register("registry-test", func(path string) (Codec, error) { return loadedCodec{path: path}, nil })
	if !slices.Contains(Families(), "registry-test") {
		t.Fatalf("families %v", Families())
	}
	dir := t.TempDir()
	file := func(name, json string) string {
		path := filepath.Join(dir, name)
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(json)))
		if err := os.WriteFile(path, append(b, json...), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", `{"__metadata__":{"family":"registry-test"},"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`)
	c, err := Load(good)
	if err != nil || c.(loadedCodec).path != good {
		t.Fatalf("%v %v", c, err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, slices.Repeat([]byte{0xFF}, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{filepath.Join(dir, "missing"), "missing"},
		{dir, "directory"},
		{huge, "not a safetensors file"},
		{file("unknown", `{"__metadata__":{"family":"nobody"}}`), `family "nobody" is not known`},
		{file("none", `{}`), `no "family"`},
		{file("text", `hello`), "not a safetensors file"},
	} {
		if _, err := Load(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.path, err, test.want)
		}
	}
}
