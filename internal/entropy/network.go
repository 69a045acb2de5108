package entropy

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Config is the shape of a network.
type Config struct {
	Codebooks int   `json:"codebooks"` // Q, most codebooks a frame
	Size      int   `json:"size"`      // entries of each
	Dim       int   `json:"dim"`       // D, values of an entry
	Lags      int   `json:"lags"`      // frames before that are seen as they are
	Means     []int `json:"means"`     // shifts s of running means, each moving by 2^-s
	Trunk     int   `json:"trunk"`     // G, units that see the frames before
	Hidden    int   `json:"hidden"`    // H, units of each codebook: half linear, half rectified
	Out       int   `json:"out"`       // O, values that decisions weigh
	// Bits by which the sums of a layer exceed its outputs.
	TrunkShift  int `json:"trunk_shift"`
	HiddenShift int `json:"hidden_shift"`
	OutShift    int `json:"out_shift"`
	NodeShift   int `json:"node_shift"`
}

// Features is the number of values that describe the frames before.
func (c Config) Features() int { return (c.Lags + len(c.Means)) * c.Dim }

// Depth is the number of binary decisions that make a code.
func (c Config) Depth() int { return bits.Len(uint(c.Size - 1)) }

// Validate reports a shape that cannot be built, or is too large to be meant.
func (c Config) Validate() error {
	within := func(v, low, high int) bool { return v >= low && v <= high }
	ok := within(c.Codebooks, 1, 64) && within(c.Size, 2, 1<<14) && within(c.Dim, 1, 1<<10) && within(c.Lags, 1, 64) &&
		within(c.Trunk, 1, 1<<12) && within(c.Hidden, 2, 1<<12) && within(c.Out, 1, 1<<10) && len(c.Means) <= 8 &&
		within(c.TrunkShift, 1, 30) && within(c.HiddenShift, 1, 30) && within(c.OutShift, 1, 30) && within(c.NodeShift, 1, 30)
	for _, s := range c.Means {
		ok = ok && within(s, 1, 8)
	}
	if !ok {
		return errors.New("entropy: the shape of the network is out of range")
	}
	return nil
}

const (
	// most is the largest output of a unit.
	most = 1<<11 - 1
	// logits is the number of logits, in steps of 1/128 around 0, with a
	// probability of their own.
	logits = 1 << 12
	// meanBits are the bits after the point of a running mean.
	meanBits = 8
)

// Weights are the numbers of a network, row-major.
type Weights struct {
	Ranks     []uint16 // [Q][Size]: place of each code among the leaves of the tree
	Embedding []int8   // [Q][Size][D]
	Trunk     []int16  // [Features][G]
	TrunkBias []int32  // [Q][G], by the number of codebooks in use less 1
	Skip      []int16  // [Features][H]
	Mix       []int16  // [G][H]
	Part      []int16  // [Q][D][H], for the sum of the entries of the codebooks before
	Bias      []int32  // [Q][H]
	Out       []int16  // [Q][H][O]
	OutBias   []int32  // [Q][O]
	Nodes     []int8   // [Q][2^Depth][O]; node 0 is not used
	NodeBias  []int32  // [Q][2^Depth]
	Static    []uint16 // [Q][2^Depth]: probabilities of the nodes without any context
	Sigmoid   []uint16 // [4096]
}

// Network predicts codes. It is safe for concurrent use.
type Network struct {
	Config
	w                Weights
	trunk, skip, mix matrix
	part, out        []matrix // [Q]
	codes            []int32  // [Q][2^Depth]: code of a leaf, or -1
}

// ErrRange says that there are codes for which a sum would leave 32 bits.
var ErrRange = errors.New("sums can leave 32 bits")

