package backend

// Sequence are the operations of published models that look at a whole signal,
// or carry a state from row to row.
type Sequence interface {
	// GroupNorm sets y = (x−mean)/√(var+eps)·gamma + beta, mean and var being those
	// of all rows of x and of the columns of one of `groups` equal groups (Wu & He
	// 2018). The sums of values and of squares are float64: each column adds its
	// rows in order, a group adds the sums of its columns in order, and
	// var = max(Σx²/n − mean², 0). With r = gamma/√(var+eps) in float64,
	// y = FMA(x, float32(r), float32(beta − mean·r)). Gamma 1 and beta 0 stand for
	// nil.
	GroupNorm(y, x *Tensor, groups int, gamma, beta []float32, eps float32)
	// RMSNorm sets y = x/√(S(x·x)/C + eps)·gamma along each row (Zhang & Sennrich
	// 2019), S being the canonical sum of LayerNorm of rounded products; both
	// products of y are rounded.
	RMSNorm(y, x *Tensor, gamma []float32, eps float32)
	// LSTMCell is one step of an LSTM (Hochreiter & Schmidhuber 1997) after its
	// matrix products, a row for each item of a batch: gates [B, 4H] holds i, f, g
	// and o before their functions and is overwritten,
	//
	//	c = FMA(σ(f), c, σ(i)·tanh g);  h = σ(o)·tanh c
	LSTMCell(h, c, gates *Tensor)
}
