// Package packet carries token frames over networks that lose, delay, reorder
// and repeat: RTP packets with repairs of earlier frames, a jitter buffer that
// follows the network and the clocks, and reports by which the sender follows
// the loss. FORMAT.md describes the bytes.
//
// Sender and Receiver hold no sockets and no clocks: they are told what arrives
// and when, so that an hour can be simulated in seconds. Send and Receive run
// them over UDP.
package packet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pion/rtp"
	"github.com/sotto-audio/sotto/codec"
)

const (
	payloadType    = 97 // dynamic (RFC 3551, section 6)
	payloadVersion = 1
	payloadHeader  = 5 // version and four bytes of the fingerprint
	blockHeader    = 3
	maxPayload     = 1400 // bytes: with its headers a packet fits an Ethernet frame
	maxFrames      = 64   // frames of a block
)

// block is a run of token frames in a packet.
type block struct {
	first     int64 // frame: relative to the packet's time stamp when written
	codebooks int
	codes     []int32 // frame-major
}

func (b *block) frames() int { return len(b.codes) / b.codebooks }

// errForeign says that a packet is not of this stream.
var errForeign = errors.New("packet: not a packet of this model")

// wire writes and reads the packets of one model.
type wire struct {
	info codec.Info
}

// appendPayload writes the primary block, whose first frame has the packet's time
// stamp, and the repairs, whose first frames lie before it.
func (w wire) appendPayload(dst []byte, blocks []block) ([]byte, error) {
	dst = append(dst, payloadVersion)
	dst = append(dst, w.info.Fingerprint[:4]...)
	origin := blocks[0].first
	for _, b := range blocks {
		back, n := origin-b.first, b.frames()
		if back < 0 || back > 255 || n < 1 || n > maxFrames {
			return nil, fmt.Errorf("packet: a block of %d frames, %d before the time stamp", n, back)
		}
		dst = append(dst, byte(back), byte(n), byte(b.codebooks))
		var err error
		if dst, err = codec.Pack(dst, b.codes, w.info.CodebookSizes[:b.codebooks]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// parse reads a packet: its header and its blocks, whose first frames are relative
// to its time stamp.
func (w wire) parse(data []byte) (rtp.Header, []block, error) {
	var p rtp.Packet
	if err := p.Unmarshal(data); err != nil {
		return p.Header, nil, fmt.Errorf("packet: %w", err)
	}
	b := p.Payload
	if p.PayloadType != payloadType || len(b) < payloadHeader+blockHeader || b[0] != payloadVersion {
		return p.Header, nil, errForeign
	}
	if !slices.Equal(b[1:payloadHeader], w.info.Fingerprint[:4]) {
		return p.Header, nil, fmt.Errorf("%w: the sender's weights have a fingerprint that begins with %x, those here with %x", errForeign, b[1:payloadHeader], w.info.Fingerprint[:4])
	}
	var blocks []block
	for b = b[payloadHeader:]; len(b) > 0; {
		if len(b) < blockHeader {
			return p.Header, nil, errors.New("packet: cut off in a block header")
		}
		back, n, books := int64(b[0]), int(b[1]), int(b[2])
		if n < 1 || n > maxFrames || !slices.Contains(w.info.Levels, books) {
			return p.Header, nil, fmt.Errorf("packet: a block of %d frames of %d codebooks", n, books)
		}
		sizes := w.info.CodebookSizes[:books]
		length := codec.PackedBytes(n, sizes)
		if len(b) < blockHeader+length {
			return p.Header, nil, errors.New("packet: cut off in a block")
		}
		codes, err := codec.Unpack(b[blockHeader:blockHeader+length], n, sizes)
		if err != nil {
			return p.Header, nil, err
		}
		blocks = append(blocks, block{first: -back, codebooks: books, codes: codes})
		b = b[blockHeader+length:]
	}
	return p.Header, blocks, nil
}

// isControl tells RTCP from RTP on the same port (RFC 5761, section 4).
func isControl(data []byte) bool {
	return len(data) >= 2 && data[1] >= 192 && data[1] <= 223
}
