package audio

import "sync"

const (
	driftHalf   = 32  // taps on either side
	driftPhases = 512 // rows of the table between two samples
	driftBeta   = 8   // of the Kaiser window: 80 dB
)

// driftTable holds a windowed sinc at driftPhases distances behind a sample. At a
// whole sample it is one and zeros, so that an unchanged speed gives unchanged
// samples.
var driftTable = sync.OnceValue(func() []float32 {
	const taps = 2 * driftHalf
	table := make([]float32, (driftPhases+1)*taps)
	for p := range driftPhases + 1 {
		for i := range taps {
			d := float64((i-driftHalf+1)*driftPhases-p) / driftPhases
			table[p*taps+i] = float32(float64(sinc(d) * kaiser(d/driftHalf, driftBeta)))
		}
	}
	return table
})

// Drift plays mono sound faster or slower by parts of a percent, by a ratio that
// may change at any time: it keeps two clocks together that do not run alike.
// It is not safe for concurrent use.
type Drift struct {
	hist []float32
	at   float64 // of the next output in hist, behind its first driftHalf-1 samples
	step float64 // input samples an output sample
}

// NewDrift starts at the unchanged speed.
func NewDrift() *Drift {
	return &Drift{hist: make([]float32, driftHalf-1), step: 1}
}

// SetRatio sets how many input samples an output sample takes: above 1 is
// faster. It must lie between 1/2 and 2.
func (d *Drift) SetRatio(r float64) { d.step = min(max(r, 0.5), 2) }

// Process takes samples and appends the output samples that they settle to dst;
// driftHalf samples of the input, 2 ms at 16 kHz, are held back.
func (d *Drift) Process(dst, src []float32) []float32 {
	const taps = 2 * driftHalf
	table := driftTable()
	d.hist = append(d.hist, src...)
	for {
		base := int(d.at)
		if base+taps > len(d.hist) {
			break
		}
		x := d.hist[base : base+taps]
		phase := float64((d.at - float64(base)) * driftPhases)
		p := int(phase)
		t := float32(phase - float64(p))
		y := dot(table[p*taps:][:taps], x)
		if t != 0 {
			y += float32(t * (dot(table[(p+1)*taps:][:taps], x) - y))
		}
		dst = append(dst, y)
		d.at += d.step
	}
	drop := min(int(d.at), len(d.hist))
	d.hist = d.hist[:copy(d.hist, d.hist[drop:])]
	d.at -= float64(drop)
	return dst
}

// Held is the number of input samples that no output has passed yet.
func (d *Drift) Held() float64 { return float64(len(d.hist)-(driftHalf-1)) - d.at }
