package tokenizer

import (
	"bytes"

	"github.com/sotto-audio/sotto/codec"
)

// Container gives an utterance as the .sotto file of one channel that encoding its
// sound would have given, so that it is decoded in the same way: to as many
// samples at the same rate. Where these are not known it has whole frames at the
// model's rate.
func (v *Vocabulary) Container(u *Utterance, model codec.Info) (*codec.Reader, error) {
	if err := v.CheckModel(model); err != nil {
		return nil, err
	}
	t, err := v.Restore(u.Sequence)
	if err != nil {
		return nil, err
	}
	rate, samples := u.SampleRate, u.Samples
	if samples < 0 || rate < 1 {
		rate, samples = v.SampleRate, int64(t.Frames)*int64(v.HopLength)
	}
	var file bytes.Buffer
	w, err := codec.NewWriter(&file, codec.Header{
		Model: model.Name, Fingerprint: model.Fingerprint, ModelRate: v.SampleRate, HopLength: v.HopLength,
		SampleRate: rate, Channels: 1, Samples: samples, CodebookSizes: v.Sizes,
	})
	if err != nil {
		return nil, err
	}
	if err := w.WriteFrames([][]int32{t.Codes}); err != nil {
		return nil, err
	}
	if err := w.Close(samples); err != nil {
		return nil, err
	}
	return codec.NewReader(&file)
}
