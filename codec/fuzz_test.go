package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

// reseal corrects the checksums of the header and of whatever starts with a
// sync word, so that fuzzing reaches what lies behind them. Payloads at odd
// offsets keep theirs: damaged ones must be reached too.
func reseal(data []byte) []byte {
	data = bytes.Clone(data)
	seal := func(b []byte, n int) {
		if n >= 0 && len(b) >= n+4 {
			binary.BigEndian.PutUint32(b[n:], checksum(b[:n]))
		}
	}
	if len(data) >= 14 {
		seal(data, int(binary.BigEndian.Uint16(data[12:]))-4)
	}
	for i := range data {
		switch b := data[i:]; {
		case bytes.HasPrefix(b, []byte{syncByte, endTag}):
			seal(b, endSize-4)
		case bytes.HasPrefix(b, []byte{syncByte, packetTag}) && len(b) >= packetHeaderSize:
			if n := packetHeaderSize + int(readUint(b[13:16])); n <= len(b) && i%2 == 0 {
				binary.BigEndian.PutUint32(b[16:], checksum(b[packetHeaderSize:n]))
			}
			seal(b, packetHeaderSize-4)
		}
	}
	return data
}

func FuzzReader(f *testing.F) {
	rng := rand.New(rand.NewPCG(30, 31))
	h := testHeader(2, 1000, 3)
	file := writeFile(f, h, randomCodes(rng, h, 50), 3)
	coded := testHeader(2, books(2)...)
	for _, sealed := range []bool{false, true} {
		f.Add(file, sealed)
		f.Add(writeEntropy(f, coded, likely(f, rng, coded, 50), 10), sealed)
		f.Add(file[:len(file)-20], sealed)
		f.Add(append(bytes.Clone(file[:150]), file[151:]...), sealed)
		f.Add(documented(f), sealed)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			data = reseal(data)
		}
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		h := r.Header()
		pk := newPacking(h.CodebookSizes)
		missing := 0
		for frame := int64(0); ; {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			var unknown *EntropyError
			if errors.As(err, &unknown) || errors.Is(err, ErrFormat) {
				return // a network that is not there, or not for these codebooks
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.FirstFrame != frame || p.Frames < 1 || p.Frames > MaxPacketFrames || p.Lost != (p.Codes == nil) {
				t.Fatalf("packet at %d of %d frames, expected at %d", p.FirstFrame, p.Frames, frame)
			}
			frame += int64(p.Frames)
			for _, codes := range p.Codes {
				if err := pk.check(codes); err != nil || len(codes) != p.Frames*len(h.CodebookSizes) {
					t.Fatalf("%d codes: %v", len(codes), err)
				}
			}
			if p.Lost {
				missing += p.Frames
			}
		}
		if missing > maxMissing+len(data)*MaxPacketFrames/packetHeaderSize {
			t.Fatalf("%d frames to conceal", missing)
		}
		if r.Samples() < -1 {
			t.Fatalf("%d samples", r.Samples())
		}
		if err := r.SeekFrame(7); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzPacking(f *testing.F) {
	f.Add(uint64(1), []byte{10, 10}, 3, 2)
	f.Add(uint64(2), []byte{1, 24, 24, 24, 3}, 1, 1)
	f.Fuzz(func(t *testing.T, seed uint64, bits []byte, frames, channels int) {
		if len(bits) < 1 || len(bits) > MaxCodebooks || frames < 0 || frames > 100 || channels < 1 || channels > 4 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		h := Header{Channels: channels}
		for _, b := range bits {
			h.CodebookSizes = append(h.CodebookSizes, 2+rng.IntN(1<<(b%24)))
		}
		codes := randomCodes(rng, h, frames)
		pk := newPacking(h.CodebookSizes)
		packed := pk.pack(nil, codes)
		if len(packed) != pk.payloadBytes(channels, frames) {
			t.Fatalf("%d bytes, want %d", len(packed), pk.payloadBytes(channels, frames))
		}
		got, err := pk.unpack(packed, channels, frames)
		if err != nil || !reflect.DeepEqual(got, codes) {
			t.Fatalf("codes differ: %v", err)
		}
	})
}
