package sotto_test

import (
	"fmt"

	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/asr/sotto"
)

// A stream takes samples as they arrive. Committed words never change.
func ExampleDefault() {
	model, err := sotto.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	latency, _ := model.Latency(asr.Options{})
	stream, err := model.NewStream(asr.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	second := make([]float32, model.Info().SampleRate) // of silence
	update, err := stream.Push(second)
	if err != nil {
		fmt.Println(err)
		return
	}
	end, err := stream.Flush()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("latency", latency, "words", len(update.Committed)+len(end.Committed))
	// Output: latency 360ms words 0
}
