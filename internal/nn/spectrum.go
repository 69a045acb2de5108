package nn

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
)

// STFT turns samples into spectra without lookahead: a row of RowHop samples
// gives the RowHop/Hop frames that end in it, each the windowed last Size
// samples, as (re, im) of Size/2+1 bins. [N, RowHop] → [N, RowHop/Hop·(Size+2)].
type STFT struct {
	Size, Hop, RowHop int
	Window            []float32

	fft *dsp.RealFFT
}

// NewSTFT plans a transform; Size must suit dsp.NewRealFFT.
func NewSTFT(size, hop, rowHop int, window []float32) (*STFT, error) {
	f, err := dsp.NewRealFFT(size)
	return &STFT{Size: size, Hop: hop, RowHop: rowHop, Window: window, fft: f}, err
}

// Params is empty.
func (*STFT) Params() []*Param { return nil }

// Step transforms the rows of each item after its own history.
func (l *STFT) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	perRow := l.RowHop / l.Hop
	bins := l.fft.Bins()
	y := s.Tensor(x.Rows, perRow*2*bins)
	if x.Rows == 0 {
		return y
	}
	steps := x.Rows / s.Batch
	past := l.Size - l.Hop
	history := s.State(l, 1, past).History
	joined := s.Tensor(1, past+steps*l.RowHop).Data
	frame := s.Tensor(3, l.Size)
	s.Wait()
	windowed, re, im := frame.Row(0), frame.Row(1)[:bins], frame.Row(2)[:bins]
	for i := range s.Batch {
		copy(joined, history.Row(s.item(i)))
		copy(joined[past:], x.Slice(i*steps, (i+1)*steps).Data)
		frames := steps * perRow
		done := 0
		if frames >= fewFrames {
			done = frames
			l.all(s, y.Data[i*frames*2*bins:], joined, frames)
		}
		for t := done; t < frames; t++ {
			for k, w := range l.Window {
				windowed[k] = w * joined[t*l.Hop+k]
			}
			l.fft.Forward(re, im, windowed)
			out := y.Row(i*steps + t/perRow)[t%perRow*2*bins:]
			for k := range bins {
				out[2*k], out[2*k+1] = re[k], im[k]
			}
		}
		copy(history.Row(s.item(i)), joined[steps*l.RowHop:])
	}
	return y
}

// fewFrames is the number of frames from which transforming many at once is
// faster than one by one.
const fewFrames = 4

// all transforms frames that follow each other in x; y holds a frame's pairs
// after the other's.
func (l *STFT) all(s *Stream, y, x []float32, frames int) {
	if frames < many {
		l.some(y, x, 0, frames)
		return
	}
	s.Each(frames, dsp.Width, costSample*float64(l.Size), func(lo, hi int) { l.some(y, x, lo, hi) })
}

// costSample is that of a sample of a frame in a transform, in nanoseconds.
const costSample = 0.8

// some transforms the frames lo to hi.
func (l *STFT) some(y, x []float32, lo, hi int) {
	width := 2 * l.fft.Bins()
	lanes := l.fft.TakeLanes()
	defer lanes.Release()
	for t := lo; t < hi; t += dsp.Width {
		n := min(dsp.Width, hi-t)
		re, im := lanes.Forward(x[t*l.Hop:], l.Hop, n, l.Window)
		lanes.Scatter(y[t*width:], width, lanes.Pairs(re, im), width, n)
	}
}

// ISTFT turns spectra into samples: each row (re, im) of Size/2+1 bins is
// transformed back, windowed and added to the tails of the rows before it, the
// oldest first; the Hop samples that no later row reaches come out. Row t of the
// output is therefore the signal Size/Hop − 1 rows earlier. [N, Size+2] → [N, Hop].
type ISTFT struct {
	Size, Hop int
	// Window holds the synthesis window divided by the steady sum of its
	// overlaps, so that the start is scaled as if silence came before.
	Window []float32

	fft *dsp.RealFFT
}

// NewISTFT plans a transform; Size must be a multiple of hop that suits
// dsp.NewRealFFT.
func NewISTFT(size, hop int, window []float32) (*ISTFT, error) {
	f, err := dsp.NewRealFFT(size)
	return &ISTFT{Size: size, Hop: hop, Window: window, fft: f}, err
}

// Params is empty.
func (*ISTFT) Params() []*Param { return nil }

// Delay is the number of rows by which the output trails the input.
func (l *ISTFT) Delay() int { return l.Size/l.Hop - 1 }

// Step overlap-adds the rows of each item onto its own tail.
func (l *ISTFT) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, l.Hop)
	if x.Rows == 0 {
		return y
	}
	steps := x.Rows / s.Batch
	keep := l.Size - l.Hop
	history := s.State(l, 1, keep).History
	waves, bins := s.Tensor(x.Rows, l.Size), s.Tensor(2, l.Size)
	s.Wait()
	if x.Rows < many {
		l.waves(waves, bins, x, 0, x.Rows)
	} else {
		s.Each(x.Rows, dsp.Width, costSample*float64(l.Size), func(lo, hi int) { l.waves(waves, nil, x, lo, hi) })
	}
	for i := range s.Batch {
		tail := history.Row(i)
		for t := range steps {
			wave := waves.Row(i*steps + t)
			for k, v := range tail {
				wave[k] = v + wave[k]
			}
			copy(y.Row(i*steps+t), wave)
			copy(tail, wave[l.Hop:])
		}
	}
	return y
}

