package sotto

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/device"
)

// On gives the model on a device: "cpu", "cuda" or "vulkan" for a graphics processor,
// "cuda:1" for the second one, or "auto" for one where there is one. Both share the
// weights. On "vulkan" single codes differ from the processor's, where two entries are
// as near to within rounding. What a failing device does not do is an error.
func (m *Model) On(name string) (_ *Model, err error) {
	defer backend.Recover(&err)
	b, err := device.Open(name, m.threads)
	if err != nil {
		return nil, fmt.Errorf("sotto: %w", err)
	}
	r := *m
	r.device, r.quantizer, r.idle, r.hub = b, m.quantizer.GRVQ.On(b), &idle{}, nil
	if _, ok := b.(backend.Waiter); ok {
		r.hub = newHub(&r)
	}
	return &r, nil
}

// Wide says that it takes many signals to keep the device busy.
func (m *Model) Wide() bool { return backend.Wide(m.device) }

// Device names what the model runs on.
func (m *Model) Device() string { return m.device.Name() }
