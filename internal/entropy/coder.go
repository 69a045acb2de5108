package entropy

import (
	"errors"
	"fmt"
)

// Coder codes packets of frames of the first codebooks of a network. It is not
// safe for concurrent use.
type Coder struct {
	n         *Network
	codebooks int
	static    bool

	frame    []int16   // sum of the entries of the frame under way
	lags     [][]int16 // of the frames before, the newest first
	means    [][]int32 // running, meanBits after the point
	features []int16
	sums     []int32 // of a layer
	terms    []term  // of its input
	trunk    []int16
	context  []int32 // sums of the hidden units that the frames before give
	hidden   []int16
	out      []int16 // of the codebook under way
}

// NewCoder makes a coder of frames of that many codebooks. A static one does
// without context, by the tables of the network: for comparison.
func (n *Network) NewCoder(codebooks int, static bool) (*Coder, error) {
	if codebooks < 1 || codebooks > n.Codebooks {
		return nil, fmt.Errorf("entropy: %d codebooks asked for, the network knows 1 to %d", codebooks, n.Codebooks)
	}
	c := &Coder{
		n: n, codebooks: codebooks, static: static, frame: vector(n.Dim), features: vector(n.Features()),
		sums: make([]int32, max(n.Trunk, n.Hidden, n.Out)), trunk: vector(n.Trunk),
		terms:   make([]term, max(n.Features(), n.Trunk, n.Hidden)),
		context: make([]int32, n.Hidden), hidden: vector(n.Hidden), out: vector(n.Out),
	}
	for range n.Lags {
		c.lags = append(c.lags, vector(n.Dim))
	}
	for range n.Means {
		c.means = append(c.means, make([]int32, n.Dim))
	}
	return c, nil
}

// Encode appends the coded form of a packet: the codes of each channel,
// frame-major, all valid.
func (c *Coder) Encode(dst []byte, channels [][]int32) []byte {
	e := newEncoder(dst)
	for _, codes := range channels {
		c.begin()
		for ; len(codes) > 0; codes = codes[c.codebooks:] {
			c.predict()
			for q, code := range codes[:c.codebooks] {
				c.activate(q)
				leaf := int(c.n.w.Ranks[q*c.n.Size+int(code)])
				for node, i := 1, c.n.Depth()-1; i >= 0; i-- {
					bit := leaf >> i & 1
					e.bit(bit, c.probability(q, node))
					node = 2*node + bit
				}
				c.learn(q, code)
			}
			c.end()
		}
	}
	return e.finish()
}

// ErrCode says that bytes are not what Encode gives.
var ErrCode = errors.New("the entropy-coded payload is damaged")

// Decode reads what Encode wrote. Bytes that Encode does not give are refused
// where they name no code or where some are left over.
func (c *Coder) Decode(src []byte, channels, frames int) ([][]int32, error) {
	if len(src) > 0 && src[len(src)-1] == 0 {
		return nil, ErrCode
	}
	d := newDecoder(src)
	if d.value >= d.width {
		return nil, ErrCode
	}
	leaves := 1 << c.n.Depth()
	out := make([][]int32, channels)
	for i := range out {
		codes := make([]int32, 0, frames*c.codebooks)
		c.begin()
		for range frames {
			c.predict()
			for q := range c.codebooks {
				c.activate(q)
				node := 1
				for node < leaves {
					node = 2*node + d.bit(c.probability(q, node))
				}
				code := c.n.codes[q*leaves+node-leaves]
				if code < 0 {
					return nil, ErrCode
				}
				codes = append(codes, code)
				c.learn(q, code)
			}
			c.end()
		}
		out[i] = codes
	}
	if len(src) > d.taken-3 {
		return nil, ErrCode
	}
	return out, nil
}

// begin forgets the frames before.
func (c *Coder) begin() {
	clear(c.frame)
	for _, v := range c.lags {
		clear(v)
	}
	for _, v := range c.means {
		clear(v)
	}
}

// predict sets the sums that all codebooks of the next frame start from.
func (c *Coder) predict() {
	if c.static {
		return
	}
	n := c.n
	at := c.features
	for _, v := range c.lags {
		at = at[copy(at, v):]
	}
	for _, v := range c.means {
		for i, m := range v {
			at[i] = int16(m >> (meanBits - 1))
		}
		at = at[n.Dim:]
	}
	n.trunk.add(c.sums, n.w.TrunkBias[(c.codebooks-1)*n.Trunk:][:n.Trunk], c.features, c.terms)
	squash(c.trunk, c.sums, n.TrunkShift, 0)
	clear(c.context)
	n.skip.add(c.context, c.context, c.features, c.terms)
	n.mix.add(c.context, c.context, c.trunk, c.terms)
}

// activate sets what the decisions of a codebook weigh.
func (c *Coder) activate(q int) {
	if c.static {
		return
	}
	n := c.n
	sums, half := c.sums[:n.Hidden], n.Hidden/2
	for i, b := range n.w.Bias[q*n.Hidden:][:n.Hidden] {
		sums[i] = c.context[i] + b
	}
	if q > 0 {
		n.part[q].add(sums, sums, c.frame, c.terms)
	}
	squash(c.hidden[:half], sums, n.HiddenShift, -most)
	squash(c.hidden[half:], sums[half:], n.HiddenShift, 0)
	n.out[q].add(c.sums, n.w.OutBias[q*n.Out:][:n.Out], c.hidden, c.terms)
	squash(c.out, c.sums, n.OutShift, -most)
}

// squash sets units to sums brought into their range.
func squash(units []int16, sums []int32, shift int, low int32) {
	sums = sums[:len(units)]
	for i, s := range sums {
		units[i] = int16(min(max(round(s, shift), low), most))
	}
}

// probability is that of bit 1 at a node.
func (c *Coder) probability(q, node int) uint32 {
	n := c.n
	i := q<<n.Depth() + node
	if c.static {
		return uint32(n.w.Static[i])
	}
	sum := n.w.NodeBias[i]
	weights := n.w.Nodes[i*n.Out:][:len(c.out)]
	for k, u := range c.out {
		sum += int32(u) * int32(weights[k])
	}
	logit := min(max(round(sum, n.NodeShift), -logits/2), logits/2-1)
	return uint32(n.w.Sigmoid[logit+logits/2])
}

// learn takes in a code of the frame under way.
func (c *Coder) learn(q int, code int32) {
	if c.static {
		return
	}
	for i, v := range c.n.entry(q, code) {
		c.frame[i] += int16(v)
	}
}

// end makes the frame under way the newest of those before.
func (c *Coder) end() {
	if c.static {
		return
	}
	for i, v := range c.means {
		s := c.n.Means[i]
		for k, f := range c.frame {
			v[k] += (int32(f)<<meanBits - v[k]) >> s
		}
	}
	last := len(c.lags) - 1
	oldest := c.lags[last]
	copy(c.lags[1:], c.lags[:last])
	c.lags[0] = c.frame
	clear(oldest)
	c.frame = oldest
}

// round is v/2^shift, halves up.
func round(v int32, shift int) int32 { return (v + 1<<(shift-1)) >> shift }
