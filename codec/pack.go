package codec

import (
	"fmt"
	"math/bits"
)

// maxGroup bounds the product of the codebook sizes of one group, so that a
// group and the up to 7 bits left over from the last byte share 64 bits.
const maxGroup = 1 << 56

// group is a run of consecutive codebooks that are packed as one integer.
type group struct {
	first, last int    // codebooks first..last-1
	product     uint64 // of their sizes
	bits        int    // ceil(log2(product))
}

// packing lays the codes of a frame out as bits (FORMAT.md, "Payload").
type packing struct {
	sizes     []int
	groups    []group
	frameBits int
	coded     bool // payloads may be shorter than packed ones
}

// newPacking groups codebooks greedily while the product of sizes stays within
// maxGroup. Every size must lie in 2..maxCodebookSize.
func newPacking(sizes []int) packing {
	p := packing{sizes: sizes}
	for i := 0; i < len(sizes); {
		g := group{first: i, product: 1}
		for ; i < len(sizes) && uint64(sizes[i]) <= maxGroup/g.product; i++ {
			g.product *= uint64(sizes[i])
		}
		g.last = i
		g.bits = bits.Len64(g.product - 1)
		p.groups = append(p.groups, g)
		p.frameBits += g.bits
	}
	return p
}

// payloadBytes is the size of the payload of frames frames of all channels.
func (p *packing) payloadBytes(channels, frames int) int {
	return (channels*frames*p.frameBits + 7) / 8
}

// allows reports whether a payload of frames frames of all channels may have that
// many bytes.
func (p *packing) allows(channels, frames, length int) bool {
	packed := p.payloadBytes(channels, frames)
	return packed <= maxPayload && (length == packed || p.coded && length >= least(packed) && length < packed)
}

// check reports the first code outside its codebook; codes are frame-major.
func (p *packing) check(codes []int32) error {
	for i, c := range codes {
		q := i % len(p.sizes)
		if c < 0 || int(c) >= p.sizes[q] {
			return fmt.Errorf("code %d in frame %d lies outside codebook %d of %d entries", c, i/len(p.sizes), q, p.sizes[q])
		}
	}
	return nil
}

// pack appends the codes of every channel, most significant bit first, and
// pads the last byte with zeros. The codes must have passed check.
func (p *packing) pack(dst []byte, channels [][]int32) []byte {
	var acc uint64
	held := 0
	for _, codes := range channels {
		for ; len(codes) > 0; codes = codes[len(p.sizes):] {
			for _, g := range p.groups {
				var v uint64
				for q := g.first; q < g.last; q++ {
					v = v*uint64(p.sizes[q]) + uint64(codes[q])
				}
				acc = acc<<g.bits | v
				for held += g.bits; held >= 8; {
					held -= 8
					dst = append(dst, byte(acc>>held))
				}
			}
		}
	}
	if held > 0 {
		dst = append(dst, byte(acc<<(8-held)))
	}
	return dst
}

// unpack reads what pack wrote: src must hold payloadBytes(channels, frames).
func (p *packing) unpack(src []byte, channels, frames int) ([][]int32, error) {
	out := make([][]int32, channels)
	var acc uint64
	held := 0
	for c := range out {
		codes := make([]int32, frames*len(p.sizes))
		out[c] = codes
		for t := 0; len(codes) > 0; t, codes = t+1, codes[len(p.sizes):] {
			for _, g := range p.groups {
				for held < g.bits {
					acc = acc<<8 | uint64(src[0])
					src = src[1:]
					held += 8
				}
				held -= g.bits
				v := acc >> held & (1<<g.bits - 1)
				if v >= g.product {
					return nil, fmt.Errorf("frame %d holds a value outside its codebooks", t)
				}
				for q := g.last - 1; q >= g.first; q-- {
					size := uint64(p.sizes[q])
					codes[q] = int32(v % size)
					v /= size
				}
			}
		}
	}
	return out, nil
}
