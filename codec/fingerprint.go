package codec

import (
	"encoding/hex"
	"fmt"
)

// Fingerprint identifies the weights of a model: the first 8 bytes of the
// SHA-256 of their shape and values in a canonical form. Tokens are only meaningful together with the
// weights that made them, so files carry it and decoding with others is refused.
type Fingerprint [8]byte

// String gives 16 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// ParseFingerprint is the inverse of String.
func ParseFingerprint(s string) (f Fingerprint, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(f) {
		return f, fmt.Errorf("codec: %q is no fingerprint: it has %d hexadecimal digits", s, 2*len(f))
	}
	return Fingerprint(b), nil
}
