package transcript

import "strings"

// Op is what became of a word of the reference.
type Op string

// The steps of an alignment.
const (
	Match        Op = "match"
	Substitution Op = "substitution"
	Deletion     Op = "deletion"  // the reference has a word that the hypothesis lacks
	Insertion    Op = "insertion" // the other way round
)

// Edit is a step of an alignment; the side that has no word is "", at -1.
type Edit struct {
	Op       Op
	Ref, Hyp string
	RefAt    int
	HypAt    int
}

// Align finds the fewest substitutions, deletions and insertions that make the
// hypothesis of the reference. Among equals it prefers, from the end on, a word
// for a word, then a deletion.
func Align(ref, hyp []string) []Edit {
	n, m := len(ref), len(hyp)
	cost := make([]int32, (n+1)*(m+1))
	at := func(i, j int) int { return i*(m+1) + j }
	for i := 0; i <= n; i++ {
		for j := 0; j <= m; j++ {
			switch {
			case i == 0:
				cost[at(i, j)] = int32(j)
			case j == 0:
				cost[at(i, j)] = int32(i)
			default:
				c := cost[at(i-1, j-1)]
				if ref[i-1] != hyp[j-1] {
					c++
				}
				cost[at(i, j)] = min(c, cost[at(i-1, j)]+1, cost[at(i, j-1)]+1)
			}
		}
	}
	var out []Edit
	for i, j := n, m; i > 0 || j > 0; {
		c := cost[at(i, j)]
		switch {
		case i > 0 && j > 0 && ref[i-1] == hyp[j-1] && c == cost[at(i-1, j-1)]:
			i, j = i-1, j-1
			out = append(out, Edit{Match, ref[i], hyp[j], i, j})
		case i > 0 && j > 0 && c == cost[at(i-1, j-1)]+1:
			i, j = i-1, j-1
			out = append(out, Edit{Substitution, ref[i], hyp[j], i, j})
		case i > 0 && c == cost[at(i-1, j)]+1:
			i--
			out = append(out, Edit{Deletion, ref[i], "", i, -1})
		default:
			j--
			out = append(out, Edit{Insertion, "", hyp[j], -1, j})
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Errors counts the steps of alignments.
type Errors struct {
	Words         int `json:"words"` // of the reference
	Substitutions int `json:"substitutions"`
	Deletions     int `json:"deletions"`
	Insertions    int `json:"insertions"`
}

// Add counts the steps of an alignment.
func (e *Errors) Add(edits []Edit) {
	for _, x := range edits {
		if x.Op != Insertion {
			e.Words++
		}
		switch x.Op {
		case Substitution:
			e.Substitutions++
		case Deletion:
			e.Deletions++
		case Insertion:
			e.Insertions++
		}
	}
}

// Rate is the share of errors in the reference, which is above 1 where there is
// more wrong than said; it is 0 without a reference.
func (e Errors) Rate() float64 {
	if e.Words == 0 {
		return 0
	}
	return float64(e.Substitutions+e.Deletions+e.Insertions) / float64(e.Words)
}

// Letters are the characters of a text, for the rate of character errors; a
// space between words counts as one.
func Letters(text string) []string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return nil
	}
	return strings.Split(text, "")
}