// waves sets the rows lo to hi to the windowed samples of spectra; bins is memory
// for one, used where the rows are few.
func (l *ISTFT) waves(y, bins, x *backend.Tensor, lo, hi int) {
	if hi-lo >= fewFrames || bins == nil {
		lanes := l.fft.TakeLanes()
		defer lanes.Release()
		for t := lo; t < hi; t += dsp.Width {
			n := min(dsp.Width, hi-t)
			re, im := lanes.FromPairs(x.Data[t*x.Stride:], x.Stride, n)
			lanes.Scatter(y.Data[t*y.Stride:], y.Stride, lanes.Inverse(re, im, l.Window), l.Size, n)
		}
		return
	}
	re, im := bins.Row(0), bins.Row(1)
	for t := lo; t < hi; t++ {
		l.unpack(re, im, x.Row(t))
		wave := y.Row(t)
		l.fft.Inverse(wave, re, im)
		for k, w := range l.Window {
			wave[k] *= w
		}
	}
}

// Backward gathers the gradient of each row from the samples that it reached.
func (l *ISTFT) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	if x.Rows == 0 {
		return s.Tensor(0, x.Cols)
	}
	dx := s.Tensor(x.Rows, x.Cols)
	steps := x.Rows / s.Batch
	samples := s.Tensor(1, (steps-1)*l.Hop+l.Size).Data
	lanes := l.fft.TakeLanes()
	defer lanes.Release()
	s.Wait()
	for i := range s.Batch {
		clear(samples[copy(samples, dy.Slice(i*steps, (i+1)*steps).Data):])
		for t := 0; t < steps; t += dsp.Width {
			n := min(dsp.Width, steps-t)
			re, im := lanes.AdjointInverse(samples[t*l.Hop:], l.Hop, n, l.Window)
			lanes.Scatter(dx.Data[(i*steps+t)*dx.Stride:], dx.Stride, lanes.Pairs(re, im), dx.Cols, n)
		}
	}
	return dx
}

func (l *ISTFT) unpack(re, im, pairs []float32) {
	for k := range l.fft.Bins() {
		re[k], im[k] = pairs[2*k], pairs[2*k+1]
	}
}

// SpectralFeatures turns Frames spectra a row into what a network reads: every
// bin S = (re, im) as S·(|S|²+Eps)^(−3/8), close to magnitude |S|^¼ with its
// phase, then for every frame its mel bands as 5·(m^⅛ − 0.62), close to a
// logarithm. Speech spans 60 dB; the layers after this should not. Square roots
// and division only, so every machine agrees.
// [N, Frames·2·bins] → [N, Frames·(2·bins + bands)].
type SpectralFeatures struct {
	Frames, Bins int
	Eps          float32
	Mel          []dsp.MelFilter // none leaves the bands out
}

// Params is empty.
func (*SpectralFeatures) Params() []*Param { return nil }

// Step computes the features of each row.
func (f *SpectralFeatures) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, f.Frames*(2*f.Bins+len(f.Mel)))
	m := s.Tensor(x.Rows, x.Cols)
	// Before this is a transform and after it come bands, both on the processor.
	backend.OnHost(s.Backend).CompressPairs(s.Columns(y, x.Cols), m, x, f.Eps)
	if x.Rows < many {
		f.bands(y, m, 0, x.Rows)
	} else {
		s.Each(x.Rows, 1, float64(m.Cols), func(lo, hi int) { f.bands(y, m, lo, hi) })
	}
	return y
}

// bands sets the mel bands in the rows lo to hi of y from magnitudes m, each of
// which is there twice.
func (f *SpectralFeatures) bands(y, m *backend.Tensor, lo, hi int) {
	bands := len(f.Mel)
	for t := lo; t < hi; t++ {
		out, row := y.Row(t)[m.Cols:], m.Row(t)
		frame := 0
		for ; frame+2 <= f.Frames; frame += 2 { // two sums wait less than one
			p, q := row[2*f.Bins*frame:][:2*f.Bins], row[2*f.Bins*(frame+1):][:2*f.Bins]
			for b, filter := range f.Mel {
				var s, u float32
				at := 2 * filter.First
				for _, w := range filter.Weights {
					s += float32(w * p[at])
					u += float32(w * q[at])
					at += 2
				}
				out[frame*bands+b], out[(frame+1)*bands+b] = band(s), band(u)
			}
		}
		if frame < f.Frames {
			p := row[2*f.Bins*frame:]
			for b, filter := range f.Mel {
				var s float32
				for k, w := range filter.Weights {
					s += float32(w * p[2*(filter.First+k)])
				}
				out[frame*bands+b] = band(s)
			}
		}
	}
}

// band compresses a sum of magnitudes.
func band(m float32) float32 { return 5 * (sqrt(sqrt(sqrt(m))) - 0.62) }

// Expand scales each complex number c = (re, im) to c·(|c|²+Eps), the inverse of
// a compression to the cube root, with a slope at zero.
type Expand struct{ Eps float32 }

// Params is empty.
func (Expand) Params() []*Param { return nil }

// Step expands the pairs of each row.
func (e Expand) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.ExpandPairs(y, x, e.Eps)
	return y
}

// Backward gives (|c|²+Eps)·dy + 2·c·(c·dy).
func (e Expand) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	s.Wait()
	for t := range x.Rows {
		in, g, out := x.Row(t), dy.Row(t), dx.Row(t)
		for k := 0; k < len(in); k += 2 {
			re, im := in[k], in[k+1]
			p := float32(re*re) + float32(im*im) + e.Eps
			d := 2 * (float32(re*g[k]) + float32(im*g[k+1]))
			out[k], out[k+1] = float32(p*g[k])+float32(re*d), float32(p*g[k+1])+float32(im*d)
		}
	}
	return dx
}

// sqrt is the IEEE float32 square root: rounding the double one again is exact.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
