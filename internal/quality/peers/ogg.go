package peers

import (
	"bytes"
	"errors"
)

// oggPayload gives the bytes of the packets of an Ogg stream (RFC 3533) without
// the first two, which are the headers of Opus and of Speex: what a transport
// with framing of its own would carry.
func oggPayload(data []byte) (int, error) {
	total, packets := 0, 0
	for len(data) > 0 {
		if len(data) < 27 || !bytes.HasPrefix(data, []byte("OggS")) {
			return 0, errors.New("no Ogg page where one should be")
		}
		segments := int(data[26])
		if len(data) < 27+segments {
			return 0, errors.New("an Ogg page is cut off")
		}
		body := 0
		for _, n := range data[27 : 27+segments] {
			body += int(n)
			if packets >= 2 {
				total += int(n)
			}
			if n < 255 {
				packets++
			}
		}
		if data = data[27+segments:]; len(data) < body {
			return 0, errors.New("an Ogg page is cut off")
		}
		data = data[body:]
	}
	if packets < 2 {
		return 0, errors.New("an Ogg stream without its two headers")
	}
	return total, nil
}
