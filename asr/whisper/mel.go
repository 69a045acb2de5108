package whisper

import "github.com/sotto-audio/sotto/internal/dsp"

// Sizes of the front end, those of every model. SampleRate is in Hz.
const (
	SampleRate    = 16000
	hop           = 160 // samples from one mel frame to the next
	window        = 400 // samples of a mel frame
	half          = window / 2
	framesPerStep = 2 // mel frames of a position of the encoder
	stepSamples   = hop * framesPerStep
	floorBels     = 8 // below the loudest band, what is quieter counts as this
)

// melBands computes log-mel frames: band m of frame t is log10 of the power, at
// least 1e-10, of the samples within 200 of sample 160·t, under a periodic Hann
// window, in triangular bands after Slaney.
type melBands struct {
	bands   int
	fft     *dsp.RealFFT
	window  []float32
	filters []dsp.MelFilter
}

func newMelBands(bands int) *melBands {
	fft, err := dsp.NewRealFFT(window)
	if err != nil {
		panic(err) // 400 is a size that it has
	}
	return &melBands{bands, fft, dsp.Hann(window), slaneyFilters(bands)}
}

// frames appends frames of x: frame i is that of the 400 samples from 160·i on.
func (m *melBands) frames(to, x []float32, count int) []float32 {
	re, im := make([]float32, m.fft.Bins()), make([]float32, m.fft.Bins())
	windowed := make([]float32, window)
	for i := range count {
		for k, w := range m.window {
			windowed[k] = w * x[i*hop+k]
		}
		m.fft.Forward(re, im, windowed)
		for k := range re {
			re[k] = float32(re[k]*re[k]) + float32(im[k]*im[k])
		}
		for _, f := range m.filters {
			var sum float32
			for k, w := range f.Weights {
				sum += float32(w * re[f.First+k])
			}
			to = append(to, float32(dsp.Log10(float64(max(sum, 1e-10)))))
		}
	}
	return to
}

// slaneyFilters gives triangular filters from 0 to 8000 Hz whose corners are
// evenly spaced on the scale of the Auditory Toolbox (Slaney 1998): linear below
// 1000 Hz, 15 to 1000 Hz, then logarithmic, 27 to a factor of 6.4. Each has the
// area of 1 Hz·2/(width of its band in Hz).
func slaneyFilters(bands int) []dsp.MelFilter {
	const knee, perHz, ratio = 1000.0, 200.0 / 3, 6.4
	step := dsp.Log(ratio) / 27
	top := knee/perHz + dsp.Log(SampleRate/2/knee)/step
	corner := make([]float64, bands+2)
	for i := range corner {
		mel := float64(top*float64(i)) / float64(bands+1)
		if mel < knee/perHz {
			corner[i] = perHz * mel
		} else {
			corner[i] = knee * dsp.Exp(float64(step*(mel-knee/perHz)))
		}
	}
	filters := make([]dsp.MelFilter, bands)
	for b := range filters {
		lo, mid, hi := corner[b], corner[b+1], corner[b+2]
		for k := range half + 1 {
			hz := float64(k) * SampleRate / window
			w := min((hz-lo)/(mid-lo), (hi-hz)/(hi-mid))
			if w <= 0 {
				continue
			}
			if filters[b].Weights == nil {
				filters[b].First = k
			}
			filters[b].Weights = append(filters[b].Weights, float32(float64(w*2)/(hi-lo)))
		}
	}
	return filters
}

// normalise limits a value to 8 bels below the loudest, then brings it to about −1
// to 1.
func normalise(v, top float32) float32 { return (max(v, top-floorBels) + 4) / 4 }

// melStream computes frames while samples arrive. The start is mirrored, as the
// original does; it needs 201 samples.
type melStream struct {
	*melBands
	pending []float32 // samples from the first of the next frame on
	started bool
}

func (s *melStream) reset() { s.pending, s.started = s.pending[:0], false }

// push takes samples and appends the frames that they complete.
func (s *melStream) push(to, pcm []float32) []float32 {
	s.pending = append(s.pending, pcm...)
	if !s.started {
		if len(s.pending) <= half {
			return to
		}
		mirrored := make([]float32, half, half+len(s.pending))
		for k := range half {
			mirrored[half-1-k] = s.pending[k+1]
		}
		s.pending = append(mirrored, s.pending...)
		s.started = true
	}
	if len(s.pending) < window {
		return to
	}
	count := (len(s.pending) - window + hop) / hop
	to = s.frames(to, s.pending, count)
	s.pending = s.pending[:copy(s.pending, s.pending[count*hop:])]
	return to
}
