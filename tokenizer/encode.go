package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
	"github.com/sotto-audio/sotto/internal/backend"
)

// batchEncoder is what a codec has that encodes several signals side by side,
// each to the tokens that it would get alone.
type batchEncoder interface {
	EncodeBatch(ctx context.Context, pcm [][]float32, codebooks int) ([]*codec.Tokens, error)
}

// wideModel is a codec on a device that many signals keep busy.
type wideModel interface {
	Wide() bool // it is one
}

// bounds are those of what is encoded at once.
type bounds struct {
	size int // utterances
	// Sound in a batch, in seconds: what keeps the kernels busy. More only leaves
	// the caches of a processor.
	seconds float64
}

// boundsOf gives those for a model.
func boundsOf(model codec.Codec) bounds {
	if w, ok := model.(wideModel); ok && w.Wide() {
		return bounds{64, 240}
	}
	return bounds{8, 3}
}

const (
	longest = 60.0 // seconds: what is longer is encoded piece by piece
	// An utterance joins a batch whose longest it reaches to this share, so that
	// less than half of the rest is padding.
	batchShare = 0.92
)

// encoder turns items into sequences.
type encoder struct {
	model      codec.Codec
	info       codec.Info
	books      int
	vocabulary *Vocabulary
	trim       bool
}

// job is an item on its way.
type job struct {
	item      *Item
	utterance *Utterance
	tokens    *codec.Tokens
	pcm       []float32 // at the model's rate, of short sound
	err       error     // why the item has no sequence
	dropped   float64   // seconds that were trimmed
	batched   int64     // frames that the model computed for it in a batch
}

// encode works on several items of about one length. Failures of items are in
// the jobs; the error is that of ctx or the model.
func (e *encoder) encode(ctx context.Context, jobs []*job) error {
	for _, j := range jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if j.err = e.load(ctx, j); errors.Is(j.err, context.Canceled) || backend.Failed(j.err) {
			return j.err
		}
	}
	waiting := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.err != nil || j.tokens != nil })
	slices.SortStableFunc(waiting, func(a, b *job) int { return len(b.pcm) - len(a.pcm) })
	for len(waiting) > 0 {
		n, most := 1, len(waiting[0].pcm)
		for n < len(waiting) && float64(len(waiting[n].pcm)) >= batchShare*float64(most) && (n+1)*most <= int(boundsOf(e.model).seconds*float64(e.info.SampleRate)) {
			n++
		}
		if err := e.batch(ctx, waiting[:n]); err != nil {
			return err
		}
		waiting = waiting[n:]
	}
	for _, j := range jobs {
		if j.err == nil {
			j.utterance.Sequence, j.err = e.vocabulary.Arrange(j.tokens)
		}
	}
	return nil
}

// batch encodes loaded sound.
func (e *encoder) batch(ctx context.Context, jobs []*job) error {
	b, ok := e.model.(batchEncoder)
	if !ok || len(jobs) == 1 {
		for _, j := range jobs {
			var err error
			if j.tokens, err = e.model.Encode(ctx, j.pcm, e.books); err != nil {
				if ctx.Err() != nil || backend.Failed(err) {
					return err
				}
				j.err = err // models may refuse a length
				continue
			}
			j.pcm, j.batched = nil, int64(j.tokens.Frames)
		}
		return nil
	}
	pcm := make([][]float32, len(jobs))
	for i, j := range jobs {
		pcm[i] = j.pcm
	}
	tokens, err := b.EncodeBatch(ctx, pcm, e.books)
	if err != nil {
		return err
	}
	for i, j := range jobs {
		j.tokens, j.pcm, j.batched = tokens[i], nil, int64(tokens[0].Frames)
	}
	return nil
}

