package ngram

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"unicode/utf8"
)

// The file: magic, order and units; the vocabulary; per length of n-grams the
// numbers of children of all nodes one shorter, then the nodes: how far the unit
// is from its sibling's before, probability and, for all but the longest in version
// 2, back-off weight; at the end the CRC-32C of all before. Numbers are unsigned
// varints. Logarithms are steps of 1/2000 nat: 16-bit little-endian in version 1. In
// version 2 units, probabilities and back-off weights of a length lie one after the
// other, which packs better, and logarithms are bytes that point into a table of up
// to 256, which stands before them: its size, and the values, ascending, as varints of
// the first (zigzag) and of the differences. That of nodes nothing follows is 0.
const (
	magic1 = "SOTTOLM1"
	magic2 = "SOTTOLM2"
)

// maxFile bounds what is read.
const maxFile = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Bytes gives the model's file: version 2 where its logarithms fit in tables.
func (m *Model) Bytes() []byte {
	probs, backoffs, ok := m.tables()
	b := []byte(magic1)
	if ok {
		b = []byte(magic2)
	}
	b = binary.AppendUvarint(b, uint64(m.order()))
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
	for k := range m.order() {
		for n := m.level[k]; n < m.level[k+1]; n++ {
			b = binary.AppendUvarint(b, uint64(m.first[n+1]-m.first[n]))
		}
		for n := m.level[k]; n < m.level[k+1]; n++ {
			before := uint32(0)
			for x := m.first[n]; x < m.first[n+1]; x++ {
				b = binary.AppendUvarint(b, uint64(m.word[x]-before))
				before = m.word[x]
				if !ok {
					b = binary.LittleEndian.AppendUint16(b, uint16(m.prob[x]))
					b = binary.LittleEndian.AppendUint16(b, uint16(m.backoff[x]))
				}
			}
		}
		if ok {
			b = appendTable(b, probs[k], m.prob[m.level[k+1]:m.level[k+2]])
			if k+1 < m.order() {
				b = appendTable(b, backoffs[k], m.backoff[m.level[k+1]:m.level[k+2]])
			}
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// appendTable writes a table and the places of values in it.
func appendTable(b []byte, table []int16, values []int16) []byte {
	b = binary.AppendUvarint(b, uint64(len(table)))
	place := map[int16]byte{}
	for i, v := range table {
		place[v] = byte(i)
		if i == 0 {
			b = binary.AppendVarint(b, int64(v))
		} else {
			b = binary.AppendUvarint(b, uint64(int(v)-int(table[i-1])))
		}
	}
	for _, v := range values {
		b = append(b, place[v])
	}
	return b
}

var errShort = errors.New("it ends early")

// cursor reads varints and bytes.
type cursor struct {
	b   []byte
	err error
}

// unit is number, short: files hold a million.
func (c *cursor) unit(limit int) int {
	b := c.b
	switch {
	case len(b) < 2:
	case b[0] < 0x80:
		if v := int(b[0]); v <= limit {
			c.b = b[1:]
			return v
		}
	case b[1] < 0x80:
		if v := int(b[0]&0x7f) | int(b[1])<<7; v <= limit {
			c.b = b[2:]
			return v
		}
	}
	return c.number(uint64(limit), "unit")
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

// table appends n values that a table and places in it stand for.
func (c *cursor) table(to []int16, n int) []int16 {
	size := c.number(256, "size of a table")
	table := make([]int16, 0, size)
	for i := range size {
		v := int64(0)
		if i == 0 {
			var read int
			if v, read = binary.Varint(c.b); read <= 0 {
				c.fail(errShort)
			} else {
				c.b = c.b[read:]
			}
		} else {
			step := c.number(1<<16, "step of a table")
			if c.err == nil && step == 0 {
				c.fail(errors.New("a table out of order"))
			}
			v = int64(table[i-1]) + int64(step)
		}
		if v != int64(int16(v)) {
			c.fail(fmt.Errorf("a logarithm of %d", v))
		}
		if c.err != nil {
			return to
		}
		table = append(table, int16(v))
	}
	if n > len(c.b) {
		c.fail(errShort)
		return to
	}
	for _, i := range c.take(n) {
		if int(i) >= len(table) {
			c.fail(fmt.Errorf("place %d of a table of %d", i, len(table)))
			return to
		}
		to = append(to, table[i])
	}
	return to
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

// Parse reads a model's file.
func Parse(b []byte) (*Model, error) {
	const size = len(magic1)
	if len(b) < size+4 || string(b[:size]) != magic1 && string(b[:size]) != magic2 {
		return nil, errors.New("not a language model file")
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("the language model file is damaged: its check sum does not match")
	}
	m, err := parse(body[size:], string(b[:size]) == magic2)
	if err != nil {
		return nil, fmt.Errorf("the language model file is damaged: %w", err)
	}
	return m, nil
}

func parse(b []byte, tables bool) (*Model, error) {
	c := &cursor{b: b}
	order := c.number(maxOrder, "order")
	m := &Model{characters: c.number(1, "unit") == 1}
	m.vocabulary = append(m.vocabulary, specialNames[:]...)
	for n := c.number(uint64(len(c.b)), "vocabulary"); n > 0 && c.err == nil; n-- {
		w := string(c.take(c.number(uint64(len(c.b)), "length of a unit")))
		if c.err == nil && (w == "" || !utf8.ValidString(w)) {
			return nil, fmt.Errorf("unit %q", w)
		}
		m.vocabulary = append(m.vocabulary, w)
	}
	if order == 0 {
		c.fail(errors.New("no n-grams"))
	}
	// What is found from the vocabulary takes as long as the n-grams.
	indexed := make(chan struct{})
	go func() {
		defer close(indexed)
		m.index()
	}()
	defer func() { <-indexed }()
	m.word, m.prob, m.backoff = []uint32{0}, []int16{0}, []int16{0}
	m.level = []int{0, 1}
	least := 5 // bytes of an n-gram
	if tables {
		least = 2
	}
	var children []uint32
	for k := 0; k < order && c.err == nil; k++ {
		from, total := len(children), 0
		for n := m.level[k]; n < m.level[k+1] && c.err == nil; n++ {
			number := c.number(uint64(len(c.b)), "number of children")
			children = append(children, uint32(number))
			total += number
		}
		if total > len(c.b)/least {
			c.fail(errShort)
		}
		m.word = slices.Grow(m.word, total)
		m.prob, m.backoff = slices.Grow(m.prob, total), slices.Grow(m.backoff, total)
		for _, n := range children[from:] {
			id := 0
			for i := range n {
				step := c.unit(len(m.vocabulary) - 1 - id)
				if i > 0 && step == 0 {
					c.fail(errors.New("units out of order"))
				}
				if c.err != nil {
					return nil, c.err
				}
				id += step
				m.word = append(m.word, uint32(id))
				if !tables {
					v := c.take(4)
					if c.err != nil {
						return nil, c.err
					}
					m.prob = append(m.prob, int16(binary.LittleEndian.Uint16(v)))
					m.backoff = append(m.backoff, int16(binary.LittleEndian.Uint16(v[2:])))
				}
			}
		}
		m.level = append(m.level, len(m.word))
		if tables {
			m.prob = c.table(m.prob, total)
			if k+1 < order {
				m.backoff = c.table(m.backoff, total)
			} else if c.err == nil {
				m.backoff = append(m.backoff, make([]int16, total)...)
			}
		}
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case len(c.b) > 0:
		return nil, fmt.Errorf("%d bytes after its end", len(c.b))
	}
	m.shape(children)
	m.link(m.order() - 1)
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
