package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Constants of STOI (Taal et al. 2011, sections II and III).
const (
	stoiRate     = 10000 // Hz
	stoiFrame    = 256   // samples
	stoiHop      = stoiFrame / 2
	stoiFFT      = 512
	stoiBands    = 15  // third octaves
	stoiLowest   = 150 // Hz, centre of the first band
	stoiSegment  = 30  // frames
	stoiDynamics = 40  // dB below the loudest frame counts as silence
	stoiClip     = 15  // dB, lower bound of the signal-to-distortion ratio
	epsilon      = 0x1p-52
	maxStoiRate  = 1 << 20
)

// STOI is the short-time objective intelligibility (Taal et al. 2011) of a mono
// degraded signal against its reference, both sampled at rate Hz: about 0 to 1.
// Less than 30 frames (0.4 s) of sound is an error that wraps ErrTooShort.
func STOI(reference, degraded []float32, rate int) (float64, error) {
	x, y, err := thirdOctaves(reference, degraded, rate)
	if err != nil {
		return 0, err
	}
	bound := 1 + math.Pow(10, stoiClip/20.0)
	var total float64
	segments := len(x)/stoiBands - stoiSegment + 1
	var a, b [stoiSegment]float64
	for s := range segments {
		for j := range stoiBands {
			var xx, yy float64
			for t := range a {
				a[t], b[t] = x[(s+t)*stoiBands+j], y[(s+t)*stoiBands+j]
				xx += a[t] * a[t]
				yy += b[t] * b[t]
			}
			scale := math.Sqrt(xx) / (math.Sqrt(yy) + epsilon)
			for t := range b {
				b[t] = min(b[t]*scale, a[t]*bound)
			}
			total += correlation(a[:], b[:])
		}
	}
	return total / float64(segments*stoiBands), nil
}

