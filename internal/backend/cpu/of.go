package cpu

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Of gives the backend that a public package takes without its type: the processor
// where device is nil.
func Of(device interface{ Name() string }) backend.Backend {
	if device == nil {
		return New(0)
	}
	b, ok := device.(backend.Backend)
	if !ok {
		panic(fmt.Sprintf("%q is no device of this module", device.Name()))
	}
	return b
}
