package codec

import (
	"encoding/binary"
	"slices"
)

const (
	syncByte         = 0xF5
	packetTag        = 'P'
	endTag           = 'E'
	packetHeaderSize = 24
	endSize          = 27
	indexEntrySize   = 15
	indexStride      = 8       // packets an index entry in short files
	maxIndex         = 1 << 16 // index entries
	maxOffset        = 1<<48 - 1
)

// packetHeader precedes every payload (FORMAT.md, "Packet").
type packetHeader struct {
	sequence   uint32
	first      int64 // frame
	frames     int
	length     int // of the payload in bytes
	payloadCRC uint32
}

func (p *packetHeader) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, syncByte, packetTag)
	dst = binary.BigEndian.AppendUint32(dst, p.sequence)
	dst = appendUint(dst, uint64(p.first), 5)
	dst = appendUint(dst, uint64(p.frames), 2)
	dst = appendUint(dst, uint64(p.length), 3)
	dst = binary.BigEndian.AppendUint32(dst, p.payloadCRC)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parsePacketHeader reads packetHeaderSize bytes; ok is false unless they are a
// header that the file's packing allows.
func parsePacketHeader(b []byte, pk *packing, channels int) (p packetHeader, ok bool) {
	if b[0] != syncByte || b[1] != packetTag || binary.BigEndian.Uint32(b[20:]) != checksum(b[:20]) {
		return p, false
	}
	p = packetHeader{
		sequence:   binary.BigEndian.Uint32(b[2:]),
		first:      int64(readUint(b[6:11])),
		frames:     int(readUint(b[11:13])),
		length:     int(readUint(b[13:16])),
		payloadCRC: binary.BigEndian.Uint32(b[16:]),
	}
	ok = p.frames >= 1 && p.frames <= MaxPacketFrames && pk.allows(channels, p.frames, p.length)
	return p, ok
}

// endRecord closes the packets and is repeated as the last bytes of the file
// (FORMAT.md, "Footer").
type endRecord struct {
	packets uint32
	frames  int64
	samples int64
	entries int // of the seek index
}

func (e *endRecord) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, syncByte, endTag)
	dst = binary.BigEndian.AppendUint32(dst, e.packets)
	dst = appendUint(dst, uint64(e.frames), 5)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.samples))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.entries))
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parseEnd reads endSize bytes; ok is false unless they are an end record that
// agrees with itself and with h.
func parseEnd(b []byte, h *Header) (e endRecord, ok bool) {
	if b[0] != syncByte || b[1] != endTag || binary.BigEndian.Uint32(b[23:]) != checksum(b[:23]) {
		return e, false
	}
	e = endRecord{
		packets: binary.BigEndian.Uint32(b[2:]),
		frames:  int64(readUint(b[6:11])),
		samples: int64(binary.BigEndian.Uint64(b[11:])),
		entries: int(binary.BigEndian.Uint32(b[19:])),
	}
	ok = e.samples >= 0 && h.holds(e.frames+1, e.samples) && e.entries <= maxIndex &&
		e.frames >= int64(e.packets) && e.frames <= int64(e.packets)*MaxPacketFrames
	return e, ok
}

// indexEntry says where a packet starts.
type indexEntry struct {
	sequence uint32
	first    int64 // frame
	offset   int64 // bytes from the start of the file
}

// seekIndex holds every stride-th packet but packet 0, which follows the
// header. It halves itself when full, so that its size is bounded.
type seekIndex struct {
	stride  uint32
	entries []indexEntry
}

func (x *seekIndex) add(e indexEntry) {
	if x.stride == 0 {
		x.stride = indexStride
	}
	if e.sequence == 0 || e.sequence%x.stride != 0 || e.offset > maxOffset {
		return
	}
	if len(x.entries) == maxIndex {
		x.stride *= 2
		x.entries = slices.DeleteFunc(x.entries, func(e indexEntry) bool { return e.sequence%x.stride != 0 })
		x.add(e)
		return
	}
	x.entries = append(x.entries, e)
}

// append writes the entries and their CRC.
func (x *seekIndex) append(dst []byte) []byte {
	start := len(dst)
	for _, e := range x.entries {
		dst = binary.BigEndian.AppendUint32(dst, e.sequence)
		dst = appendUint(dst, uint64(e.first), 5)
		dst = appendUint(dst, uint64(e.offset), 6)
	}
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parseIndex reads what append wrote; ok is false where the CRC differs or the
// entries do not ascend.
func parseIndex(b []byte) (entries []indexEntry, ok bool) {
	n := len(b) - 4
	if binary.BigEndian.Uint32(b[n:]) != checksum(b[:n]) {
		return nil, false
	}
	var last indexEntry
	for b = b[:n]; len(b) > 0; b = b[indexEntrySize:] {
		e := indexEntry{binary.BigEndian.Uint32(b), int64(readUint(b[4:9])), int64(readUint(b[9:15]))}
		if e.sequence <= last.sequence || e.first <= last.first || e.offset <= last.offset {
			return nil, false
		}
		entries = append(entries, e)
		last = e
	}
	return entries, true
}

// appendUint writes the low n bytes of v, most significant first.
func appendUint(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}

func readUint(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}