// correlation is that of two short vectors, 0 where one is constant. It changes
// both.
func correlation(a, b []float64) float64 {
	var dot, aa, bb float64
	center(a, 1)
	center(b, 1)
	for i := range a {
		dot += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return dot / ((math.Sqrt(aa) + epsilon) * (math.Sqrt(bb) + epsilon))
}

// ESTOI is the extended short-time objective intelligibility (Jensen & Taal
// 2016) of a mono degraded signal against its reference, both sampled at rate
// Hz: about 0 to 1. Less than 30 frames (0.4 s) of sound is an error that wraps
// ErrTooShort.
func ESTOI(reference, degraded []float32, rate int) (float64, error) {
	x, y, err := thirdOctaves(reference, degraded, rate)
	if err != nil {
		return 0, err
	}
	// A band that holds nothing has no direction to normalise; noise, here always
	// the same one, gives it one that correlates with nothing.
	noise := rand.New(rand.NewPCG(1, 2))
	var total float64
	segments := len(x)/stoiBands - stoiSegment + 1
	var a, b [stoiSegment * stoiBands]float64
	for s := range segments {
		copy(a[:], x[s*stoiBands:])
		copy(b[:], y[s*stoiBands:])
		normalise(&a, noise)
		normalise(&b, noise)
		for i := range a {
			total += a[i] * b[i]
		}
	}
	return total / float64(segments*stoiSegment), nil
}

// normalise brings the bands and then the frames of a segment [frame][band] to
// zero mean and unit norm (Jensen & Taal 2016, section II-B).
func normalise(s *[stoiSegment * stoiBands]float64, noise *rand.Rand) {
	for j := range stoiBands {
		unit(s[j:], stoiBands, noise)
	}
	for t := range stoiSegment {
		unit(s[t*stoiBands:(t+1)*stoiBands], 1, noise)
	}
}

// unit brings every stride-th value of v to zero mean and unit norm.
func unit(v []float64, stride int, noise *rand.Rand) {
	const constant = 1e-24 // energy below which v counts as constant
	var sum float64
	for sum < constant {
		center(v, stride)
		sum = 0
		for i := 0; i < len(v); i += stride {
			sum += v[i] * v[i]
		}
		if sum < constant {
			for i := 0; i < len(v); i += stride {
				v[i] = noise.NormFloat64()
			}
		}
	}
	scale := 1 / math.Sqrt(sum)
	for i := 0; i < len(v); i += stride {
		v[i] *= scale
	}
}

// center takes the mean off every stride-th value of v.
func center(v []float64, stride int) {
	var sum float64
	n := 0
	for i := 0; i < len(v); i += stride {
		sum += v[i]
		n++
	}
	mean := sum / float64(n)
	for i := 0; i < len(v); i += stride {
		v[i] -= mean
	}
}

// thirdOctaves gives the band magnitudes [frame][stoiBands] of both signals
// without the frames in which the reference is silent; at least stoiSegment.
func thirdOctaves(reference, degraded []float32, rate int) (x, y []float64, err error) {
	if rate <= 0 || rate > maxStoiRate {
		return nil, nil, fmt.Errorf("metrics: sample rate %d Hz", rate)
	}
	x, y, err = pair(reference, degraded)
	if err != nil {
		return nil, nil, err
	}
	x, y = loud(resample(x, rate, stoiRate), resample(y, rate, stoiRate))
	x, y = bandMagnitudes(x), bandMagnitudes(y)
	if frames := len(x) / stoiBands; frames < stoiSegment {
		return nil, nil, fmt.Errorf("%w: %d frames of 12.8 ms after silence is left out, need %d", ErrTooShort, frames, stoiSegment)
	}
	return x, y, nil
}

// loud drops the frames in which x is more than stoiDynamics below its loudest
// and adds up the windowed rest of both signals.
func loud(x, y []float64) (lx, ly []float64) {
	w := hann(stoiFrame)
	var level []float64
	loudest := math.Inf(-1)
	for at := 0; at < len(x)-stoiFrame; at += stoiHop {
		var sum float64
		for i, v := range w {
			sum += v * x[at+i] * v * x[at+i]
		}
		level = append(level, 20*math.Log10(math.Sqrt(sum)+epsilon))
		loudest = max(loudest, level[len(level)-1])
	}
	if math.IsInf(loudest, -1) || loudest < 20*math.Log10(2*epsilon) {
		return nil, nil
	}
	kept := 0
	for _, v := range level {
		if v > loudest-stoiDynamics {
			kept++
		}
	}
	lx, ly = make([]float64, (kept+1)*stoiHop), make([]float64, (kept+1)*stoiHop)
	to := 0
	for t, v := range level {
		if v <= loudest-stoiDynamics {
			continue
		}
		for i, v := range w {
			lx[to+i] += v * x[t*stoiHop+i]
			ly[to+i] += v * y[t*stoiHop+i]
		}
		to += stoiHop
	}
	return lx, ly
}

// bandMagnitudes gives the root of the energy in each third octave, [frame][stoiBands].
func bandMagnitudes(x []float64) []float64 {
	w := hann(stoiFrame)
	fft := fourier.NewFFT(stoiFFT)
	in := make([]float64, stoiFFT)
	bins := make([]complex128, stoiFFT/2+1)
	edges := bandEdges()
	var out []float64
	// The last frame that fits is left out, as in the authors' program.
	for at := 0; at < len(x)-stoiFrame; at += stoiHop {
		for i, v := range w {
			in[i] = v * x[at+i]
		}
		fft.Coefficients(bins, in)
		for _, e := range edges {
			var sum float64
			for _, c := range bins[e[0]:e[1]] {
				sum += real(c)*real(c) + imag(c)*imag(c)
			}
			out = append(out, math.Sqrt(sum))
		}
	}
	return out
}

// bandEdges gives for each band its first bin and the one after its last: the
// bins nearest to the band's corners, the lower one of two equally near.
func bandEdges() (edges [stoiBands][2]int) {
	bin := func(f float64) int {
		return int(math.Ceil(f*stoiFFT/stoiRate - 0.5))
	}
	for k := range edges {
		edges[k][0] = bin(stoiLowest * math.Exp2((2*float64(k)-1)/6))
		edges[k][1] = bin(stoiLowest * math.Exp2((2*float64(k)+1)/6))
	}
	return edges
}
