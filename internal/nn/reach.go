package nn

import "math"

// Reach is how far a layer looks beside the rows that an output row stands for.
type Reach struct {
	// Past and Ahead are in rows of the input, infinite where the layer looks at
	// the whole signal.
	Past, Ahead float64
	// Rate is the number of output rows for an input row.
	Rate float64
}

// Everything is the reach of a layer that looks at the whole signal.
func Everything() Reach { return Reach{Past: math.Inf(1), Ahead: math.Inf(1), Rate: 1} }

// Reacher is a layer that says how far it looks. Others look at their own row.
type Reacher interface{ Reach() Reach }

// ReachOf is that of layers one after the other.
func ReachOf(layers ...Layer) Reach {
	all := Reach{Rate: 1}
	for _, l := range layers {
		if r, ok := l.(Reacher); ok {
			all = all.Then(r.Reach())
		}
	}
	return all
}

// Then is the reach of a layer and one that follows it.
func (r Reach) Then(next Reach) Reach {
	return Reach{Past: r.Past + next.Past/r.Rate, Ahead: r.Ahead + next.Ahead/r.Rate, Rate: r.Rate * next.Rate}
}

// Beside is the reach of two layers that see the same rows.
func (r Reach) Beside(other Reach) Reach {
	return Reach{Past: max(r.Past, other.Past), Ahead: max(r.Ahead, other.Ahead), Rate: r.Rate}
}
