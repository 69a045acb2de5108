package tokenizer

import (
	"math"
)

// Failure is an item that has no tokens.
type Failure struct {
	Path   string `json:"path"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// PartReport says what became of a part. Its file marks the part as done.
type PartReport struct {
	Shard      int       `json:"shard"`
	Part       int       `json:"part"`
	Items      int       `json:"items"`  // of the inputs
	Inputs     string    `json:"inputs"` // a hash over them
	Utterances int       `json:"utterances"`
	Seconds    float64   `json:"seconds"` // of sound in the data set
	Trimmed    float64   `json:"trimmed"` // seconds that were cut off
	Frames     int64     `json:"frames"`
	Batched    int64     `json:"batched"` // frames that the model computed, padding included
	Useful     int64     `json:"useful"`  // of those, frames of utterances
	IDs        int64     `json:"ids"`
	Counts     [][]int64 `json:"counts"` // [codebook][code]
	Failed     []Failure `json:"failed"`
}

// partReport begins to count.
func (v *Vocabulary) partReport() *PartReport {
	p := &PartReport{Failed: []Failure{}}
	for _, size := range v.Sizes {
		p.Counts = append(p.Counts, make([]int64, size))
	}
	return p
}

// count counts an utterance in.
func (p *PartReport) count(j *job) {
	u, t := j.utterance, j.tokens
	p.Utterances++
	p.Seconds += u.Seconds()
	p.Trimmed += j.dropped
	p.Frames += int64(t.Frames)
	p.IDs += int64(len(u.Sequence.IDs))
	if j.batched > 0 {
		p.Batched += j.batched
		p.Useful += int64(t.Frames)
	}
	for i, code := range t.Codes {
		p.Counts[i%t.Codebooks][code]++
	}
}

// Report says what is in a data set.
type Report struct {
	Model       string        `json:"model"`
	Fingerprint string        `json:"fingerprint"`
	Format      Format        `json:"format"`
	Layout      Layout        `json:"layout"`
	Shards      int           `json:"shards"`
	Utterances  int           `json:"utterances"`
	Failed      int           `json:"failed"`
	Hours       float64       `json:"hours"`
	Trimmed     float64       `json:"trimmed_hours"`
	Frames      int64         `json:"frames"`
	Tokens      int64         `json:"tokens"`            // ids of all sequences
	PerSecond   float64       `json:"tokens_per_second"` // of sound
	Padding     float64       `json:"padding"`           // share of what the model computed that was padding
	Codebooks   []CodebookUse `json:"codebooks"`

	seconds, trimmed float64
	batched, useful  int64
	counts           [][]int64
}

// CodebookUse says how the codes of one codebook are used.
type CodebookUse struct {
	Size    int     `json:"size"`
	Use     float64 `json:"use"`     // share of the codes that occur
	Entropy float64 `json:"entropy"` // bits of a code, of its distribution alone
}

// add counts a part in.
func (r *Report) add(p *PartReport) {
	r.Utterances += p.Utterances
	r.Failed += len(p.Failed)
	r.Frames += p.Frames
	r.Tokens += p.IDs
	r.seconds += p.Seconds
	r.trimmed += p.Trimmed
	r.batched += p.Batched
	r.useful += p.Useful
	if r.counts == nil {
		r.counts = make([][]int64, len(p.Counts))
	}
	for c, counts := range p.Counts[:min(len(p.Counts), len(r.counts))] {
		if len(r.counts[c]) < len(counts) {
			r.counts[c] = append(r.counts[c], make([]int64, len(counts)-len(r.counts[c]))...)
		}
		for code, n := range counts {
			r.counts[c][code] += n
		}
	}
}

// finish derives what is told of the sums.
func (r *Report) finish() {
	r.Hours, r.Trimmed = r.seconds/3600, r.trimmed/3600
	if r.seconds > 0 {
		r.PerSecond = float64(r.Tokens) / r.seconds
	}
	if r.batched > 0 {
		r.Padding = 1 - float64(r.useful)/float64(r.batched)
	}
	r.Codebooks = nil
	for _, counts := range r.counts {
		u := CodebookUse{Size: len(counts)}
		total := 0.0
		for _, n := range counts {
			total += float64(n)
		}
		for _, n := range counts {
			if n > 0 {
				p := float64(n) / total
				u.Use += 1 / float64(len(counts))
				u.Entropy -= float64(p * math.Log2(p))
			}
		}
		r.Codebooks = append(r.Codebooks, u)
	}
}
