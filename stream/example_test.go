package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sotto-audio/sotto/stream"
)

// beep is a Source of one second of a tone at 16 kHz.
type beep struct{ at int }

func (b *beep) Read(dst []float32) (int, error) {
	n := min(len(dst), 16000-b.at)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		dst[i] = float32(0.1 * math.Sin(2*math.Pi*440*float64(b.at+i)/16000))
	}
	b.at += n
	return n, nil
}

// Play returns when the last sample has been heard, or says that there is no
// sound device.
func ExamplePlay() {
	err := stream.Play(context.Background(), &beep{}, 16000, 1, nil)
	if errors.Is(err, stream.ErrNoDevice) {
		fmt.Println("no speakers here")
	}
}
