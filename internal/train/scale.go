package train

import (
	"fmt"

	"github.com/sotto-audio/sotto/internal/nn"
)

// newScaleDiscriminator sees the signal averaged and thinned out by 2^scale (Kumar
// et al. 2019, MelGAN; Kong et al. 2020, HiFi-GAN, multi-scale discriminator).
func newScaleDiscriminator(scale int, shapes []ConvShape) (*Discriminator, error) {
	var front []nn.Differentiable
	for range scale {
		front = append(front, &AveragePool{Channels: 1, Taps: 4, Stride: 2, Pad: 2})
	}
	return newDiscriminator(fmt.Sprintf("scale%d", scale), front, 1, shapes, ConvShape{Taps: 3})
}
