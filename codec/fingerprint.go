package codec

import "encoding/hex"

// Fingerprint identifies the weights of a model: the first 8 bytes of the
// SHA-256 of their shape and values in a canonical form. Tokens are only meaningful together with the
// weights that made them, so files carry it and decoding with others is refused.
type Fingerprint [8]byte

// String gives 16 hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }
