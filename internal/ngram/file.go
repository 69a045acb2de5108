package ngram

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"unicode/utf8"
)

// The file: magic, order and units; the vocabulary; per length of n-grams the
// numbers of children of all nodes one shorter, then the nodes: how far the unit
// is from its sibling's before, probability and, for nodes that have children,
// back-off weight; at the end the CRC-32C of all before. Numbers are unsigned
// varints, logarithms 16-bit little-endian steps of 1/2000 nat.
const magic = "SOTTOLM1"

// maxFile bounds what is read.
const maxFile = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Bytes gives the model's file.
func (m *Model) Bytes() []byte {
	b := []byte(magic)
	b = binary.AppendUvarint(b, uint64(m.order))
	unit := uint64(0)
	if m.characters {
		unit = 1
	}
	b = binary.AppendUvarint(b, unit)
	b = binary.AppendUvarint(b, uint64(m.Vocabulary()))
	for _, w := range m.vocabulary[specials:] {
		b = binary.AppendUvarint(b, uint64(len(w)))
		b = append(b, w...)
	}
	for k := range m.order {
		for n := m.level[k]; n < m.level[k+1]; n++ {
			b = binary.AppendUvarint(b, uint64(m.first[n+1]-m.first[n]))
		}
		for n := m.level[k]; n < m.level[k+1]; n++ {
			before := uint32(0)
			for x := m.first[n]; x < m.first[n+1]; x++ {
				b = binary.AppendUvarint(b, uint64(m.word[x]-before))
				before = m.word[x]
				b = binary.LittleEndian.AppendUint16(b, uint16(m.prob[x]))
				b = binary.LittleEndian.AppendUint16(b, uint16(m.backoff[x]))
			}
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errShort = errors.New("it ends early")

// cursor reads varints and bytes.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) number(limit uint64, what string) int {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail(errShort)
		return 0
	}
	c.b = c.b[n:]
	if v > limit {
		c.fail(fmt.Errorf("%s is %d, at most %d is possible", what, v, limit))
		return 0
	}
	return int(v)
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fail(errShort)
		return make([]byte, min(n, 8))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

// Parse reads a model's file.
func Parse(b []byte) (*Model, error) {
	if len(b) < len(magic)+4 || string(b[:len(magic)]) != magic {
		return nil, errors.New("not a language model file")
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("the language model file is damaged: its check sum does not match")
	}
	m, err := parse(body[len(magic):])
	if err != nil {
		return nil, fmt.Errorf("the language model file is damaged: %w", err)
	}
	return m, nil
}

func parse(b []byte) (*Model, error) {
	c := &cursor{b: b}
	m := &Model{order: c.number(maxOrder, "order")}
	m.characters = c.number(1, "unit") == 1
	m.vocabulary = append(m.vocabulary, specialNames[:]...)
	for n := c.number(uint64(len(c.b)), "vocabulary"); n > 0 && c.err == nil; n-- {
		w := string(c.take(c.number(uint64(len(c.b)), "length of a unit")))
		if c.err == nil && (w == "" || !utf8.ValidString(w)) {
			return nil, fmt.Errorf("unit %q", w)
		}
		m.vocabulary = append(m.vocabulary, w)
	}
	if m.order == 0 {
		c.fail(errors.New("no n-grams"))
	}
	m.index()
	m.word, m.prob, m.backoff = []uint32{0}, []int16{0}, []int16{0}
	m.level = []int{0, 1}
	for k := 0; k < m.order && c.err == nil; k++ {
		children := make([]int, 0, m.level[k+1]-m.level[k])
		total := 0
		for n := m.level[k]; n < m.level[k+1] && c.err == nil; n++ {
			children = append(children, c.number(uint64(len(c.b)), "number of children"))
			total += children[len(children)-1]
		}
		if total > len(c.b)/5 {
			c.fail(errShort)
		}
		for _, n := range children {
			m.first = append(m.first, uint32(len(m.word)))
			id := 0
			for i := range n {
				step := c.number(uint64(len(m.vocabulary)-1-id), "unit")
				if c.err == nil && i > 0 && step == 0 {
					c.fail(errors.New("units out of order"))
				}
				id += step
				v := c.take(4)
				if c.err != nil {
					return nil, c.err
				}
				m.word = append(m.word, uint32(id))
				m.prob = append(m.prob, int16(binary.LittleEndian.Uint16(v)))
				m.backoff = append(m.backoff, int16(binary.LittleEndian.Uint16(v[2:])))
			}
		}
		m.level = append(m.level, len(m.word))
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case len(c.b) > 0:
		return nil, fmt.Errorf("%d bytes after its end", len(c.b))
	}
	for len(m.first) <= len(m.word) {
		m.first = append(m.first, uint32(len(m.word)))
	}
	m.link()
	return m, nil
}

// Load reads a file: of this package, or ARPA text.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: a language model of more than %d bytes is not read", path, maxFile)
	}
	m, err := parseAny(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func parseAny(b []byte) (*Model, error) {
	if looksARPA(b) {
		return ParseARPA(b)
	}
	return Parse(b)
}
