package codec

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sotto-audio/sotto/internal/entropy"
)

// Entropy predicts the codes of one model, so that a Writer spends fewer bits on
// them. Packets stay independent, and the bytes are the same on every machine.
// It is safe for concurrent use.
type Entropy struct {
	network *entropy.Network
	weights Fingerprint
	id      Fingerprint
	coders  [MaxCodebooks + 1]sync.Pool // by the number of codebooks
}

// LoadEntropy reads the file of a network, as sotto-train entropy writes it.
func LoadEntropy(data []byte) (*Entropy, error) {
	network, weights, err := entropy.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	sum := sha256.Sum256(data)
	return &Entropy{network: network, weights: weights, id: Fingerprint(sum[:8])}, nil
}

// ID identifies the network: the first 8 bytes of the SHA-256 of its file.
func (e *Entropy) ID() Fingerprint { return e.id }

// Weights are those of the model whose codes the network knows.
func (e *Entropy) Weights() Fingerprint { return e.weights }

// PacketBytes is the size of the coded form of a packet of one channel, codes
// frame-major; without context, by a table for each codebook, where static is
// set.
func (e *Entropy) PacketBytes(codes []int32, codebooks int, static bool) (int, error) {
	c, err := e.network.NewCoder(codebooks, static)
	if err != nil {
		return 0, fmt.Errorf("codec: %w", err)
	}
	if codebooks < 1 || len(codes)%codebooks != 0 {
		return 0, fmt.Errorf("codec: %d codes are not whole frames of %d", len(codes), codebooks)
	}
	for i, v := range codes {
		if v < 0 || int(v) >= e.network.Size {
			return 0, fmt.Errorf("codec: code %d in frame %d lies outside its codebook", v, i/codebooks)
		}
	}
	return len(c.Encode(nil, [][]int32{codes})), nil
}

// knows reports whether the network codes frames of that shape.
func (e *Entropy) knows(h *Header) error {
	if h.Fingerprint != e.weights {
		return fmt.Errorf("codec: the entropy coder is for weights %s, the tokens are of weights %s (%s)", e.weights, h.Fingerprint, h.Model)
	}
	if n := len(h.CodebookSizes); n > e.network.Codebooks || slices.ContainsFunc(h.CodebookSizes, func(s int) bool { return s != e.network.Size }) {
		return fmt.Errorf("codec: codebooks of %v entries are not those of the entropy coder, %d of %d", h.CodebookSizes, e.network.Codebooks, e.network.Size)
	}
	return nil
}

// coder lends a coder to f.
func (e *Entropy) coder(codebooks int, f func(*entropy.Coder)) {
	pool := &e.coders[codebooks]
	c, ok := pool.Get().(*entropy.Coder)
	if !ok {
		c, _ = e.network.NewCoder(codebooks, false) // knows has checked the number
	}
	f(c)
	pool.Put(c)
}

// least is the length that a coded payload has at least, by the length of its
// bit-packed form: what a packet costs to read is in proportion to its bytes.
func least(packed int) int { return (packed + 15) / 16 }

// encode appends the payload of a packet: coded, or bit-packed where that is no
// longer (FORMAT.md, "Payload, mode 1").
func (e *Entropy) encode(dst []byte, pk *packing, channels [][]int32) []byte {
	start := len(dst)
	packed := pk.payloadBytes(len(channels), len(channels[0])/len(pk.sizes))
	e.coder(len(pk.sizes), func(c *entropy.Coder) { dst = c.Encode(dst, channels) })
	if max(len(dst)-start, least(packed)) >= packed {
		return pk.pack(dst[:start], channels)
	}
	for len(dst)-start < least(packed) {
		dst = append(dst, 0)
	}
	return dst
}

// decode reads what encode wrote.
func (e *Entropy) decode(src []byte, pk *packing, channels, frames int) (out [][]int32, err error) {
	packed := pk.payloadBytes(channels, frames)
	if len(src) == packed {
		return pk.unpack(src, channels, frames)
	}
	if len(src) == least(packed) {
		for len(src) > 0 && src[len(src)-1] == 0 {
			src = src[:len(src)-1]
		}
	}
	e.coder(len(pk.sizes), func(c *entropy.Coder) { out, err = c.Decode(src, channels, frames) })
	return out, err
}

var entropies struct {
	sync.Mutex
	load []func() (*Entropy, error)
}

// RegisterEntropy makes a network known to readers and to EntropyOf; load is
// called when one is looked for. Family packages call it for the networks of
// the models that they ship.
func RegisterEntropy(load func() (*Entropy, error)) {
	entropies.Lock()
	defer entropies.Unlock()
	entropies.load = append(entropies.load, sync.OnceValues(load))
}

// findEntropy gives the last network registered that fits; nil where none does.
func findEntropy(fits func(*Entropy) bool) (*Entropy, error) {
	entropies.Lock()
	all := slices.Clone(entropies.load)
	entropies.Unlock()
	var errs []error
	for _, load := range slices.Backward(all) {
		e, err := load()
		if err != nil {
			errs = append(errs, err)
		} else if fits(e) {
			return e, nil
		}
	}
	return nil, errors.Join(errs...)
}

// EntropyOf gives the network for the codes of the model with these weights; an
// error says that there is none.
func EntropyOf(model Info) (*Entropy, error) {
	e, err := findEntropy(func(e *Entropy) bool { return e.weights == model.Fingerprint })
	if e == nil && err == nil {
		err = fmt.Errorf("codec: there is no entropy coder for weights %s (%s): train one with sotto-train entropy", model.Fingerprint, model.Name)
	}
	return e, err
}
