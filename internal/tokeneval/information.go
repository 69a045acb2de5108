package tokeneval

import (
	"math"
	"math/rand/v2"
)

// Information between codes of pairs, in bits.
type Information struct {
	// Plain is the mutual information of the counts, less that of the same codes in
	// random order, which is how far the counts of few frames are off.
	Plain float64 `json:"plain"`
	// Held is what a table of pairs, learned from other recordings, saves on the
	// second code when the first is known: a bound from below on speech that was
	// not seen, at 0 where the recordings are too few for a table.
	Held float64 `json:"held_out"`
}

// pairs are codes that occur together.
type pairs struct{ a, b []int32 }

func (p *pairs) add(a, b int32) { p.a, p.b = append(p.a, a), append(p.b, b) }

// information measures pairs of codes below the given sizes; learned are pairs of
// other recordings.
func information(p, learned pairs, sizeB int) Information {
	shuffled := pairs{p.a, append([]int32(nil), p.b...)}
	rng := rand.New(rand.NewPCG(1, uint64(len(p.a))))
	rng.Shuffle(len(shuffled.b), func(i, k int) { shuffled.b[i], shuffled.b[k] = shuffled.b[k], shuffled.b[i] })
	return Information{Plain: max(0, mutual(p)-mutual(shuffled)), Held: max(0, saved(p, learned, sizeB))}
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
// learned pairs (Witten-Bell, as ngrams).
func saved(p, learned pairs, size int) float64 {
	type count struct{ total, distinct int }
	joint, a, b := map[[2]int32]int{}, map[int32]count{}, map[int32]int{}
	for i := range learned.a {
		k := [2]int32{learned.a[i], learned.b[i]}
		c := a[k[0]]
		c.total++
		if joint[k]++; joint[k] == 1 {
			c.distinct++
		}
		a[k[0]] = c
		b[k[1]]++
	}
	sum := 0.0
	for i := range p.a {
		alone := (float64(b[p.b[i]]) + 1) / float64(len(learned.b)+size)
		with := alone
		if c := a[p.a[i]]; c.total > 0 {
			with = (float64(joint[[2]int32{p.a[i], p.b[i]}]) + float64(c.distinct)*alone) / float64(c.total+c.distinct)
		}
		sum += math.Log2(with / alone)
	}
	return sum / float64(max(len(p.a), 1))
}
