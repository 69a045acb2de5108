package train

import (
	"math"

	"github.com/sotto-audio/sotto/internal/backend"
)

// CTC is the loss of connectionist temporal classification (Graves et al. 2006,
// section 4.1) of scores before softmax, with symbol 0 as blank: −ln of the
// probability of all paths that spell the labels. Sums over paths are in the
// logarithmic domain. The zero value is ready; it keeps memory between calls.
type CTC struct {
	logp, alpha, beta []float64
}

var nothing = math.Inf(-1)

// Loss gives the loss of the labels in rows of scores, and adds scale times its
// slope to the rows of grad. Labels that no path can spell in so few rows give +Inf
// and no slope.
func (c *CTC) Loss(grad, scores *backend.Tensor, labels []int32, scale float32) float64 {
	rows, states := scores.Rows, 2*len(labels)+1
	if rows == 0 {
		return math.Inf(1)
	}
	c.logp = grow(c.logp, rows*scores.Cols)
	c.alpha, c.beta = grow(c.alpha, rows*states), grow(c.beta, rows*states)
	for t := range rows {
		logSoftmax(c.logp[t*scores.Cols:][:scores.Cols], scores.Row(t))
	}
	p := paths{labels: labels, rows: rows, states: states, cols: scores.Cols, logp: c.logp}
	p.forward(c.alpha)
	end := c.alpha[(rows-1)*states:]
	total := end[states-1]
	if states > 1 {
		total = logAdd(total, end[states-2])
	}
	if math.IsInf(total, -1) {
		return math.Inf(1)
	}
	p.backward(c.beta)
	posterior := make([]float64, scores.Cols)
	for t := range rows {
		clear(posterior)
		lo, hi := p.reachable(t)
		for s := lo; s < hi; s++ {
			if v := c.alpha[t*states+s] + c.beta[t*states+s] - total; v > -40 {
				posterior[p.symbol(s)] += math.Exp(v)
			}
		}
		for k, l := range c.logp[t*scores.Cols:][:scores.Cols] {
			grad.Row(t)[k] += scale * float32(math.Exp(l)-posterior[k])
		}
	}
	return -total
}

// paths walks over the states blank, label, blank, label, …, blank.
type paths struct {
	labels             []int32
	rows, states, cols int
	logp               []float64
}

func (p *paths) symbol(s int) int32 {
	if s%2 == 0 {
		return 0
	}
	return p.labels[s/2]
}

// skips says whether a path may leave out the blank before state s.
func (p *paths) skips(s int) bool {
	return s >= 2 && s%2 == 1 && p.labels[s/2] != p.labels[s/2-1]
}

// reachable gives the states from the start and to the end of the rows at row t.
func (p *paths) reachable(t int) (lo, hi int) {
	return max(0, p.states-2*(p.rows-t)), min(p.states, 2*(t+1))
}

func (p *paths) emit(t, s int) float64 { return p.logp[t*p.cols+int(p.symbol(s))] }

// forward sets alpha [rows, states] to the probability of what comes up to a state,
// with its row.
func (p *paths) forward(alpha []float64) {
	for i := range alpha {
		alpha[i] = nothing
	}
	alpha[0] = p.emit(0, 0)
	if p.states > 1 {
		alpha[1] = p.emit(0, 1)
	}
	for t := 1; t < p.rows; t++ {
		before, now := alpha[(t-1)*p.states:t*p.states], alpha[t*p.states:]
		lo, hi := p.reachable(t)
		for s := lo; s < hi; s++ {
			sum := before[s]
			if s > 0 {
				sum = logAdd(sum, before[s-1])
			}
			if p.skips(s) {
				sum = logAdd(sum, before[s-2])
			}
			now[s] = sum + p.emit(t, s)
		}
	}
}

// backward sets beta to the probability of what follows a state, without its row.
func (p *paths) backward(beta []float64) {
	for i := range beta {
		beta[i] = nothing
	}
	last := (p.rows - 1) * p.states
	beta[last+p.states-1] = 0
	if p.states > 1 {
		beta[last+p.states-2] = 0
	}
	for t := p.rows - 2; t >= 0; t-- {
		after, now := beta[(t+1)*p.states:(t+2)*p.states], beta[t*p.states:]
		lo, hi := p.reachable(t)
		for s := lo; s < hi; s++ {
			sum := after[s] + p.emit(t+1, s)
			if s+1 < p.states {
				sum = logAdd(sum, after[s+1]+p.emit(t+1, s+1))
			}
			if s+2 < p.states && p.skips(s+2) {
				sum = logAdd(sum, after[s+2]+p.emit(t+1, s+2))
			}
			now[s] = sum
		}
	}
}

func logSoftmax(dst []float64, scores []float32) {
	top := float64(scores[0])
	for _, v := range scores {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range scores {
		sum += math.Exp(float64(v) - top)
	}
	sum = math.Log(sum) + top
	for i, v := range scores {
		dst[i] = float64(v) - sum
	}
}

// logSums holds ln(1 + e^(−i/logStep)).
var logSums = func() []float64 {
	t := make([]float64, 20*logStep+2)
	for i := range t {
		t[i] = math.Log1p(math.Exp(-float64(i) / logStep))
	}
	return t
}()

const logStep = 1024

// logAdd gives ln(eᵃ + eᵇ), to 1e-7: by a table, since nothing else takes as long.
func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	d := (a - b) * logStep
	if !(d < 20*logStep) { // also where b is −Inf
		return a
	}
	i := int(d)
	f := d - float64(i)
	return a + logSums[i] + f*(logSums[i+1]-logSums[i])
}

// grow gives n values of undefined content, in the memory of s where they fit.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
