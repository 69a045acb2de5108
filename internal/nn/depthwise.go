package nn

import "github.com/sotto-audio/sotto/internal/backend"

// DepthwiseConv is a causal convolution of each channel with its own taps:
// y[t] = b + Σ_j w[j]·x[t − (Taps−1−j)·Dilation], with zeros before the start.
// Its receptive field is (Taps−1)·Dilation + 1 rows and it looks at none ahead.
type DepthwiseConv struct {
	Channels, Taps, Dilation int
	Weight                   *Param // [Taps, C]
	Bias                     *Param // [C]
}

// NewDepthwiseConv makes a convolution of zeros, called name.weight and
// name.bias.
func NewDepthwiseConv(name string, channels, taps, dilation int) *DepthwiseConv {
	return &DepthwiseConv{
		Channels: channels, Taps: taps, Dilation: dilation,
		Weight: NewParam(name+".weight", taps, channels),
		Bias:   NewParam(name+".bias", channels),
	}
}

// Params lists weight and bias.
func (l *DepthwiseConv) Params() []*Param { return []*Param{l.Weight, l.Bias} }

func (l *DepthwiseConv) context() int { return (l.Taps - 1) * l.Dilation }

// Step convolves each item of the batch with its own history.
func (l *DepthwiseConv) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	if x.Rows == 0 {
		return y
	}
	steps := x.Rows / s.Batch
	for i := range s.Batch {
		item := s.Rows(x, i*steps, (i+1)*steps)
		head := l.head(s, i, item)
		l.rows(s.Backend, s.Rows, s.Rows(y, i*steps, (i+1)*steps), item, head, 0, steps)
	}
	return y
}

// head gives the rows that the first ones of an item look at: its history and,
// behind it, as many rows of x. The history moves on.
func (l *DepthwiseConv) head(s *Stream, item int, x *backend.Tensor) *backend.Tensor {
	ctx := l.context()
	near := min(ctx, x.Rows)
	kept := s.item(item)
	past := s.Rows(s.State(l, ctx, l.Channels).History, kept*ctx, (kept+1)*ctx)
	head := s.Tensor(ctx+near, l.Channels)
	s.Copy(s.Rows(head, 0, ctx), past)
	s.Copy(s.Rows(head, ctx, ctx+near), s.Rows(x, 0, near))
	if near == ctx {
		s.Copy(past, s.Rows(x, x.Rows-ctx, x.Rows))
	} else {
		s.Copy(past, s.Rows(head, near, near+ctx))
	}
	return head
}

// rows convolves the rows lo to hi of an item on a device; view gives views of rows.
func (l *DepthwiseConv) rows(d backend.Backend, view func(t *backend.Tensor, lo, hi int) *backend.Tensor, y, x, head *backend.Tensor, lo, hi int) {
	ctx := l.context()
	near := head.Rows - ctx
	if lo < near {
		end := min(hi, near)
		d.DepthwiseConv(view(y, lo, end), view(head, lo, end+ctx), l.Weight.On(d), l.Bias.On(d), l.Taps, l.Dilation)
		lo = end
	}
	if lo < hi {
		d.DepthwiseConv(view(y, lo, hi), view(x, lo-ctx, hi), l.Weight.On(d), l.Bias.On(d), l.Taps, l.Dilation)
	}
}

// Backward convolves dy with the reversed taps and correlates x with dy.
func (l *DepthwiseConv) Backward(s *Stream, x, _, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	ctx, steps := l.context(), x.Rows/s.Batch
	weights, reversed := backend.Host(l.Weight.On(s.Backend), l.Taps, l.Channels), s.Tensor(l.Taps, l.Channels)
	for j := range l.Taps {
		s.Copy(s.Rows(reversed, j, j+1), s.Rows(weights, l.Taps-1-j, l.Taps-j))
	}
	s.ColumnSum(grads[1], dy, nil)
	dx := s.Tensor(x.Rows, x.Cols)
	zeros := s.New(ctx, l.Channels)
	joined := s.Tensor(ctx+steps, l.Channels)
	for i := range s.Batch {
		item := dy.Slice(i*steps, (i+1)*steps)
		s.Copy(joined.Slice(0, ctx), zeros)
		s.Copy(joined.Slice(ctx, ctx+steps), x.Slice(i*steps, (i+1)*steps))
		s.DepthwiseConvGradWeights(grads[0], joined, item, l.Taps, l.Dilation)
		s.Copy(joined.Slice(0, steps), item)
		s.Copy(joined.Slice(steps, ctx+steps), zeros)
		s.Backend.DepthwiseConv(dx.Slice(i*steps, (i+1)*steps), joined, reversed.Data, nil, l.Taps, l.Dilation)
	}
	return dx
}
