package ngram

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// looksARPA says whether a text has the first line of the format.
func looksARPA(b []byte) bool {
	return bytes.Contains(b[:min(len(b), 4096)], []byte("\\data\\"))
}

// spaceName stands for the space of models of characters.
const spaceName = "<space>"

// WriteARPA writes the model as ARPA text, which other toolkits read; a space of
// a model of characters is written <space>.
func (m *Model) WriteARPA(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "\\data\\\n")
	for k, n := range m.Counts() {
		fmt.Fprintf(b, "ngram %d=%d\n", k+1, n)
	}
	base10 := func(v int16) string {
		return strconv.FormatFloat(float64(v)/scale/math.Ln10, 'f', 6, 64)
	}
	for k := 1; k <= m.order(); k++ {
		fmt.Fprintf(b, "\n\\%d-grams:\n", k)
		m.walk(0, nil, k, func(ids []uint32, n uint32) {
			p := base10(m.prob[n])
			if ids[len(ids)-1] == begin {
				p = "-99"
			}
			names := make([]string, len(ids))
			for i, id := range ids {
				names[i] = m.vocabulary[id]
				if names[i] == " " {
					names[i] = spaceName
				}
			}
			fmt.Fprintf(b, "%s\t%s", p, strings.Join(names, " "))
			if k < m.order() {
				fmt.Fprintf(b, "\t%s", base10(m.backoff[n]))
			}
			b.WriteByte('\n')
		})
	}
	fmt.Fprintf(b, "\n\\end\\\n")
	return b.Flush()
}

// walk visits the n-grams of length k below node n, whose units are ids.
func (m *Model) walk(n uint32, ids []uint32, k int, visit func([]uint32, uint32)) {
	for x := m.first[n]; x < m.first[n+1]; x++ {
		more := append(ids, m.word[x])
		if len(more) == k {
			visit(more, x)
		} else {
			m.walk(x, more, k, visit)
		}
	}
}

// ParseARPA reads ARPA text. A <space> among its units makes it a model of
// characters.
func ParseARPA(b []byte) (*Model, error) {
	p := &arpaReader{m: &Model{}, ids: map[string]uint32{}}
	for i, s := range specialNames {
		p.name(s, uint32(i))
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if err := p.line(strings.TrimSpace(lines.Text())); err != nil {
			return nil, fmt.Errorf("ARPA, line %d: %w", n, err)
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("ARPA: %w", lines.Err())
	case !p.ended:
		return nil, errors.New("ARPA: it ends without \\end\\")
	case len(p.levels) == 0 || len(p.levels[0]) == 0:
		return nil, errors.New("ARPA: it has no 1-grams")
	}
	m := p.m
	for i := range uint32(specials) {
		if _, ok := p.levels[0][pack(i)]; !ok {
			p.levels[0][pack(i)] = entry{prob: math.Inf(-1)}
		}
	}
	m.index()
	m.build(p.levels)
	return m, nil
}

type arpaReader struct {
	m      *Model
	ids    map[string]uint32
	levels []map[key]entry
	length int // of the section's n-grams
	ended  bool
}

func (p *arpaReader) name(s string, id uint32) {
	p.ids[s] = id
	p.m.vocabulary = append(p.m.vocabulary, s)
}

func (p *arpaReader) line(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	switch {
	case s == "" || p.ended:
		return nil
	case s == "\\end\\":
		p.ended = true
		return nil
	case strings.HasPrefix(s, "\\") && strings.HasSuffix(s, "-grams:"):
		k, err := strconv.Atoi(s[1 : len(s)-len("-grams:")])
		if err != nil || k != p.length+1 || k > maxOrder {
			return fmt.Errorf("section %q: lengths must go from 1 up to at most %d", s, maxOrder)
		}
		p.length = k
		p.levels = append(p.levels, map[key]entry{})
		return nil
	case p.length == 0:
		return nil // the counts, and what stands before them
	}
	f := strings.Fields(s)
	if n := len(f); n != p.length+1 && n != p.length+2 {
		return fmt.Errorf("%d fields for an n-gram of %d units", n, p.length)
	}
	prob, err := strconv.ParseFloat(f[0], 64)
	if err != nil || math.IsNaN(prob) || prob > 0.001 {
		return fmt.Errorf("log-probability %q", f[0])
	}
	e := entry{prob: prob * math.Ln10}
	if len(f) == p.length+2 {
		back, err := strconv.ParseFloat(f[len(f)-1], 64)
		if err != nil || math.IsNaN(back) {
			return fmt.Errorf("back-off weight %q", f[len(f)-1])
		}
		e.backoff = back * math.Ln10
	}
	ids := make([]uint32, p.length)
	for i, u := range f[1 : p.length+1] {
		if u == spaceName {
			u, p.m.characters = " ", true
		}
		id, ok := p.ids[u]
		if !ok {
			if p.length > 1 {
				return fmt.Errorf("unit %q is not among the 1-grams", u)
			}
			id = uint32(len(p.m.vocabulary))
			p.name(u, id)
		}
		ids[i] = id
	}
	g := pack(ids...)
	if p.length > 1 {
		if _, ok := p.levels[p.length-2][g[:len(g)-4]]; !ok {
			return errors.New("the n-gram without its last unit is missing")
		}
	}
	p.levels[p.length-1][g] = e
	return nil
}

// entry is an n-gram on the way into a model.
type entry struct {
	prob, backoff float64 // natural logarithms
}

// key is an n-gram: four bytes a unit, big endian, so that the order of keys is
// that of the nodes.
type key = string

func pack(ids ...uint32) key {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	return string(b)
}

func lastOf(k key) uint32 { return binary.BigEndian.Uint32([]byte(k[len(k)-4:])) }

// build lays n-grams out as nodes.
func (m *Model) build(levels []map[key]entry) {
	m.word, m.prob, m.backoff = []uint32{0}, []int16{0}, []int16{0}
	m.level = []int{0, 1}
	var children []uint32
	parents := []key{""}
	for k := range levels {
		keys := slices.Sorted(maps.Keys(levels[k]))
		i := 0
		for _, p := range parents {
			from := i
			for i < len(keys) && keys[i][:4*k] == p {
				i++
			}
			children = append(children, uint32(i-from))
		}
		for _, g := range keys {
			e := levels[k][g]
			m.word = append(m.word, lastOf(g))
			m.prob = append(m.prob, quantize(e.prob))
			m.backoff = append(m.backoff, quantize(e.backoff))
		}
		m.level = append(m.level, len(m.word))
		parents = keys
	}
	m.shape(children)
	m.link(m.order() - 1)
}
