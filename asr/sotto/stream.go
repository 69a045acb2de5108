package sotto

import (
	"cmp"
	"slices"
	"time"

	"github.com/sotto-audio/sotto/asr"
	codecs "github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/ctc"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/recognizer"
)

// stream is what streams of samples and of tokens share: latents go in, and every
// chunk of them gives rows of log-probabilities to the decoder.
type stream struct {
	model   *Model
	latents *codecs.LatentStream
	net     *nn.Stream
	decoder *ctc.Decoder
	chunk   int // frames of a step

	pending   []float32 // latents that wait for a whole chunk
	rows      []float32
	frames    int // latents that have arrived
	stepped   int // latents that the network has seen
	skip      int // rows before the start of the signal, still to come
	tentative []asr.Word
}

// beamWithLM is the number of hypotheses that a language model chooses among.
const beamWithLM = 96

// LiveBeam is the number of hypotheses (asr.Options.Beam) for many live streams at once:
// with it two cores serve 32 in time, and a little less is heard.
const LiveBeam = 48

// opening is the certainty that an utterance begins with, in letters, where the
// weights do not say: music and noise give lone letters and doubtful words.
const opening = 0.95

// Fusion with a language model where the weights say nothing of it, and the
// logarithm that a word unknown to another model than the shipped one costs: such
// vocabularies leave out more.
const (
	lmWeight  = 0.7
	lmBonus   = 0.25
	lmLetter  = 1.1
	lmUnknown = -8.0
)

// decoder makes the search over rows.
func (m *Model) decoder(o asr.Options) (*ctc.Decoder, error) {
	c := ctc.Config{
		Symbols:       recognizer.Symbols,
		Period:        m.duration(1),
		BeginShift:    time.Duration(m.search.BeginShift) * time.Millisecond,
		EndShift:      time.Duration(m.search.EndShift) * time.Millisecond,
		Beam:          o.Beam,
		MinConfidence: m.search.MinConfidence,
		Opening:       cmp.Or(m.search.Opening, opening),
	}
	if o.Offline {
		c.Agreement, c.MaxDelay = 0.999, 5*time.Second
	}
	lm, err := m.language(o.LM)
	if err != nil {
		return nil, err
	}
	if lm != nil {
		c.LM, c.Weight, c.Bonus, c.Letter, c.Unknown = lm, m.search.LMWeight, m.search.LMBonus, m.search.LMLetter, m.search.LMUnknown
		if c.Weight == 0 {
			c.Weight, c.Bonus, c.Letter, c.Unknown = lmWeight, lmBonus, lmLetter, lmUnknown
		}
		if o.LM != "" {
			c.Unknown = lmUnknown
		}
	}
	if c.Beam == 0 {
		// More hypotheses gain nothing without a language model.
		c.Beam = 1
		if lm != nil {
			c.Beam = beamWithLM
		}
	}
	return ctc.NewDecoder(c)
}

// Reset makes the stream ready for a new input.
func (s *stream) Reset() {
	s.latents.Reset()
	s.net.Reset()
	s.decoder.Reset()
	s.pending, s.frames, s.stepped, s.tentative = s.pending[:0], 0, 0, nil
	s.skip = s.model.network.Delay()
}

// arrived takes the latents that were appended to pending.
func (s *stream) arrived() (asr.Update, error) {
	dim := s.model.network.Inputs
	u := asr.Update{Tentative: s.tentative}
	s.frames = s.stepped + len(s.pending)/dim
	used := 0
	for len(s.pending)-used >= s.chunk*dim {
		if err := s.step(&u, s.pending[used:used+s.chunk*dim]); err != nil {
			return u, err
		}
		used += s.chunk * dim
	}
	s.pending = s.pending[:copy(s.pending, s.pending[used:])]
	s.tentative = u.Tentative
	return u, nil
}

// step runs the network on latents that end a chunk, or the input.
func (s *stream) step(u *asr.Update, latents []float32) error {
	network := s.model.network
	s.net.Begin()
	x := s.net.Tensor(len(latents)/network.Inputs, network.Inputs)
	s.net.Upload(x, latents)
	s.stepped += x.Rows
	y := recognizer.Apply(s.net, network, x, nil)
	s.rows = slices.Grow(s.rows[:0], y.Rows*y.Cols)[:y.Rows*y.Cols]
	s.net.Download(s.rows, y)
	for r := range y.Rows {
		recognizer.LogSoftmax(s.rows[r*y.Cols : (r+1)*y.Cols])
	}
	drop := min(s.skip, y.Rows)
	s.skip -= drop
	now, err := s.decoder.Push(s.rows[drop*y.Cols:], s.model.duration(min(s.stepped, s.frames)))
	join(u, now)
	return err
}

// join appends an update to those before it.
func join(u *asr.Update, now asr.Update) {
	u.Committed = append(u.Committed, now.Committed...)
	u.Tentative = now.Tentative
	u.Endpoint = now.Endpoint || u.Endpoint && len(now.Committed) == 0 && len(now.Tentative) == 0
}

// flush ends the input with the zeros that the network's lookahead waits for.
func (s *stream) flush() (asr.Update, error) {
	dim, delay := s.model.network.Inputs, s.model.network.Delay()
	u, err := s.arrived()
	if err != nil {
		return u, err
	}
	end := (s.frames + delay + recognizer.Unit - 1) / recognizer.Unit * recognizer.Unit
	s.pending = append(s.pending, make([]float32, (end-s.frames)*dim)...)
	for len(s.pending) > 0 {
		n := min(s.chunk*dim, len(s.pending))
		if err := s.step(&u, s.pending[:n]); err != nil {
			return u, err
		}
		s.pending = s.pending[:copy(s.pending, s.pending[n:])]
	}
	join(&u, s.decoder.Flush(s.model.duration(s.frames)))
	s.tentative = nil
	return u, nil
}

// sampleStream is an asr.Stream.
type sampleStream struct{ stream }

// most is the number of samples that wait together, at most.
const most = 1 << 16

// Push takes samples.
func (s *sampleStream) Push(pcm []float32) (u asr.Update, err error) {
	defer backend.Recover(&err)
	u = asr.Update{Tentative: s.tentative}
	for len(pcm) > 0 {
		n := min(most, len(pcm))
		if s.pending, err = s.latents.Encode(s.pending, pcm[:n]); err != nil {
			return u, err
		}
		pcm = pcm[n:]
		now, err := s.arrived()
		join(&u, now)
		if err != nil {
			return u, err
		}
	}
	return u, nil
}

// Flush ends the input.
func (s *sampleStream) Flush() (_ asr.Update, err error) {
	defer backend.Recover(&err)
	if s.pending, err = s.latents.Flush(s.pending); err != nil {
		return asr.Update{}, err
	}
	return s.flush()
}

// tokenStream is an asr.TokenStream.
type tokenStream struct {
	stream
	codebooks int
}

// PushTokens takes frames.
func (s *tokenStream) PushTokens(codes []int32) (u asr.Update, err error) {
	defer backend.Recover(&err)
	if s.pending, err = s.latents.Decode(s.pending, codes, s.codebooks); err != nil {
		return asr.Update{Tentative: s.tentative}, err
	}
	return s.arrived()
}

// Flush ends the input.
func (s *tokenStream) Flush() (_ asr.Update, err error) {
	defer backend.Recover(&err)
	return s.flush()
}
