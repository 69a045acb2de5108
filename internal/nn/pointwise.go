package nn

import "github.com/sotto-audio/sotto/internal/backend"

// Pointwise is a layer of values by themselves, which a product can end with.
type Pointwise interface {
	Layer
	epilogue(b backend.Backend) backend.Epilogue
}

// after is the epilogue of a layer that may be nil.
func after(b backend.Backend, p Pointwise) backend.Epilogue {
	if p == nil {
		return backend.Epilogue{}
	}
	return p.epilogue(b)
}

// Activation is a pointwise function.
type Activation struct{ Func backend.Activation }

func (a Activation) epilogue(backend.Backend) backend.Epilogue { return backend.Epilogue{Act: a.Func} }

// Snake is x + sin²(alpha·x)·inverse for each channel (Ziyin et al. 2020).
type Snake struct {
	Alpha   *Param // [C]
	Inverse *Param // [C], 1/alpha where it follows from it
}

// NewSnake makes a Snake of zeros; its parameters are called name.alpha and
// name.inverse.
func NewSnake(name string, channels int) *Snake {
	return &Snake{Alpha: NewParam(name+".alpha", channels), Inverse: NewParam(name+".inverse", channels)}
}

// Params lists alpha and inverse.
func (l *Snake) Params() []*Param { return []*Param{l.Alpha, l.Inverse} }

// Step applies the function.
func (l *Snake) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.Finish(y, x, l.epilogue(s.Backend))
	return y
}

func (l *Snake) epilogue(b backend.Backend) backend.Epilogue {
	return backend.Epilogue{Act: backend.Snake, Alpha: l.Alpha.On(b), Inverse: l.Inverse.On(b)}
}

// Params is empty.
func (Activation) Params() []*Param { return nil }

// Step applies the function.
func (a Activation) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.Activate(y, x, a.Func)
	return y
}

// Backward multiplies by the derivative at x.
func (a Activation) Backward(s *Stream, x, _, dy *backend.Tensor, _ [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	s.ActivateGrad(dx, x, dy, a.Func)
	return dx
}

// LayerNorm normalises each row to zero mean and unit variance, then scales and
// shifts it where Gamma is not nil (Ba et al. 2016).
type LayerNorm struct {
	Gamma, Beta *Param // [C], both or neither
	Eps         float32
}

// NewLayerNorm makes a norm with Gamma 1 and Beta 0, called name.gamma and
// name.beta.
func NewLayerNorm(name string, channels int) *LayerNorm {
	n := &LayerNorm{Gamma: NewParam(name+".gamma", channels), Beta: NewParam(name+".beta", channels), Eps: 1e-5}
	for i := range n.Gamma.Data {
		n.Gamma.Data[i] = 1
	}
	return n
}

// Params lists gamma and beta.
func (n *LayerNorm) Params() []*Param {
	if n.Gamma == nil {
		return nil
	}
	return []*Param{n.Gamma, n.Beta}
}

func (n *LayerNorm) affine(b backend.Backend) (gamma, beta []float32) {
	if n.Gamma == nil {
		return nil, nil
	}
	return n.Gamma.On(b), n.Beta.On(b)
}

// Step normalises the rows.
func (n *LayerNorm) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	gamma, beta := n.affine(s.Backend)
	s.Backend.LayerNorm(y, x, gamma, beta, n.Eps)
	return y
}

// Backward is the gradient of the normalised rows.
func (n *LayerNorm) Backward(s *Stream, x, _, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	dx := s.Tensor(x.Rows, x.Cols)
	var dgamma, dbeta []float32
	if n.Gamma != nil {
		dgamma, dbeta = grads[0], grads[1]
	}
	gamma, _ := n.affine(s.Backend)
	s.LayerNormGrad(dx, dgamma, dbeta, x, dy, gamma, n.Eps)
	return dx
}

// LayerScale multiplies each channel by a trained factor (Touvron et al. 2021,
// CaiT).
type LayerScale struct {
	Gamma *Param // [C]
}

// NewLayerScale makes a layer scale that starts at init, called name.gamma.
func NewLayerScale(name string, channels int, init float32) *LayerScale {
	l := &LayerScale{Gamma: NewParam(name+".gamma", channels)}
	for i := range l.Gamma.Data {
		l.Gamma.Data[i] = init
	}
	return l
}

// Params lists gamma.
func (l *LayerScale) Params() []*Param { return []*Param{l.Gamma} }

// Step multiplies by gamma.
func (l *LayerScale) Step(s *Stream, x *backend.Tensor) *backend.Tensor {
	y := s.Tensor(x.Rows, x.Cols)
	s.ScaleAdd(y, x, l.Gamma.On(s.Backend), nil)
	return y
}

// Backward multiplies by gamma and correlates x with dy.
func (l *LayerScale) Backward(s *Stream, x, _, dy *backend.Tensor, grads [][]float32) *backend.Tensor {
	s.ColumnSum(grads[0], dy, x)
	dx := s.Tensor(x.Rows, x.Cols)
	s.ScaleAdd(dx, dy, l.Gamma.On(s.Backend), nil)
	return dx
}
