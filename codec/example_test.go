package codec_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/sotto-audio/sotto/codec"
)

// Tokens of one channel are written to a stream and read back.
func ExampleNewWriter() {
	var file bytes.Buffer
	w, err := codec.NewWriter(&file, codec.Header{
		Model: "sotto-16k-v2", ModelRate: 16000, HopLength: 320,
		SampleRate: 16000, Channels: 1, Samples: -1,
		CodebookSizes: []int{1024, 1024},
	}, codec.WithPacketFrames(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	frames := [][]int32{{7, 1000, 8, 1001, 9, 1002}} // three frames of two codes
	if err := w.WriteFrames(frames); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Close(900); err != nil {
		fmt.Println(err)
		return
	}

	r, err := codec.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.FirstFrame, p.Codes)
	}
	fmt.Println(r.Samples(), "samples,", len(r.Damage()), "damaged packets")
	// Output:
	// 0 [[7 1000 8 1001]]
	// 2 [[9 1002]]
	// 900 samples, 0 damaged packets
}
