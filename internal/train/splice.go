package train

import (
	"math"
	"math/rand/v2"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// space is the label between words.
const space = 1

// Peaks of CTC come late: words begin and end so many latents before those of their
// first and last letter (measured on synthesised speech with known times).
const (
	beginsBefore = 4
	endsBefore   = 1
)

// splicer makes utterances of phrases of others of the same speaker, cut where the
// network being trained aligns them (Lam et al. 2021, aligned data augmentation): who
// hears few sentences of a voice would learn them by heart.
type splicer struct {
	network *recognizer.Network
	data    *Transcripts
	stream  *nn.Stream
	voices  map[string][]*Utterance // by source and speaker
	cuts    map[*Utterance][]int    // frames where words part, the ends among them
}

func newSplicer(network *recognizer.Network, data *Transcripts, device backend.Backend) *splicer {
	s := &splicer{network: network, data: data, stream: nn.NewStream(device, 1), cuts: map[*Utterance][]int{}}
	s.gather()
	return s
}

// gather lists the utterances of each voice.
func (s *splicer) gather() {
	s.voices = map[string][]*Utterance{}
	for _, all := range s.data.Train {
		for _, u := range all {
			s.voices[u.Source+"/"+u.Speaker] = append(s.voices[u.Source+"/"+u.Speaker], u)
		}
	}
}

// make gives phrases of two to five words that are about as long together as u, one
// of u's own among them.
func (s *splicer) make(u *Utterance, rng *rand.Rand) (item, error) {
	voice := s.voices[u.Source+"/"+u.Speaker]
	var m item
	for from := u; m.frames() < u.Frames*3/4; from = voice[rng.IntN(len(voice))] {
		cuts, err := s.cut(from)
		if err != nil {
			return nil, err
		}
		words := len(cuts) - 1
		n := min(2+rng.IntN(4), words)
		first := rng.IntN(words - n + 1)
		m = append(m, from.phrase(first, first+n, cuts, s.data.codec.LatentDim()))
	}
	rng.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
	return m, nil
}

// phrase is what an utterance says in the words from first up to end.
func (u *Utterance) phrase(first, end int, cuts []int, dim int) *Utterance {
	from, to, word := 0, len(u.Labels), 0
	for i, l := range u.Labels {
		if l != space {
			continue
		}
		word++
		if word == first {
			from = i + 1
		}
		if word == end && end < len(cuts)-1 {
			to = i
		}
	}
	p := *u
	p.Labels = u.Labels[from:to]
	p.Frames = cuts[end] - cuts[first]
	books := len(u.Codes) / u.Frames
	p.Latents = u.Latents[cuts[first]*dim : cuts[end]*dim]
	p.Codes = u.Codes[cuts[first]*books : cuts[end]*books]
	return &p
}

// cut aligns an utterance, once.
func (s *splicer) cut(u *Utterance) ([]int, error) {
	if c := s.cuts[u]; c != nil {
		return c, nil
	}
	s.stream.Begin()
	s.stream.Batch = 1
	s.stream.Reset()
	s.stream.Chunk = 0
	delay, dim := s.network.Delay(), s.network.Inputs
	x, rows, err := s.data.fill(s.stream, []item{{u}}, delay, dim, func() int { return 0 })
	if err != nil {
		return nil, err
	}
	scores := recognizer.Apply(s.stream, s.network, backend.Host(x, rows, dim), nil).Slice(delay, delay+u.Frames)
	s.stream.Wait()
	cuts := []int{0}
	peaks := align(scores, u.Labels)
	for i, l := range u.Labels {
		if l != space || peaks == nil || i == 0 || i == len(u.Labels)-1 {
			continue
		}
		at := (peaks[i-1] - endsBefore + peaks[i+1] - beginsBefore + 1) / 2
		cuts = append(cuts, max(at, cuts[len(cuts)-1]+1))
	}
	if peaks == nil || cuts[len(cuts)-1] >= u.Frames {
		cuts = cuts[:1]
	}
	s.cuts[u] = append(cuts, u.Frames)
	return s.cuts[u], nil
}

// align gives the row of each label on the likeliest path of CTC that spells them
// (Viterbi), or nil where the rows are too few. Scores are not normalised: that changes all
// paths alike.
func align(scores *backend.Tensor, labels []int32) []int {
	states := 2*len(labels) + 1
	symbol := func(s int) int32 {
		if s%2 == 0 {
			return 0
		}
		return labels[s/2]
	}
	impossible := math.Inf(-1)
	last, now := make([]float64, states), make([]float64, states)
	for s := range last {
		last[s] = impossible
	}
	last[0] = 0
	steps := make([]uint8, scores.Rows*states)
	for t := range scores.Rows {
		row := scores.Row(t)
		for s := range states {
			best, step := last[s], uint8(0)
			if s > 0 && last[s-1] > best {
				best, step = last[s-1], 1
			}
			if s > 1 && s%2 == 1 && symbol(s) != symbol(s-2) && last[s-2] > best {
				best, step = last[s-2], 2
			}
			now[s], steps[t*states+s] = best+float64(row[symbol(s)]), step
		}
		last, now = now, last
	}
	s := states - 1
	if s > 0 && last[s-1] > last[s] {
		s--
	}
	if last[s] == impossible {
		return nil
	}
	at := make([]int, len(labels))
	for t := scores.Rows - 1; t >= 0; t-- {
		if s%2 == 1 {
			at[s/2] = t
		}
		s -= int(steps[t*states+s])
	}
	return at
}
