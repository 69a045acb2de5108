package tflite

import (
	"encoding/binary"
	"fmt"
	"math"
)

// buffer is a FlatBuffers file. Its offsets come from the file, so that each
// access is checked; the first one that fails is kept, and what it and all
// later ones give is zero or empty.
type buffer struct {
	data []byte
	err  error
}

func (b *buffer) fail(at int, what string) {
	if b.err == nil {
		b.err = fmt.Errorf("tflite: %s at byte %d lies outside of the file", what, at)
	}
}

func (b *buffer) bytes(at, n int) []byte {
	if b.err != nil || at < 0 || n < 0 || at > len(b.data)-n {
		b.fail(at, "a value")
		return make([]byte, min(max(n, 0), 8))
	}
	return b.data[at : at+n]
}

func (b *buffer) u32(at int) int { return int(binary.LittleEndian.Uint32(b.bytes(at, 4))) }
func (b *buffer) u16(at int) int { return int(binary.LittleEndian.Uint16(b.bytes(at, 2))) }
func (b *buffer) i32(at int) int { return int(int32(binary.LittleEndian.Uint32(b.bytes(at, 4)))) }

// table is a FlatBuffers table: fields by number, all of them optional. The
// zero table has none.
type table struct {
	*buffer
	at int
}

func (b *buffer) root() table { return table{b, b.u32(0)} }

// field gives the place of a field, 0 where the table leaves it out.
func (t table) field(number int) int {
	if t.buffer == nil {
		return 0
	}
	vtable := t.at - t.i32(t.at)
	if 4+2*number >= t.u16(vtable) {
		return 0
	}
	offset := t.u16(vtable + 4 + 2*number)
	if offset == 0 {
		return 0
	}
	return t.at + offset
}

func (t table) int32(number int) int {
	if at := t.field(number); at != 0 {
		return t.i32(at)
	}
	return 0
}

func (t table) int8(number int) int {
	if at := t.field(number); at != 0 {
		return int(int8(t.bytes(at, 1)[0]))
	}
	return 0
}

func (t table) float(number int) float32 {
	if at := t.field(number); at != 0 {
		return math.Float32frombits(uint32(t.u32(at)))
	}
	return 0
}

func (t table) table(number int) table {
	if at := t.field(number); at != 0 {
		return table{t.buffer, at + t.u32(at)}
	}
	return table{}
}

// vector gives the place of the first element and their number; size is that of
// an element in bytes.
func (t table) vector(number, size int) (at, n int) {
	field := t.field(number)
	if field == 0 {
		return 0, 0
	}
	at = field + t.u32(field)
	n = t.u32(at)
	if at += 4; n > len(t.data)/size || t.err != nil {
		t.fail(at, "a list")
		return 0, 0
	}
	t.bytes(at, n*size)
	return at, n
}

func (t table) tables(number int) []table {
	at, n := t.vector(number, 4)
	out := make([]table, n)
	for i := range out {
		place := at + 4*i
		out[i] = table{t.buffer, place + t.u32(place)}
	}
	return out
}

func (t table) int32s(number int) []int {
	at, n := t.vector(number, 4)
	out := make([]int, n)
	for i := range out {
		out[i] = t.i32(at + 4*i)
	}
	return out
}

func (t table) floats(number int) []float32 {
	at, n := t.vector(number, 4)
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(uint32(t.u32(at + 4*i)))
	}
	return out
}

func (t table) int64s(number int) []int64 {
	at, n := t.vector(number, 8)
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(t.bytes(at+8*i, 8)))
	}
	return out
}

func (t table) raw(number int) []byte {
	at, n := t.vector(number, 1)
	return t.bytes(at, n)
}
