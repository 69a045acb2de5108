package codec

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// Loader opens the weights file at path.
type Loader func(path string) (Codec, error)

var registry = struct {
	sync.RWMutex
	loaders map[string]Loader
}{loaders: map[string]Loader{}}

// Register makes a family of models known to Load. Family packages call it when
// they are imported; a later registration of the same name replaces the earlier.
func Register(family string, loader Loader) {
	registry.Lock()
	defer registry.Unlock()
	registry.loaders[family] = loader
}

// Families lists the registered families in alphabetical order.
func Families() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.loaders))
}

// Load opens a safetensors weights file with the loader of the family that its
// metadata names under the key "family".
func Load(path string) (Codec, error) {
	family, err := readFamily(path)
	if err != nil {
		return nil, fmt.Errorf("codec: %s: %w", path, err)
	}
	registry.RLock()
	loader := registry.loaders[family]
	registry.RUnlock()
	if loader == nil {
		return nil, fmt.Errorf("codec: %s: family %q is not known: this program has %s",
			path, family, strings.Join(Families(), ", "))
	}
	c, err := loader(path)
	if err != nil {
		return nil, fmt.Errorf("codec: %s: %w", path, err)
	}
	return c, nil
}

// maxWeightsHeader bounds the JSON header of a weights file: thousands of
// tensors need well under a mebibyte.
const maxWeightsHeader = 16 << 20

// readFamily reads the "family" entry of a safetensors file's metadata.
func readFamily(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", errors.New("is a directory: name a weights file")
	}
	var size [8]byte
	if _, err := io.ReadFull(f, size[:]); err != nil {
		return "", errors.New("not a safetensors file: shorter than 8 bytes")
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxWeightsHeader || int64(n) > info.Size()-8 {
		return "", fmt.Errorf("not a safetensors file: header of %d bytes in a file of %d", n, info.Size())
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(f, text); err != nil {
		return "", fmt.Errorf("reading the safetensors header: %w", err)
	}
	var header struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return "", fmt.Errorf("not a safetensors file: %w", err)
	}
	family := header.Metadata["family"]
	if family == "" {
		return "", errors.New(`the safetensors metadata names no "family": convert the weights first`)
	}
	return family, nil
}
