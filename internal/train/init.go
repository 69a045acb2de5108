package train

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/dsp"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
)

// InitLinear fits the linear paths of a codec to speech, so that training starts
// at a linear codec: the encoder's to the principal components of the mel bands
// and, with less energy, of the compressed spectra; the decoder's to the
// least-squares map from the normalised latents to the cube-root spectra that
// the synthesis needs. It draws crops of two seconds.
//
// Codes go to where a latent has its energy. Spectra alone make latents full of
// phase, which a few kilobits cannot hold; with the bands in front the first
// codes carry the envelope.
func InitLinear(net *native.Network, corpus *Corpus, device backend.Backend, crops int, rng *rand.Rand) (err error) {
	defer backend.Recover(&err)
	const batch = 8
	frames := 2 * net.SampleRate / net.HopLength
	s := nn.NewStream(device, batch)
	features, dim, bins := net.Encoder.Input.In, net.Quantizer.Dim, net.FFT+2
	window := dsp.Hann(net.FFT)
	for i, v := range window {
		window[i] = sqrt(v) / headGain
	}
	target, err := nn.NewSTFT(net.FFT, net.HopLength, net.HopLength, window)
	if err != nil {
		return err
	}
	samples := make([]float32, batch*frames*net.HopLength)
	// sample runs f on the spectra of the same crops each time it is called.
	seed := rng.Uint64()
	sample := func(f func(samples, spectra *backend.Tensor)) {
		draw := rand.New(rand.NewPCG(seed, 0))
		for range (crops + batch - 1) / batch {
			for i := range batch {
				corpus.Draw(samples[i*len(samples)/batch:(i+1)*len(samples)/batch], Augment{}, draw)
			}
			s.Begin()
			s.Reset()
			x := s.Tensor(batch*frames, net.HopLength)
			s.Upload(x, samples)
			f(x, s.Apply(net.Encoder.Features, s.Apply(net.Encoder.Spectrum, x)))
		}
	}

	covariance, sums := make([]float32, features*features), make([]float32, features)
	count := 0
	sample(func(_, read *backend.Tensor) {
		s.MatMulTN(backend.Host(covariance, features, features), read, read)
		s.ColumnSum(sums, read, nil)
		count += read.Rows
	})
	moment := func(i, j int) float64 { return float64(covariance[i*features+j]) / float64(count) }
	mean := func(i int) float64 { return float64(sums[i]) / float64(count) }
	spectral := net.HopLength / net.AnalysisHop * bins
	envelope := 0
	if spectral < features {
		envelope = int(envelopeShare * float64(dim))
	}
	complexPart, complexEnergy, err := principal(square(spectral, moment), dim-envelope, rng)
	if err != nil {
		return err
	}
	skip, bias := net.Encoder.Skip.Weight, net.Encoder.Skip.Bias.Data
	clear(skip.Data)
	clear(bias)
	// Components go to the groups in turn, so that each gets its part of the
	// energy.
	groups := net.Quantizer.Groups
	place := func(rank int) int { return rank%groups*(dim/groups) + rank/groups }
	scale := 1.0
	if envelope > 0 {
		bands := func(i, j int) float64 {
			i, j = i+spectral, j+spectral
			return moment(i, j) - mean(i)*mean(j)
		}
		melPart, melEnergy, err := principal(square(features-spectral, bands), envelope, rng)
		if err != nil {
			return err
		}
		scale = math.Sqrt(phaseShare / (1 - phaseShare) * melEnergy / complexEnergy)
		for rank := range envelope {
			k := place(rank)
			for i := range features - spectral {
				v := melPart.At(i, rank)
				skip.Data[(spectral+i)*dim+k] = float32(v)
				bias[k] -= float32(v * mean(spectral+i))
			}
		}
	}
	for rank := envelope; rank < dim; rank++ {
		for i := range spectral {
			skip.Data[i*dim+place(rank)] = float32(scale * complexPart.At(i, rank-envelope))
		}
	}
	net.Encoder.Skip.Weight.Changed()
	net.Encoder.Skip.Bias.Changed()

	zz, zt := make([]float32, dim*dim), make([]float32, dim*bins)
	rows := 0
	sample(func(x, spectra *backend.Tensor) {
		z := s.Apply(net.Encoder.Latent, s.Apply(net.Encoder.Skip, spectra))
		t := s.Apply(target, x)
		s.Wait()
		for i, row := 0, t.Data; i < len(row); i += 2 {
			g := pow(row[i]*row[i]+row[i+1]*row[i+1]+1e-7, -1.0/3)
			row[i] *= g
			row[i+1] *= g
		}
		s.MatMulTN(backend.Host(zz, dim, dim), z, z)
		s.MatMulTN(backend.Host(zt, dim, bins), z, t)
		rows += z.Rows
	})
	normal := mat.NewSymDense(dim, nil)
	for i := range dim {
		for j := i; j < dim; j++ {
			normal.SetSym(i, j, float64(zz[i*dim+j]))
		}
		normal.SetSym(i, i, normal.At(i, i)+1e-4*float64(rows))
	}
	right := mat.NewDense(dim, bins, nil)
	for i, v := range zt {
		right.Set(i/bins, i%bins, float64(v))
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(normal) {
		return fmt.Errorf("train: the latents of %d rows are degenerate", rows)
	}
	var solution mat.Dense
	if err := cholesky.SolveTo(&solution, right); err != nil {
		return fmt.Errorf("train: fitting the decoder's linear path: %w", err)
	}
	out := net.Decoder.Skip.Weight
	for i := range dim {
		for j := range bins {
			out.Data[i*bins+j] = float32(solution.At(i, j))
		}
	}
	out.Changed()
	return nil
}

const (
	// envelopeShare is the part of the latent's values that start as mel bands.
	envelopeShare = 3.0 / 8
	// phaseShare is the part of the latent's energy in the other values.
	phaseShare = 0.3
)

// square is the symmetric matrix of f.
func square(n int, f func(i, j int) float64) *mat.SymDense {
	m := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			m.SetSym(i, j, f(i, j))
		}
	}
	return m
}

