package tokeneval

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Information between codes of pairs, in bits.
type Information struct {
	// Plain is the mutual information of the counts of all recordings, learned ones
	// too, less that of the same codes in random order, which is how far the counts
	// of few frames are off: rather too little than too much.
	Plain float64 `json:"plain"`
	// Held is what a table of pairs, learned from other recordings, saves on the
	// second code when the first is known: a bound from below on speech that was
	// not seen, at 0 where the recordings are too few for a table.
	Held float64 `json:"held_out"`
}

// pairs are codes that occur together.
type pairs struct{ a, b []int32 }

func (p *pairs) add(a, b int32) { p.a, p.b = append(p.a, a), append(p.b, b) }

// information measures pairs of codes, the second of them below size; learned are
// pairs of other recordings.
func information(p, learned pairs, size int) Information {
	all := pairs{slices.Concat(learned.a, p.a), slices.Concat(learned.b, p.b)}
	shuffled := pairs{all.a, slices.Clone(all.b)}
	rng := rand.New(rand.NewPCG(1, uint64(len(all.a))))
	rng.Shuffle(len(shuffled.b), func(i, k int) { shuffled.b[i], shuffled.b[k] = shuffled.b[k], shuffled.b[i] })
	return Information{Plain: max(0, mutual(all)-mutual(shuffled)), Held: max(0, saved(p, learned, size))}
}

// mutual is Σ p(a,b)·log2(p(a,b)/(p(a)·p(b))) of the counts.
func mutual(p pairs) float64 {
	joint, a, b := map[[2]int32]int{}, map[int32]int{}, map[int32]int{}
	for i := range p.a {
		joint[[2]int32{p.a[i], p.b[i]}]++
		a[p.a[i]]++
		b[p.b[i]]++
	}
	n, sum := float64(len(p.a)), 0.0
	for k, c := range joint {
		sum += float64(c) / n * math.Log2(float64(c)*n/(float64(a[k[0]])*float64(b[k[1]])))
	}
	return sum
}

// saved is how many bits fewer b costs with a known than without, by tables of
// learned pairs (discounted as ngrams are).
func saved(p, learned pairs, size int) float64 {
	joint, after, alone := map[[2]int32]int{}, map[int32]follow{}, map[int32]int{}
	for i := range learned.a {
		k := [2]int32{learned.a[i], learned.b[i]}
		f := after[k[0]]
		f.total++
		if joint[k]++; joint[k] == 1 {
			f.distinct++
		}
		after[k[0]] = f
		alone[k[1]]++
	}
	less, sum := discount(joint), 0.0
	for i := range p.a {
		without := (float64(alone[p.b[i]]) + 1) / float64(len(learned.b)+size)
		with := after[p.a[i]].share(joint[[2]int32{p.a[i], p.b[i]}], less, without)
		sum += math.Log2(with / without)
	}
	return sum / float64(max(len(p.a), 1))
}
