package ctc

import (
	"cmp"
	"math"
	"slices"
)

// node is a prefix: the text from the root of the trie to it.
type node struct {
	parent   *node
	children []*node
	symbol   int32 // the last one; a root ends a word

	// Natural logarithms of the probability of all paths that give the prefix and
	// end in blank, or in its last symbol.
	blank, other         float64
	nextBlank, nextOther float64 // one row later

	lm      float64 // what the language model and the bonus give
	context Context // after the last unit that was scored
	word    string  // begun since the last space
	wordLM  float64 // lm before it
	total   float64 // acoustics and lm

	born    int // row
	live    bool
	touched bool

	mass   float64 // see agreed
	onBest int
}

type trie struct{ root *node }

// scratch is memory that steps use again.
type scratch struct {
	next  []*node
	try   []int32
	cells []cell
	score [2][]float64
}

// symbols of the prefix n after root, in order.
func (n *node) symbols(root *node, dst []int32) []int32 {
	dst = dst[:0]
	for ; n != root; n = n.parent {
		dst = append(dst, n.symbol)
	}
	slices.Reverse(dst)
	return dst
}

// within says whether a prefix begins with that of n.
func (a *node) within(n *node) bool {
	for ; a != nil; a = a.parent {
		if a == n {
			return true
		}
	}
	return false
}

func (n *node) find(c int32) *node {
	for _, x := range n.children {
		if x.symbol == c {
			return x
		}
	}
	return nil
}

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// floor is what stands for impossible and for values that are not numbers.
const floor = -60.0

func value(v float32) float64 {
	if v > floor {
		return min(float64(v), 0)
	}
	return floor
}

// extend moves all hypotheses on by a row.
func (d *Decoder) extend(row []float32) {
	d.try = d.try[:0]
	for c := int32(1); int(c) < len(row); c++ {
		if value(row[c]) > minSymbol {
			d.try = append(d.try, c)
		}
	}
	d.next = d.next[:0]
	for _, n := range d.active {
		d.touch(n)
	}
	blank, space := value(row[0]), value(row[d.space])
	// What the best will have at least, by staying as it is.
	best := math.Inf(-1)
	for _, n := range d.active {
		best = max(best, n.total+blank)
	}
	for _, n := range d.active {
		// The most that a prefix made from n can have besides its path.
		lm := max(n.lm, n.wordLM+d.cfg.Letter*float64(len(n.word))) + max(d.cfg.Bonus, 0) + max(d.cfg.Letter, 0)
		all := logAdd(n.blank, n.other)
		stay := all + blank
		if n.symbol == d.space {
			// Between words spaces are as good as blanks.
			stay = logAdd(stay, all+space)
		} else {
			n.nextOther = logAdd(n.nextOther, n.other+value(row[n.symbol]))
		}
		n.nextBlank = logAdd(n.nextBlank, stay)
		for _, c := range d.try {
			from := all
			switch {
			case c != n.symbol:
			case c == d.space:
				continue
			default:
				from = n.blank
			}
			child := n.find(c)
			if child == nil {
				// No path but this one leads to it.
				if from+value(row[c])+lm < best-d.cfg.Threshold {
					continue
				}
				child = d.child(n, c)
			}
			d.touch(child)
			child.nextOther = logAdd(child.nextOther, from+value(row[c]))
		}
	}
	d.settle()
}

// endWords ends the word that each hypothesis is in; unless all is set, one that
// the language model does not know goes on.
func (d *Decoder) endWords(all bool) {
	d.next = d.next[:0]
	for _, n := range d.active {
		d.touch(n)
		if m := d.cfg.LM; n.symbol == d.space || !all && m != nil && !m.Characters() && !m.Known(n.word) {
			n.nextBlank, n.nextOther = logAdd(n.nextBlank, n.blank), logAdd(n.nextOther, n.other)
			continue
		}
		c := d.child(n, d.space)
		d.touch(c)
		c.nextBlank = logAdd(c.nextBlank, logAdd(n.blank, n.other))
	}
	d.settle()
}

// touch makes n a candidate of the next row.
func (d *Decoder) touch(n *node) {
	if !n.touched {
		n.touched = true
		n.nextBlank, n.nextOther = math.Inf(-1), math.Inf(-1)
		d.next = append(d.next, n)
	}
}

// settle keeps the best of the candidates.
func (d *Decoder) settle() {
	for _, n := range d.active {
		n.live = false
	}
	best := math.Inf(-1)
	for _, n := range d.next {
		n.touched = false
		n.blank, n.other = n.nextBlank, n.nextOther
		n.total = logAdd(n.blank, n.other) + n.lm
		best = max(best, n.total)
	}
	// Candidates come in an order that the rows define, and equals stay in it.
	slices.SortStableFunc(d.next, func(a, b *node) int { return cmp.Compare(b.total, a.total) })
	d.active = d.active[:0]
	for i, n := range d.next {
		if i < d.cfg.Beam && n.total >= best-d.cfg.Threshold {
			n.live = true
			// The best has 0, so that numbers stay small for hours.
			n.blank, n.other, n.total = n.blank-best, n.other-best, n.total-best
			d.active = append(d.active, n)
		}
	}
	for _, n := range d.next[len(d.active):] {
		d.prune(n)
	}
}

// prune takes a prefix that is no hypothesis, nor the begin of one, out of the
// trie.
func (d *Decoder) prune(n *node) {
	for !n.live && len(n.children) == 0 && n != d.trie.root && n.parent != nil {
		p := n.parent
		if i := slices.Index(p.children, n); i >= 0 {
			p.children = slices.Delete(p.children, i, i+1)
		}
		n.parent = nil
		n = p
	}
}

// child is the prefix n with one symbol more, with its language model score.
func (d *Decoder) child(n *node, c int32) *node {
	if x := n.find(c); x != nil {
		return x
	}
	x := &node{parent: n, symbol: c, born: d.now, context: n.context, lm: n.lm, wordLM: n.wordLM}
	n.children = append(n.children, x)
	if n.symbol == d.space {
		x.wordLM = n.lm
	}
	m, char := d.cfg.LM, string(d.chars[c-1])
	switch {
	case m == nil:
	case m.Characters():
		var p float64
		x.context, p = m.Score(n.context, char)
		x.lm += d.cfg.Weight*p + d.cfg.Bonus
	case c == d.space:
		var p float64
		x.context, p = m.Score(n.context, n.word)
		x.lm = n.wordLM + d.cfg.Weight*p + d.cfg.Bonus + d.cfg.Letter*float64(len(n.word))
		if !m.Known(n.word) {
			x.lm += d.cfg.Unknown
		}
	default:
		x.word = n.word + char
		x.lm = x.wordLM + d.cfg.Letter*float64(len(x.word))
		if !m.Prefix(x.word) {
			x.lm += d.cfg.Unknown
		}
	}
	return x
}