// NewNetwork checks weights and makes them ready.
func NewNetwork(c Config, w Weights) (*Network, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	q, f, leaves := c.Codebooks, c.Features(), 1<<c.Depth()
	for _, t := range []struct {
		name      string
		have, min int
	}{
		{"ranks", len(w.Ranks), q * c.Size}, {"embedding", len(w.Embedding), q * c.Size * c.Dim},
		{"trunk", len(w.Trunk), f * c.Trunk}, {"trunk_bias", len(w.TrunkBias), q * c.Trunk},
		{"skip", len(w.Skip), f * c.Hidden}, {"mix", len(w.Mix), c.Trunk * c.Hidden},
		{"part", len(w.Part), q * c.Dim * c.Hidden}, {"bias", len(w.Bias), q * c.Hidden},
		{"out", len(w.Out), q * c.Hidden * c.Out}, {"out_bias", len(w.OutBias), q * c.Out},
		{"nodes", len(w.Nodes), q * leaves * c.Out}, {"node_bias", len(w.NodeBias), q * leaves},
		{"static", len(w.Static), q * leaves}, {"sigmoid", len(w.Sigmoid), logits},
	} {
		if t.have != t.min {
			return nil, fmt.Errorf("entropy: %s has %d values, the shape needs %d", t.name, t.have, t.min)
		}
	}
	n := &Network{
		Config: c, w: w,
		trunk: newMatrix(w.Trunk, f, c.Trunk), skip: newMatrix(w.Skip, f, c.Hidden), mix: newMatrix(w.Mix, c.Trunk, c.Hidden),
		codes: make([]int32, q*leaves),
	}
	for i := range q {
		n.part = append(n.part, newMatrix(w.Part[i*c.Dim*c.Hidden:][:c.Dim*c.Hidden], c.Dim, c.Hidden))
		n.out = append(n.out, newMatrix(w.Out[i*c.Hidden*c.Out:][:c.Hidden*c.Out], c.Hidden, c.Out))
	}
	for i := range n.codes {
		n.codes[i] = -1
	}
	for i, r := range w.Ranks {
		book, code := i/c.Size, i%c.Size
		if int(r) >= leaves || n.codes[book*leaves+int(r)] >= 0 {
			return nil, fmt.Errorf("entropy: code %d of codebook %d has no leaf of its own", code, book)
		}
		n.codes[book*leaves+int(r)] = int32(code)
	}
	for i, p := range w.Sigmoid {
		if p == 0 {
			return nil, fmt.Errorf("entropy: the probability of logit %d is 0", i)
		}
	}
	for i, p := range w.Static {
		if p == 0 {
			return nil, fmt.Errorf("entropy: the probability of node %d is 0", i)
		}
	}
	return n, n.check()
}

// check proves that no sum leaves 32 bits, whatever the codes are.
func (n *Network) check() error {
	largest := 0 // of a value of a frame: the sum of its entries
	for q := range n.Codebooks {
		m := 0
		for _, v := range n.w.Embedding[q*n.Size*n.Dim:][:n.Size*n.Dim] {
			m = max(m, abs(int(v)))
		}
		largest += m
	}
	features := make([]int, n.Features())
	for i := range features {
		if features[i] = largest; i >= n.Lags*n.Dim {
			features[i] = 2*largest + 1
		}
	}
	units := make([]int, max(n.Trunk, n.Hidden))
	for i := range units {
		units[i] = most
	}
	trunk := reachMatrix(reach(n.Trunk, n.w.TrunkBias), n.w.Trunk, features)
	frame := reachMatrix(make([]int, n.Hidden), n.w.Skip, features)
	frame = reachMatrix(frame, n.w.Mix, units[:n.Trunk])
	hidden, out := make([]int, n.Hidden), make([]int, n.Out)
	for q := range n.Codebooks {
		h := reachMatrix(reach(n.Hidden, n.w.Bias[q*n.Hidden:][:n.Hidden]), n.w.Part[q*n.Dim*n.Hidden:][:n.Dim*n.Hidden], features[:n.Dim])
		for i, s := range h {
			hidden[i] = max(hidden[i], s+frame[i])
		}
		for i, s := range reachMatrix(reach(n.Out, n.w.OutBias[q*n.Out:][:n.Out]), n.w.Out[q*n.Hidden*n.Out:][:n.Hidden*n.Out], units[:n.Hidden]) {
			out[i] = max(out[i], s)
		}
	}
	for name, sums := range map[string][]int{"trunk": trunk, "hidden": hidden, "out": out} {
		for i, s := range sums {
			if s >= math.MaxInt32-1<<30 { // room for rounding
				return fmt.Errorf("entropy: %s unit %d: %w", name, i, ErrRange)
			}
		}
	}
	for i, b := range n.w.NodeBias {
		if s := abs(int(b)) + n.Out*most<<7; s >= math.MaxInt32-1<<30 {
			return fmt.Errorf("entropy: node %d: %w", i, ErrRange)
		}
	}
	return nil
}

// reach gives the largest magnitudes of biases [..][out].
func reach(out int, bias []int32) []int {
	sums := make([]int, out)
	for i, b := range bias {
		sums[i%out] = max(sums[i%out], abs(int(b)))
	}
	return sums
}

// reachMatrix adds those of a product with inputs up to the given magnitudes.
func reachMatrix(sums []int, w []int16, inputs []int) []int {
	for i, v := range w {
		sums[i%len(sums)] += abs(int(v)) * inputs[i/len(sums)]
	}
	return sums
}

func abs(v int) int { return max(v, -v) }

func (n *Network) entry(q int, code int32) []int8 {
	return n.w.Embedding[(q*n.Size+int(code))*n.Dim:][:n.Dim]
}
