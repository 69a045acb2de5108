package codec

import (
	"errors"
	"fmt"
)

// Scalable is a Decoder that can go on with frames of another number of
// codebooks: a live sender drops residual levels where the way is narrow, and
// repairs of lost frames are coarser than the frames.
type Scalable interface {
	Decoder
	// SetCodebooks says how many codebooks the frames that follow have.
	SetCodebooks(n int) error
}

// Bridger is a Decoder that conceals a gap better when the frame after it is
// known already.
type Bridger interface {
	Decoder
	// Bridge stands in for n lost frames before the frame next, which the
	// following Decode gets as usual.
	Bridge(dst []float32, n int, next []int32) ([]float32, error)
}

// PackedBytes is the number of bytes that Pack gives for that many frames of
// codebooks of these sizes.
func PackedBytes(frames int, sizes []int) int {
	p := newPacking(sizes)
	return p.payloadBytes(1, frames)
}

// FrameBits is the number of bits in the codes of a frame, of codebooks of the given
// sizes, as files hold them.
func FrameBits(sizes []int) int {
	p := newPacking(sizes)
	return p.frameBits
}

// Pack appends frame-major codes of codebooks of these sizes as FORMAT.md lays
// out a payload of one channel. Codes outside their codebook are an error.
func Pack(dst []byte, codes []int32, sizes []int) ([]byte, error) {
	p := newPacking(sizes)
	if len(codes)%len(sizes) != 0 {
		return dst, fmt.Errorf("codec: %d codes are not whole frames of %d", len(codes), len(sizes))
	}
	if err := p.check(codes); err != nil {
		return dst, fmt.Errorf("codec: %w", err)
	}
	return p.pack(dst, [][]int32{codes}), nil
}

// Unpack reads what Pack wrote: src holds PackedBytes(frames, sizes).
func Unpack(src []byte, frames int, sizes []int) ([]int32, error) {
	p := newPacking(sizes)
	if len(src) != p.payloadBytes(1, frames) {
		return nil, errors.New("codec: packed codes of another length")
	}
	channels, err := p.unpack(src, 1, frames)
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	return channels[0], nil
}
