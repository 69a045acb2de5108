package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
	"github.com/sotto-audio/sotto/internal/transcript"
)

// ASRScore is the greedy error of one source in one setting.
type ASRScore struct {
	Source  string  `json:"source"`
	Chunk   int     `json:"chunk"`  // latents, 0 for all
	Levels  int     `json:"levels"` // of codes, 0 for latents
	WER     float64 `json:"wer"`
	CER     float64 `json:"cer"`
	Words   int     `json:"words"`
	Example string  `json:"example,omitempty"`
}

// Validate judges the average of weights on the utterances kept for it, with
// greedy decoding: whole, streaming, and from codes.
func (t *ASR) Validate() (scores []ASRScore, err error) {
	defer backend.Recover(&err)
	err = t.WithAverage(func() error {
		s := nn.NewStream(t.device, 1)
		for _, source := range slices.Sorted(maps.Keys(t.data.Valid)) {
			settings := [][2]int{{16, 0}, {0, 0}}
			if source == "an4" {
				settings = append(settings, [2]int{16, 6}, [2]int{16, 2})
			}
			for _, setting := range settings {
				score, err := t.judge(s, source, setting[0], setting[1])
				if err != nil {
					return err
				}
				scores = append(scores, score)
			}
		}
		return nil
	})
	return scores, err
}

func (t *ASR) judge(s *nn.Stream, source string, chunk, levels int) (ASRScore, error) {
	score := ASRScore{Source: source, Chunk: chunk, Levels: levels}
	all := slices.Clone(t.data.Valid[source])
	slices.SortFunc(all, func(a, b *Utterance) int { return a.Frames - b.Frames })
	var words, letters transcript.Errors
	for len(all) > 0 {
		n := min(8, len(all))
		var batch []item
		for _, u := range all[:n] {
			batch = append(batch, item{u})
		}
		all = all[n:]
		s.Begin()
		s.Batch = n
		s.Reset()
		s.Chunk = chunk
		x, rows, err := t.data.fill(s, batch, t.Network.Delay(), t.Config.Model.Inputs, func() int { return levels })
		if err != nil {
			return score, err
		}
		out := recognizer.Apply(s, t.Network, backend.Host(x, n*rows, t.Config.Model.Inputs), nil)
		s.Wait()
		for i, m := range batch {
			at := i * out.Rows / n
			got := recognizer.Text(greedy(out.Slice(at+t.Network.Delay(), at+s.Lengths[i])))
			got = strings.Join(strings.Fields(got), " ")
			want := m[0].Spelling
			words.Add(transcript.Align(strings.Fields(want), strings.Fields(got)))
			letters.Add(transcript.Align(transcript.Letters(want), transcript.Letters(got)))
			score.Words += len(strings.Fields(want))
			score.Example = fmt.Sprintf("%s: %s", want, got)
		}
	}
	score.WER, score.CER = words.Rate(), letters.Rate()
	return score, nil
}

// greedy gives the symbols of the best path.
func greedy(scores *backend.Tensor) (labels []int32) {
	last := int32(0)
	for r := range scores.Rows {
		best := int32(0)
		row := scores.Row(r)
		for k, v := range row {
			if v > row[best] {
				best = int32(k)
			}
		}
		if best != 0 && best != last {
			labels = append(labels, best)
		}
		last = best
	}
	return labels
}
