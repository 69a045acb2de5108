package whisper

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/device"
)

// On gives the model on a device: "cpu", "cuda" or "vulkan" for a graphics processor,
// "cuda:1" for the second one, or "auto" for one where there is one. Decoding works on
// the memory of the host in between, so that every operation waits.
func (m *Model) On(name string) (*Model, error) {
	b, err := device.Open(name, 0)
	if err != nil {
		return nil, fmt.Errorf("whisper: %w", err)
	}
	return open(m.path, b, m.precision, m.adapter)
}
