package rvq

import "math"

// Usage counts how often each code of each codebook appears.
type Usage struct {
	Counts [][]int64 // [codebook][code]
}

// NewUsage makes counters for codebooks of the given sizes.
func NewUsage(sizes []int) *Usage {
	u := &Usage{}
	for _, n := range sizes {
		u.Counts = append(u.Counts, make([]int64, n))
	}
	return u
}

// Add counts codes laid out [T][codebooks], each within its codebook; codebooks
// may be fewer than were made, the first ones then.
func (u *Usage) Add(codes []int32, codebooks int) {
	for i, c := range codes {
		u.Counts[i%codebooks][c]++
	}
}

// Used is the share of the entries of a codebook that appeared, 0 to 1.
func (u *Usage) Used(codebook int) float64 {
	n := 0
	for _, c := range u.Counts[codebook] {
		if c > 0 {
			n++
		}
	}
	return float64(n) / float64(len(u.Counts[codebook]))
}

// Entropy is that of a codebook's codes in bits, the least that an ideal coder
// without context spends on one.
func (u *Usage) Entropy(codebook int) float64 {
	var total, h float64
	for _, c := range u.Counts[codebook] {
		total += float64(c)
	}
	for _, c := range u.Counts[codebook] {
		if c > 0 {
			p := float64(c) / total
			h -= float64(p * math.Log2(p))
		}
	}
	return h
}

// Perplexity is 2^Entropy: the number of entries that would give the same
// entropy if evenly used.
func (u *Usage) Perplexity(codebook int) float64 { return math.Exp2(u.Entropy(codebook)) }
