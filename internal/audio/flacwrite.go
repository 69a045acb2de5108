package audio

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// flacBlock is the number of samples in a frame.
const flacBlock = 4096

// flacWriter encodes FLAC through github.com/mewkiz/flac. The choice of
// predictors and Rice parameters is ours: the library's own takes 75 passes over
// the samples and has no parameters above 14, which 24-bit sound needs.
type flacWriter struct {
	enc      *flac.Encoder
	seeker   io.WriteSeeker // nil on a pipe
	format   Format
	rate     uint32 // as told in frame headers, 0 for "see the stream"
	pcm      [][]int32
	mid      []int32
	side     []int32
	residual []int32
}

// NewFLACWriter writes FLAC with Bits of 16 (the default) or 24 and up to 8
// channels. Where w can seek (to its own byte 0), Close puts the length and the
// MD5 sum into the header; elsewhere they stay unknown.
func NewFLACWriter(w io.Writer, f Format) (Writer, error) {
	if f.Bits == 0 {
		f.Bits = 16
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("FLAC: %w", err)
	}
	switch {
	case f.Float || f.Bits != 16 && f.Bits != 24:
		return nil, fmt.Errorf("FLAC of %d bits (float: %t) is not written here: use 16 or 24 bits", f.Bits, f.Float)
	case f.Channels > 8:
		return nil, fmt.Errorf("FLAC holds up to 8 channels, not %d: write WAV", f.Channels)
	case f.SampleRate > 655350:
		return nil, fmt.Errorf("FLAC holds up to 655350 Hz, not %d: write WAV", f.SampleRate)
	}
	fw := &flacWriter{format: f, pcm: make([][]int32, f.Channels)}
	switch r := uint32(f.SampleRate); {
	case r <= 48000, r == 88200, r == 96000, r == 176400, r == 192000:
		fw.rate = r
	}
	// The encoder would close w.
	out := io.Writer(struct{ io.Writer }{w})
	if ws, ok := w.(io.WriteSeeker); ok {
		if _, err := ws.Seek(0, io.SeekCurrent); err == nil {
			fw.seeker = ws
			out = struct{ io.WriteSeeker }{ws}
		}
	}
	var err error
	fw.enc, err = flac.NewEncoder(out, &meta.StreamInfo{
		BlockSizeMin: flacBlock, BlockSizeMax: flacBlock,
		SampleRate: uint32(f.SampleRate), NChannels: uint8(f.Channels), BitsPerSample: uint8(f.Bits),
	})
	if err != nil {
		return nil, err
	}
	fw.enc.EnablePredictionAnalysis(false)
	return fw, nil
}

