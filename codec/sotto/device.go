package sotto

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/device"
)

// On gives the model on a device: "cpu", "vulkan" or "vulkan:1" for a graphics
// processor, or "auto" for one where there is one. Both share the weights. Samples in
// give the tokens of the processor there but for single codes, where two entries are
// as near to within rounding; what a failing device does not do is an error.
func (m *Model) On(name string) (_ *Model, err error) {
	defer backend.Recover(&err)
	b, err := device.Open(name, m.threads)
	if err != nil {
		return nil, fmt.Errorf("sotto: %w", err)
	}
	r := *m
	r.device, r.quantizer, r.idle = b, m.quantizer.GRVQ.On(b), &idle{}
	return &r, nil
}

// Device names what the model runs on.
func (m *Model) Device() string { return m.device.Name() }
