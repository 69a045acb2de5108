package ngram

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Corpus is text to train on: four bytes a unit.
type Corpus struct {
	characters bool
	names      []string
	ids        map[string]uint32
	seen       []uint64 // how often each unit occurs
	text       []uint32 // sentences with begin and end
}

// NewCorpus makes an empty one of Words or Characters.
func NewCorpus(units string) (*Corpus, error) {
	if units != Words && units != Characters {
		return nil, fmt.Errorf("units are %q: choose %s or %s", units, Words, Characters)
	}
	c := &Corpus{characters: units == Characters, ids: map[string]uint32{}}
	for i, s := range specialNames {
		c.names, c.seen, c.ids[s] = append(c.names, s), append(c.seen, 0), unknown
		_ = i
	}
	return c, nil
}

// Add takes a sentence, whose words are parted by spaces.
func (c *Corpus) Add(sentence string) {
	u := unitsOf(sentence, c.characters)
	if len(u) == 0 {
		return
	}
	c.text = append(c.text, begin)
	for _, name := range u {
		id, ok := c.ids[name]
		if !ok {
			id = uint32(len(c.names))
			name = strings.Clone(name)
			c.names, c.seen = append(c.names, name), append(c.seen, 0)
			c.ids[name] = id
		}
		c.seen[id]++
		c.text = append(c.text, id)
	}
	c.text = append(c.text, end)
}

// Part is a text of a mixture.
type Part struct {
	Text   *Corpus
	Weight float64
}

// vocabularyOf orders the units of all parts by how often they occur, each part by
// its weight, and gives them their new ids.
func vocabularyOf(parts []Part, most int) []string {
	share := map[string]float64{}
	for _, p := range parts {
		total := max(float64(len(p.Text.text)), 1)
		for i, name := range p.Text.names {
			if i >= specials {
				share[name] += p.Weight * float64(p.Text.seen[i]) / total
			}
		}
	}
	names := make([]string, 0, len(share))
	for name := range share {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(share[b], share[a]), strings.Compare(a, b))
	})
	if most > 0 && len(names) > most {
		names = names[:most]
	}
	names = append(specialNames[:len(specialNames):len(specialNames)], names...)
	ids := make(map[string]uint32, len(names))
	for i, name := range names[specials:] {
		ids[name] = uint32(i + specials)
	}
	for _, p := range parts {
		to := make([]uint32, len(p.Text.names))
		for i, name := range p.Text.names {
			to[i] = ids[name]
		}
		to[begin], to[end] = begin, end
		for i, id := range p.Text.text {
			p.Text.text[i] = to[id]
		}
		p.Text.names, p.Text.ids, p.Text.seen = nil, nil, nil
	}
	return names
}

// windows gives the places of a text ordered by the units from there on, up to a
// length or the end of the sentence: counting sorts from the last unit to the first.
func windows(text []uint32, vocabulary, length int) []uint32 {
	at, sorted := make([]uint32, len(text)), make([]uint32, len(text))
	for i := range at {
		at[i] = uint32(i)
	}
	keys := make([]uint32, len(text))
	starts := make([]uint32, vocabulary+2)
	for j := length - 1; j >= 0; j-- {
		clear(starts)
		for i, p := range at {
			keys[i] = unitAt(text, p, j)
			starts[keys[i]+1]++
		}
		for i := 1; i < len(starts); i++ {
			starts[i] += starts[i-1]
		}
		for i, p := range at {
			k := keys[i]
			sorted[starts[k]] = p
			starts[k]++
		}
		at, sorted = sorted, at
	}
	return at
}

// unitAt is 1 more than the unit j places after p, 0 where the sentence has ended.
func unitAt(text []uint32, p uint32, j int) uint32 {
	for i := range j {
		if text[int(p)+i] == end {
			return 0
		}
	}
	return text[int(p)+j] + 1
}

// count makes the tree of all n-grams of a text, and their numbers; all units of the
// vocabulary are among the 1-grams.
func count(text []uint32, vocabulary, length int) (*tree, []uint32, error) {
	if len(text) == 0 {
		return nil, nil, errors.New("the text has no words")
	}
	if uint64(len(text)) >= math.MaxUint32 {
		return nil, nil, fmt.Errorf("a text of %d units is too long", len(text))
	}
	order := windows(text, vocabulary, length)
	// same is how many units a window shares with that before it, size its length.
	compare := func(i int) (same, size int) {
		p := text[order[i]:]
		for size < length {
			size++
			if p[size-1] == end {
				break
			}
		}
		if i == 0 {
			return 0, size
		}
		q := text[order[i-1]:]
		for same < size && p[same] == q[same] {
			same++
			if p[same-1] == end {
				break
			}
		}
		return same, size
	}
	t := &tree{}
	number := make([]int, length+1)
	number[0], number[1] = 1, vocabulary
	for i := range order {
		for same, size := compare(i); same < size; same++ {
			if same > 0 {
				number[same+1]++
			}
		}
	}
	t.level = []int{0}
	for _, n := range number {
		t.level = append(t.level, t.level[len(t.level)-1]+n)
	}
	total := t.level[length+1]
	if uint64(total) >= math.MaxUint32 {
		return nil, nil, fmt.Errorf("%d n-grams are too many", total)
	}
	t.word = make([]uint32, total)
	for id := range vocabulary {
		t.word[1+id] = uint32(id)
	}
	seen := make([]uint32, total)
	children := make([]uint32, t.level[length])
	children[0] = uint32(vocabulary)
	next := slices.Clone(t.level)
	path := make([]int, length+1)
	for i, p := range order {
		same, size := compare(i)
		for k := same + 1; k <= size; k++ {
			if k == 1 {
				path[1] = 1 + int(text[p])
				continue
			}
			path[k] = next[k]
			next[k]++
			t.word[path[k]] = text[int(p)+k-1]
			children[path[k-1]]++
		}
		for k := 1; k <= size; k++ {
			seen[path[k]]++
		}
	}
	t.shape(children)
	t.link(length)
	return t, seen, nil
}
