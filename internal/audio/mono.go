package audio

import "io"

// MonoReader gives the mean of a source's channels at another rate, as the source
// gives it: live input is not held back.
type MonoReader struct {
	src       Reader
	resampler *Resampler
	block     []float32 // interleaved
	mono      []float32
	out       []float32
	ready     []float32
	err       error
}

// NewMonoReader reads src at rate. Closing src stays with the caller.
func NewMonoReader(src Reader, rate int) *MonoReader {
	f := src.Format()
	m := &MonoReader{src: src, block: make([]float32, max(1, f.SampleRate/100)*f.Channels)}
	if f.SampleRate != rate {
		m.resampler = NewResampler(f.SampleRate, rate, 1)
	}
	return m
}

// Read fills dst with up to len(dst) samples. At the end it returns 0, io.EOF; a
// damaged source gives all that is whole first and its error next.
func (m *MonoReader) Read(dst []float32) (int, error) {
	for len(m.ready) == 0 && len(dst) > 0 {
		if m.err != nil {
			return 0, m.err
		}
		n, err := m.src.Read(m.block)
		m.mono = Mono(m.mono[:0], m.block[:n], m.src.Format().Channels)
		m.ready = m.mono
		if m.resampler != nil {
			m.out = m.resampler.Process(m.out[:0], m.mono)
			if err == io.EOF {
				m.out = m.resampler.Flush(m.out)
			}
			m.ready = m.out
		}
		m.err = err
	}
	n := copy(dst, m.ready)
	m.ready = m.ready[n:]
	return n, nil
}
