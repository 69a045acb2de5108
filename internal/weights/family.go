package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxHeader bounds the JSON header of a file: thousands of tensors need well
// under a mebibyte.
const maxHeader = 16 << 20

// Family reads the "family" entry of a safetensors file's metadata, and no more
// of the file than its header.
func Family(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	var size [8]byte
	if _, err := io.ReadFull(f, size[:]); err != nil {
		return "", errors.New("not a safetensors file: shorter than 8 bytes")
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxHeader || int64(n) > info.Size()-8 {
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