// load reads the sound of an item, or its tokens where it is a .sotto file. Long
// sound is encoded here, piece by piece.
func (e *encoder) load(ctx context.Context, j *job) (err error) {
	defer func() {
		if r := recover(); r != nil { // in a decoder: one file must not end a corpus
			err = fmt.Errorf("%s: cannot be decoded: %v", j.item.Path, r)
		}
	}()
	i := j.item
	if i.Broken != "" {
		return errors.New(i.Broken)
	}
	j.utterance = &Utterance{ID: i.ID, Text: i.Text, Speaker: i.Speaker, Language: i.Language}
	s, err := openSound(i)
	if err != nil && isSotto(i) {
		return e.loadTokens(j)
	}
	if err != nil {
		return err
	}
	defer func() { s.Close() }()
	if e.trim {
		from, to, total, err := e.active(ctx, s)
		if err != nil {
			return err
		}
		again, err := openSound(i)
		if err != nil {
			return err
		}
		s.Close()
		s = again
		s.limit(from, to)
		j.dropped = float64(total-(min(to, total)-from)) / float64(s.rate)
	}
	j.utterance.SampleRate = s.rate
	most := int(longest * float64(s.rate))
	pcm := make([]float32, 0, min(int64(most), max(0, s.Frames()))+int64(s.rate))
	for len(pcm) <= most {
		if pcm, err = s.append(pcm); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if len(pcm) == 0 {
		if s.part {
			return fmt.Errorf("%s: ends before the part that begins at %g s", i.Path, i.Start)
		}
		return fmt.Errorf("%s: holds no sound", i.Path)
	}
	var resampler *audio.Resampler
	if s.rate != e.info.SampleRate {
		resampler = audio.NewResampler(s.rate, e.info.SampleRate, 1)
	}
	j.utterance.Samples = int64(len(pcm))
	if err != io.EOF {
		return e.stream(ctx, j, s, pcm, resampler)
	}
	if resampler != nil {
		pcm = resampler.Flush(resampler.Process(nil, pcm))
	}
	j.pcm = pcm
	return nil
}

// stream encodes long sound, which begins with pcm, in constant memory.
func (e *encoder) stream(ctx context.Context, j *job, s *sound, pcm []float32, resampler *audio.Resampler) error {
	enc, err := e.model.NewEncoder(e.books)
	if err != nil {
		return err
	}
	t := &codec.Tokens{Codebooks: enc.Codebooks()}
	var resampled []float32
	for end := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		x := pcm
		if resampler != nil {
			resampled = resampler.Process(resampled[:0], pcm)
			if end {
				resampled = resampler.Flush(resampled)
			}
			x = resampled
		}
		if t.Codes, err = enc.Encode(t.Codes, x); err != nil {
			return err
		}
		if end {
			break
		}
		pcm, err = s.append(pcm[:0])
		j.utterance.Samples += int64(len(pcm))
		if end = err == io.EOF; err != nil && !end {
			return err
		}
	}
	if t.Codes, err = enc.Flush(t.Codes); err != nil {
		return err
	}
	t.Frames = len(t.Codes) / t.Codebooks
	j.tokens, j.batched = t, int64(t.Frames)
	return nil
}

// active gives the samples between which a sound is no silence, and their number.
func (e *encoder) active(ctx context.Context, s *sound) (from, to, total int64, err error) {
	a := newActivity(s.rate)
	var pcm []float32
	for err != io.EOF {
		if err := ctx.Err(); err != nil {
			return 0, 0, 0, err
		}
		if pcm, err = s.append(pcm[:0]); err != nil && err != io.EOF {
			return 0, 0, 0, err
		}
		a.add(pcm)
		total += int64(len(pcm))
	}
	from, to, ok := a.span()
	if !ok && total > 0 {
		return 0, 0, 0, errors.New("holds silence only")
	}
	return from, to, total, nil
}

// isSotto tells by its first bytes whether an item is a .sotto file.
func isSotto(i *Item) bool {
	f, err := os.Open(i.Path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 6)
	_, err = f.ReadAt(head, i.Offset)
	return err == nil && bytes.Equal(head, []byte("\x89SOTTO"))
}

// loadTokens reads a .sotto file.
func (e *encoder) loadTokens(j *job) error {
	i := j.item
	f, err := os.Open(i.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	var src io.Reader = f
	if i.Size > 0 {
		src = io.NewSectionReader(f, i.Offset, i.Size)
	}
	r, err := codec.NewReader(src)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Path, err)
	}
	h := r.Header()
	channel := max(i.Channel, 0)
	books := len(h.CodebookSizes)
	switch err := h.CheckWeights(e.info); {
	case err != nil:
		return fmt.Errorf("%s: %w", i.Path, err)
	case i.Channel < 0 && h.Channels > 1:
		return fmt.Errorf("%s: has the tokens of %d channels: name one in a manifest", i.Path, h.Channels)
	case channel >= h.Channels:
		return fmt.Errorf("%s: has %d channels: there is no channel %d", i.Path, h.Channels, channel)
	case books < e.books:
		return fmt.Errorf("%s: has frames of %d codes, not %d: encode it again, or give a lower --bitrate", i.Path, books, e.books)
	case i.Start > 0 || i.Duration > 0:
		return fmt.Errorf("%s: parts of .sotto files are not read: decode it first", i.Path)
	}
	t := &codec.Tokens{Codebooks: e.books}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", i.Path, err)
		}
		if p.Lost {
			return fmt.Errorf("%s: %w", i.Path, errors.Join(r.Damage()...))
		}
		for at := 0; at < p.Frames*books; at += books {
			t.Codes = append(t.Codes, p.Codes[channel][at:at+e.books]...)
		}
		t.Frames += p.Frames
	}
	if damage := r.Damage(); len(damage) > 0 {
		return fmt.Errorf("%s: %w", i.Path, errors.Join(damage...))
	}
	if t.Frames == 0 {
		return fmt.Errorf("%s: holds no sound", i.Path)
	}
	j.tokens = t
	j.utterance.Samples, j.utterance.SampleRate = r.Samples(), h.SampleRate
	return nil
}
