package sotto

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/device"
)

// On gives the model, and the codec that it hears with, on a device: "cpu", "cuda" or
// "vulkan" for a graphics processor, "cuda:1" for the second one, or "auto" for one
// where there is one. Both share the weights. What a failing device does not do is an
// error.
func (m *Model) On(name string) (_ *Model, err error) {
	defer backend.Recover(&err)
	b, err := device.Open(name, m.threads)
	if err != nil {
		return nil, fmt.Errorf("sotto: %w", err)
	}
	codec, err := m.codec.On(name)
	if err != nil {
		return nil, err
	}
	return &Model{info: m.info, codec: codec, network: m.network, search: m.search, device: b, threads: m.threads}, nil
}
