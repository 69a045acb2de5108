package transcode

import (
	"context"
	"io"

	"github.com/sotto-audio/sotto/internal/audio"
)

// Copy writes all of src to dst in blocks of a second, tells progress how many
// frames are done and gives their number.
func Copy(ctx context.Context, dst audio.Writer, src audio.Reader, progress func(frames int64)) (frames int64, err error) {
	f := src.Format()
	block := make([]float32, blockFrames(f.SampleRate, f.Channels)*f.Channels)
	for {
		if err := ctx.Err(); err != nil {
			return frames, err
		}
		n, err := src.Read(block)
		if n > 0 {
			if err := dst.Write(block[:n]); err != nil {
				return frames, err
			}
			frames += int64(n / f.Channels)
			progress(frames)
		}
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
	}
}

// blockFrames is the number of frames to handle at once: about a second, within
// bounds that no header moves.
func blockFrames(rate, channels int) int {
	return max(1, min(max(rate, 1<<12), 1<<18/channels))
}