// headGain is the gain that the codec's synthesis window holds.
const headGain = 18

// principal gives the eigenvectors of the n largest eigenvalues as columns, and
// the sum of those eigenvalues, by subspace iteration.
func principal(c *mat.SymDense, n int, rng *rand.Rand) (*mat.Dense, float64, error) {
	size := c.SymmetricDim()
	wide := min(size, n+n/2)
	q := mat.NewDense(size, wide, nil)
	for i := range size {
		for j := range wide {
			q.Set(i, j, rng.NormFloat64())
		}
	}
	var y mat.Dense
	for range 12 {
		y.Mul(c, q)
		orthonormal(q, &y)
	}
	// Rayleigh and Ritz: the eigenvectors within the subspace.
	y.Mul(c, q)
	var small mat.Dense
	small.Mul(q.T(), &y)
	sym := mat.NewSymDense(wide, nil)
	for i := range wide {
		for j := i; j < wide; j++ {
			sym.SetSym(i, j, (small.At(i, j)+small.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(sym, true) {
		return nil, 0, fmt.Errorf("train: the principal components did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	var kept float64
	for _, v := range values[wide-n:] {
		kept += v
	}
	var all mat.Dense
	all.Mul(q, &vectors)
	result := mat.NewDense(size, n, nil)
	for j := range n {
		for i := range size {
			result.Set(i, j, all.At(i, wide-1-j))
		}
	}
	return result, kept, nil
}

// orthonormal sets q to an orthonormal basis of the columns of y by Gram and
// Schmidt, each column twice for accuracy.
func orthonormal(q, y *mat.Dense) {
	_, n := y.Dims()
	columns := make([][]float64, n)
	rows, _ := y.Dims()
	for j := range columns {
		columns[j] = mat.Col(nil, j, y)
		for range 2 {
			for k := range j {
				var dot float64
				for i, v := range columns[k] {
					dot += v * columns[j][i]
				}
				for i, v := range columns[k] {
					columns[j][i] -= dot * v
				}
			}
		}
		var norm float64
		for _, v := range columns[j] {
			norm += v * v
		}
		norm = math.Sqrt(norm)
		for i := range rows {
			columns[j][i] /= norm
		}
		q.SetCol(j, columns[j])
	}
}
