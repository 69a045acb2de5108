package encodec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/f32"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/internal/published"
)

// LanguageModel gives the probabilities of the next frame's codes from those
// before: EnCodec's small transformer (section 3.3 of the paper), with which its
// files get a quarter smaller.
//
// Its arithmetic is that of all machines: files that it coded decode everywhere.
// The original's differs from machine to machine, and one frequency off by one is
// enough to lose step: its files decode only where rounding changes none. A file
// that lost step is an error, which the end of each segment shows.
type LanguageModel struct {
	dim, heads, card int
	past             int // frames that attention sees
	norm             *nn.LayerNorm
	layers           []lmLayer
	embed            []*nn.Param // [card+1, dim] of each codebook; row 0 stands for no code
	logits           []*nn.Linear
	period           []float32 // of the positional embedding, 2π less
	device           backend.Backend
}

// lmLayer is a layer of the transformer, with the norms last.
type lmLayer struct {
	input, project, expand, contract *nn.Linear
	norm1, norm2                     *nn.LayerNorm
}

// The shape that the checkpoints do not say.
const (
	lmHeads     = 8
	lmMaxPeriod = 10000
	lmSeconds   = 3.5 // of the past
)

// LoadLanguageModel opens the checkpoint of a model's language model.
func LoadLanguageModel(path string, m *Model) (*LanguageModel, error) {
	c, err := published.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	first := c.Shape("emb.0.weight")
	if len(first) != 2 || first[0] != m.size+1 || first[1] < 2*lmHeads || first[1]%lmHeads != 0 || first[1] > 1<<13 {
		return nil, fmt.Errorf("%s: not a language model for codebooks of %d entries", path, m.size)
	}
	l := &LanguageModel{
		dim: first[1], heads: lmHeads, card: m.size, device: m.net.Stream().Backend,
		past: int(lmSeconds * math.Ceil(float64(m.sampleRate)/float64(m.net.Hop))),
		norm: c.LayerNorm("transformer.norm_in", first[1], 1e-5),
	}
	for k := 0; c.Has(fmt.Sprintf("emb.%d.weight", k)) && k < 64; k++ {
		l.embed = append(l.embed, c.Param(fmt.Sprintf("emb.%d.weight", k), l.card+1, l.dim))
		l.logits = append(l.logits, c.Linear(fmt.Sprintf("linears.%d", k), l.dim, l.card))
	}
	for i := 0; i < 64; i++ {
		name := fmt.Sprintf("transformer.layers.%d", i)
		hidden := c.Shape(name + ".linear1.weight")
		if len(hidden) != 2 {
			break
		}
		l.layers = append(l.layers, lmLayer{
			input:   c.Projection(name+".self_attn.in_proj_weight", name+".self_attn.in_proj_bias", l.dim, 3*l.dim),
			project: c.Linear(name+".self_attn.out_proj", l.dim, l.dim),
			expand:  c.Linear(name+".linear1", l.dim, hidden[0]), contract: c.Linear(name+".linear2", hidden[0], l.dim),
			norm1: c.LayerNorm(name+".norm1", l.dim, 1e-5), norm2: c.LayerNorm(name+".norm2", l.dim, 1e-5),
		})
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	half := l.dim / 2
	for k := range half {
		l.period = append(l.period, power(lmMaxPeriod, float32(k)/float32(half-1)))
	}
	return l, nil
}

// power gives base to the power of e in [0, 1], the same on every machine: the
// exponential as the 4096th power of the first terms of its series.
func power(base float64, e float32) float32 {
	// ln 10000, the only base.
	const ln = 9.2103403719761827360719658187375
	if base != lmMaxPeriod {
		panic("encodec: another base")
	}
	x := float64(float64(e)*ln) / 4096
	y := 1.0
	for i := 8; i >= 1; i-- {
		y = 1 + float64(x*y)/float64(i)
	}
	for range 12 {
		y = float64(y * y)
	}
	return float32(y)
}

// lmState is one run of a language model over the frames of a segment.
type lmState struct {
	m            *LanguageModel
	s            *nn.Stream
	keys, values []*backend.Tensor // of each layer, 2·past+1 rows
	first, count int               // rows of them in use
	frame        int
	input        []float32
	probability  []float32
	cdf          []int64
}

func (m *LanguageModel) start() *lmState {
	st := &lmState{m: m, s: nn.NewStream(m.device, 1), input: make([]float32, m.dim), probability: make([]float32, m.card), cdf: make([]int64, m.card)}
	for range m.layers {
		st.keys = append(st.keys, m.device.New(2*m.past+2, m.dim))
		st.values = append(st.values, m.device.New(2*m.past+2, m.dim))
	}
	// A row of zeros stands before the first frame.
	st.s.Begin()
	zero := st.s.Tensor(1, m.dim)
	st.s.Upload(zero, make([]float32, m.dim))
	for i, l := range m.layers {
		st.remember(i, l.input.Step(st.s, zero))
	}
	st.count = 1
	return st
}

// remember keeps keys and values of a row.
func (st *lmState) remember(layer int, qkv *backend.Tensor) {
	at, d := st.first+st.count, st.m.dim
	st.s.Copy(st.s.Rows(st.keys[layer], at, at+1), st.s.Part(qkv, d, d))
	st.s.Copy(st.s.Rows(st.values[layer], at, at+1), st.s.Part(qkv, 2*d, d))
}

// next takes the codes of the frame before, nil at the start, and gives what codes
// the probabilities of the next frame's.
func (st *lmState) next(codes []int32, codebooks int) func(k int) []int64 {
	m, s := st.m, st.s
	clear(st.input)
	for k := range codebooks {
		row := 0
		if codes != nil {
			row = 1 + int(codes[k])
		}
		for i, v := range m.embed[k].Data[row*m.dim : (row+1)*m.dim] {
			st.input[i] += v
		}
	}
	s.Begin()
	x := s.Tensor(1, m.dim)
	s.Upload(x, st.input)
	x = m.norm.Step(s, x)
	half := len(m.period)
	clear(st.input)
	for k, p := range m.period {
		phase := float32(st.frame) / p
		st.input[k], st.input[half+k] = f32.Cos(phase), f32.Sin(phase)
	}
	place := s.Tensor(1, m.dim)
	s.Upload(place, st.input)
	x = s.Add(x, place)
	to := []int32{int32(st.count + 1)}
	from := []int32{0}
	for i, l := range m.layers {
		qkv := l.input.Step(s, x)
		st.remember(i, qkv)
		y := s.Tensor(1, m.dim)
		last := st.first + st.count + 1
		s.Attention(y, s.Part(qkv, 0, m.dim), s.Rows(st.keys[i], st.first, last), s.Rows(st.values[i], st.first, last), from, to, m.heads, 1/f32.Sqrt(float32(m.dim/m.heads)))
		x = l.norm1.Step(s, s.Add(x, l.project.Step(s, y)))
		h := l.expand.Step(s, x)
		s.Activate(h, h, backend.GELUErf)
		x = l.norm2.Step(s, s.Add(x, l.contract.Step(s, h)))
	}
	st.frame++
	if st.count++; st.count > m.past {
		st.first++
		st.count--
	}
	if st.first > m.past {
		for i := range m.layers {
			for _, t := range []*backend.Tensor{st.keys[i], st.values[i]} {
				s.Copy(s.Rows(t, 0, st.count), s.Rows(t, st.first, st.first+st.count))
			}
		}
		st.first = 0
	}
	return func(k int) []int64 {
		y := m.logits[k].Step(s, x)
		s.Wait()
		return st.quantized(y.Row(0))
	}
}

// rangeBits is the width of the arithmetic coder's range.
const rangeBits = 24

// quantized gives cumulative frequencies of the softmax of logits: each at least
// 2, all together about 2²⁴. The steps are the original's.
func (st *lmState) quantized(logits []float32) []int64 {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	var sum float32
	for i, v := range logits {
		st.probability[i] = f32.Exp(v - top)
		sum += st.probability[i]
	}
	const roundoff, least = 1e-8, 2
	alpha := float64(float64(least*len(logits)) / (1 << rangeBits))
	width := float32((1 - alpha) * (1 << rangeBits))
	var total int64
	for i, e := range st.probability {
		p := float32(floor((e/sum)/roundoff) * roundoff)
		total += int64(floor(float32(width*p))) + least
		st.cdf[i] = total
	}
	return st.cdf
}

func floor(x float32) float32 { return float32(math.Floor(float64(x))) }

// coder is the original's arithmetic coder: the range [low, high] of numbers of
// bits+1 bits narrows to the part of each symbol, and bits that both ends share are
// written.
type coder struct {
	low, high int64
	bits      int // the highest bit of low and high, -1 for none
	out       []byte
	held      int // bits in the last byte
}

// part gives the bounds of a symbol in a range of width delta.
func part(cdf []int64, symbol int, delta int64) (low, high int64) {
	scale := float64(delta) / (1 << rangeBits)
	if symbol > 0 {
		low = int64(math.Ceil(float64(cdf[symbol-1]) * scale))
	}
	return low, int64(math.Floor(float64(cdf[symbol]-1) * scale))
}

// shared drops the bits that low and high share, from the highest down.
func shared(low, high *int64, bits *int, drop func(bit int64)) {
	for *bits >= 0 {
		b := *low >> *bits
		if b != *high>>*bits {
			return
		}
		*low -= b << *bits
		*high -= b << *bits
		*bits--
		drop(b)
	}
}

func (c *coder) push(symbol int32, cdf []int64) {
	for c.high-c.low+1 < 1<<rangeBits {
		c.low, c.high = 2*c.low, 2*c.high+1
		c.bits++
	}
	low, high := part(cdf, int(symbol), c.high-c.low+1)
	c.low, c.high = c.low+low, c.low+high
	shared(&c.low, &c.high, &c.bits, c.write)
}

func (c *coder) write(bit int64) {
	if c.held == 0 {
		c.out = append(c.out, 0)
	}
	c.out[len(c.out)-1] |= byte(bit) << c.held
	c.held = (c.held + 1) % 8
}

// flush writes what is left of the range's lower end.
func (c *coder) flush() []byte {
	for ; c.bits >= 0; c.bits-- {
		c.write(c.low >> c.bits & 1)
	}
	return c.out
}

// decoder reads what a coder wrote.
type decoder struct {
	low, high, current int64
	bits               int
	in                 unpacker
}

// errStep says that the codes cannot be what was written.
var errStep = errors.New("the codes lost step with the language model: was the file made with another one, or another program?")

func (d *decoder) pull(cdf []int64) (int32, error) {
	for d.high-d.low+1 < 1<<rangeBits {
		bit, err := d.in.next(1)
		if err != nil {
			return 0, err
		}
		d.low, d.high, d.current = 2*d.low, 2*d.high+1, 2*d.current+int64(bit)
		if d.bits++; d.bits > 61 {
			return 0, errStep
		}
	}
	delta := d.high - d.low + 1
	for from, to := 0, len(cdf)-1; from <= to; {
		mid := (from + to) / 2
		low, high := part(cdf, mid, delta)
		switch low, high = low+d.low, high+d.low; {
		case d.current < low:
			to = mid - 1
		case d.current > high:
			from = mid + 1
		default:
			d.low, d.high = low, high
			shared(&d.low, &d.high, &d.bits, func(bit int64) { d.current -= bit << (d.bits + 1) })
			return int32(mid), nil
		}
	}
	return 0, errStep // between two symbols
}

// check reports whether a language model suits a number of codebooks.
func (m *LanguageModel) check(codebooks int) error {
	if codebooks > len(m.embed) {
		return fmt.Errorf("encodec: the language model knows %d codebooks, not %d", len(m.embed), codebooks)
	}
	return nil
}

// WriteECDCWith is WriteECDC with the probabilities of a language model.
func (m *Model) WriteECDCWith(w io.Writer, samples int64, segments []Segment, lm *LanguageModel) (err error) {
	defer backend.Recover(&err)
	if len(segments) == 0 {
		return m.WriteECDC(w, samples, segments)
	}
	if err := lm.check(segments[0].Codebooks); err != nil {
		return err
	}
	return m.writeECDC(w, samples, segments, true, func(seg Segment) []byte {
		st, c := lm.start(), &coder{bits: -1}
		var before []int32
		for f := range seg.Frames {
			cdf := st.next(before, seg.Codebooks)
			before = seg.Frame(f)
			for k, code := range before {
				c.push(code, cdf(k))
			}
		}
		return c.flush()
	})
}

// ReadECDCWith is ReadECDC of a file that a language model coded.
func (m *Model) ReadECDCWith(r io.Reader, h Header, lm *LanguageModel) (_ []Segment, err error) {
	defer backend.Recover(&err)
	if !h.LanguageModel {
		return m.ReadECDC(r, h)
	}
	if err := lm.check(h.Codebooks); err != nil {
		return nil, err
	}
	return m.readECDC(r, h, func(b *bufio.Reader, frames int) ([]int32, error) {
		st, d := lm.start(), &decoder{bits: -1, in: unpacker{r: b}}
		var codes, before []int32
		for f := range frames {
			cdf := st.next(before, h.Codebooks)
			for k := range h.Codebooks {
				code, err := d.pull(cdf(k))
				if err != nil {
					return nil, fmt.Errorf("frame %d: %w", f, err)
				}
				codes = append(codes, code)
			}
			before = codes[len(codes)-h.Codebooks:]
		}
		// What is left is the lower end of the writer's range.
		if d.current != d.low {
			return nil, errStep
		}
		return codes, nil
	})
}
