package tokeneval

import (
	"fmt"

	"github.com/sotto-audio/sotto/codec"
)

// Rate says what the tokens of one bitrate cost in bits a token.
type Rate struct {
	Kbps      float64 `json:"kbps"`
	Codebooks int     `json:"codebooks"`
	Packed    float64 `json:"packed"`   // as they are
	Static    float64 `json:"static"`   // by one table a codebook
	Adaptive  float64 `json:"adaptive"` // by the network, which sees the codes before
	Saved     float64 `json:"saved"`    // share of the packed bits that the network saves
}

// Rates measures the coded bytes of clips, codes [T][all codebooks], in packets
// of packetFrames that know nothing of each other.
func Rates(e *codec.Entropy, model codec.Info, clips [][]int32, packetFrames int) ([]Rate, error) {
	all := model.Codebooks()
	var rates []Rate
	for i, books := range model.Levels {
		r := Rate{Kbps: model.Bitrates[i] / 1000, Codebooks: books, Packed: model.Bitrates[i] / model.FrameRate / float64(books)}
		tokens, static, adaptive := 0, 0, 0
		for _, clip := range clips {
			if len(clip)%all != 0 {
				return nil, fmt.Errorf("tokeneval: %d codes are not whole frames of %d", len(clip), all)
			}
			codes := make([]int32, 0, len(clip)/all*books)
			for ; len(clip) > 0; clip = clip[all:] {
				codes = append(codes, clip[:books]...)
			}
			tokens += len(codes)
			for len(codes) > 0 {
				packet := codes[:min(packetFrames*books, len(codes))]
				codes = codes[len(packet):]
				n, err := e.PacketBytes(packet, books, true)
				if err != nil {
					return nil, err
				}
				static += n
				if n, err = e.PacketBytes(packet, books, false); err != nil {
					return nil, err
				}
				adaptive += n
			}
		}
		r.Static, r.Adaptive = 8*float64(static)/float64(max(tokens, 1)), 8*float64(adaptive)/float64(max(tokens, 1))
		r.Saved = 1 - r.Adaptive/r.Packed
		rates = append(rates, r)
	}
	return rates, nil
}