func (w *flacWriter) Write(x []float32) error {
	ch := w.format.Channels
	for len(x) >= ch {
		n := min(len(x)/ch, flacBlock-len(w.pcm[0]))
		for c := range w.pcm {
			for i := c; i < n*ch; i += ch {
				w.pcm[c] = append(w.pcm[c], quantize(x[i], w.format.Bits))
			}
		}
		x = x[n*ch:]
		if len(w.pcm[0]) == flacBlock {
			if err := w.writeFrame(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *flacWriter) Close() error {
	if len(w.pcm[0]) > 0 {
		if err := w.writeFrame(); err != nil {
			return err
		}
	}
	if err := w.enc.Close(); err != nil || w.seeker == nil {
		return err
	}
	// The smallest and largest block do not count the last one (RFC 9639 section
	// 8.2), but the encoder did.
	const b = flacBlock
	_, err := w.seeker.Seek(8, io.SeekStart)
	if err == nil {
		_, err = w.seeker.Write([]byte{b >> 8, b & 0xff, b >> 8, b & 0xff})
	}
	_, errEnd := w.seeker.Seek(0, io.SeekEnd)
	return errors.Join(err, errEnd)
}

func (w *flacWriter) writeFrame() error {
	n := len(w.pcm[0])
	f := &frame.Frame{Header: frame.Header{
		HasFixedBlockSize: true,
		BlockSize:         uint16(n),
		SampleRate:        w.rate,
		Channels:          frame.Channels(w.format.Channels - 1),
		BitsPerSample:     uint8(w.format.Bits),
	}}
	// What the subframes will hold once the encoder has decorrelated them.
	coded := w.pcm
	width := make([]int, len(coded))
	for c := range width {
		width[c] = w.format.Bits
	}
	if len(coded) == 2 && w.preferMidSide() {
		f.Channels = frame.ChannelsMidSide
		coded = [][]int32{w.mid, w.side}
		width[1]++
	}
	for c, x := range coded {
		sub := w.analyze(x, width[c])
		sub.Samples, sub.NSamples = w.pcm[c], n
		f.Subframes = append(f.Subframes, sub)
	}
	err := w.enc.WriteFrame(f)
	for c := range w.pcm {
		w.pcm[c] = w.pcm[c][:0]
	}
	return err
}

// preferMidSide fills mid and side and tells whether they look smaller than
// left and right to a predictor of order 2.
func (w *flacWriter) preferMidSide() bool {
	l, r := w.pcm[0], w.pcm[1]
	w.mid, w.side = w.mid[:0], w.side[:0]
	for i := range l {
		w.mid = append(w.mid, (l[i]+r[i])>>1)
		w.side = append(w.side, l[i]-r[i])
	}
	cost := func(x []int32) (s uint64) {
		for i := 2; i < len(x); i++ {
			s += abs(x[i] - 2*x[i-1] + x[i-2])
		}
		return s
	}
	return cost(w.mid)+cost(w.side) < cost(l)+cost(r)
}

func abs(v int32) uint64 {
	return uint64(max(int64(v), -int64(v)))
}

// analyze picks the coding of a subframe: constant, one of the five fixed
// predictors with partitioned Rice codes, or plain where those are no smaller
// (RFC 9639 section 9.2).
func (w *flacWriter) analyze(x []int32, width int) *frame.Subframe {
	n := len(x)
	constant := true
	for _, v := range x {
		constant = constant && v == x[0]
	}
	if constant {
		return &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredConstant}}
	}
	// Differences of order k+1 are those of order k, differenced.
	res := append(w.residual[:0], x...)
	w.residual = res
	best, order := ^uint64(0), 0
	for k := 0; k <= 4 && k < n; k++ {
		var s uint64
		for i := n - 1; i >= k; i-- {
			if k > 0 {
				res[i] -= res[i-1]
			}
			s += abs(res[i])
		}
		if s < best {
			best, order = s, k
		}
	}
	copy(res, x)
	for k := 1; k <= order; k++ {
		for i := n - 1; i >= k; i-- {
			res[i] -= res[i-1]
		}
	}
	cost, rice := ricePartitions(res, order)
	if cost+order*width >= n*width {
		return &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}}
	}
	return &frame.Subframe{SubHeader: frame.SubHeader{
		Pred: frame.PredFixed, Order: order,
		ResidualCodingMethod: frame.ResidualCodingMethodRice2,
		RiceSubframe:         rice,
	}}
}

// ricePartitions splits the residuals res[order:] into the number of partitions
// that costs the fewest bits, each with its own Rice parameter.
func ricePartitions(res []int32, order int) (bestBits int, best *frame.RiceSubframe) {
	n := len(res)
	for po := 0; po <= 6 && n%(1<<po) == 0 && n>>po > order; po++ {
		r := &frame.RiceSubframe{PartOrder: po}
		total := 0
		for p := range 1 << po {
			lo, hi := max(order, p*(n>>po)), (p+1)*(n>>po)
			var sum uint64 // of the residuals folded to 0, -1, 1, -2, ...
			for _, v := range res[lo:hi] {
				sum += uint64(uint32(v<<1) ^ uint32(v>>31))
			}
			count := uint64(hi - lo)
			// The best parameter is near the logarithm of the mean.
			k := max(0, bits.Len64(sum/count)-1)
			cost := func(k int) int { return int(count)*(k+1) + int(sum>>k) }
			if cost(k+1) < cost(k) {
				k++
			}
			total += 5 + cost(min(k, 30))
			r.Partitions = append(r.Partitions, frame.RicePartition{Param: uint(min(k, 30))})
		}
		if best == nil || total < bestBits {
			bestBits, best = total, r
		}
	}
	return bestBits, best
}
