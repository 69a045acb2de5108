package sotto

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/backend"
)

// Precision is the arithmetic of the decoder's large matrix products. Encoder and
// quantizer are float32 always, so tokens do not depend on it. In each of them the
// decoder gives the same samples on every machine, in any chunks and with any number
// of threads; only tensor cores add in an order of their own.
type Precision string

// Precisions.
const (
	Float32 Precision = "f32"
	// BFloat16 rounds the factors to 8 bits of significand. Without AVX512-BF16 it is
	// no faster than Float32.
	BFloat16 Precision = "bf16"
	// Int8 rounds the factors to 8 bits, with a scale for every frame and channel.
	Int8 Precision = "int8"
	// TF32 lets NVIDIA's tensor cores round the factors to 11 bits of significand; on
	// other devices it is Float32.
	TF32 Precision = "tf32"
)

// In gives the model with a decoder of another precision. Both share the weights.
func (m *Model) In(p Precision) (*Model, error) {
	for _, b := range backend.Precisions {
		if b.String() == string(p) {
			r, network := *m, *m.network
			network.Decoder = network.Decoder.Reduced(b)
			r.network, r.idle = &network, &idle{}
			return &r, nil
		}
	}
	return nil, fmt.Errorf("sotto: precision %q: give %s, %s, %s or %s", p, Float32, BFloat16, Int8, TF32)
}
