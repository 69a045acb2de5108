package published

import (
	"github.com/sotto-audio/sotto/internal/device"
)

// On gives the codec on a device, as package device names it; both share the weights.
func (c *Codec) On(name string) (*Codec, error) {
	b, err := device.Open(name, 0)
	if err != nil {
		return nil, err
	}
	r := *c
	r.device = b
	return &r, nil
}
