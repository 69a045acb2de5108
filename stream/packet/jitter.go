package packet

import (
	"math"
	"slices"
)

// delays follows how late frames come. The transit of a frame is its arrival less
// its time in the stream: it holds an unknown offset between the clocks, so only
// differences count.
type delays struct {
	ring   [delayWindow]float64 // seconds
	n      int                  // taken so far
	sorted []float64
	stale  int // frames since sorted
}

const (
	delayWindow   = 512  // frames that are remembered: 10 s of 20 ms
	delayQuantile = 0.99 // share of the frames that are to be in time
)

func (d *delays) add(transit float64) {
	d.ring[d.n%delayWindow] = transit
	d.n++
	d.stale++
}

// late is the transit that delayQuantile of the recent frames keep.
func (d *delays) late() float64 {
	if d.n == 0 {
		return 0
	}
	if d.stale >= 5 || d.sorted == nil || d.n < 50 {
		d.sorted = append(d.sorted[:0], d.ring[:min(d.n, delayWindow)]...)
		slices.Sort(d.sorted)
		d.stale = 0
	}
	return d.sorted[int(math.Ceil(delayQuantile*float64(len(d.sorted))))-1]
}

// spread is how much later the latest of them come than the earliest.
func (d *delays) spread() float64 {
	if d.n == 0 {
		return 0
	}
	return d.late() - d.sorted[0]
}

// clock turns 32-bit time stamps and 16-bit numbers into ever-growing ones
// (RFC 3550, appendix A.1).
type clock struct {
	newest int64
	set    bool
}

func (c *clock) unwrap(v uint64, bits int) int64 {
	if !c.set {
		c.newest, c.set = int64(v), true
		return c.newest
	}
	span := int64(1) << bits
	d := (int64(v) - c.newest) & (span - 1)
	if d >= span/2 {
		d -= span
	}
	at := c.newest + d
	c.newest = max(c.newest, at)
	return at
}

// trend measures how fast a quantity drifts, from the lowest value in each span of
// trendSpan seconds: what is slow shows there, what jitters does not.
type trend struct {
	points [][2]float64 // time, lowest value; at most trendPoints
	start  float64
	low    [2]float64
	open   bool
}

const (
	trendSpan   = 5.0
	trendPoints = 120 // ten minutes
	trendLeast  = 6   // points that a slope needs
)

func (t *trend) add(at, value float64) {
	switch {
	case !t.open:
		t.start, t.low, t.open = at, [2]float64{at, value}, true
	case value < t.low[1]:
		t.low = [2]float64{at, value}
	}
	if at-t.start >= trendSpan {
		if len(t.points) == trendPoints {
			t.points = t.points[:copy(t.points, t.points[1:])]
		}
		t.points = append(t.points, t.low)
		t.open = false
	}
}

// slope is the drift by least squares, and whether there is enough to tell.
func (t *trend) slope() (float64, bool) {
	n := float64(len(t.points))
	if n < trendLeast {
		return 0, false
	}
	var mx, my float64
	for _, p := range t.points {
		mx += p[0] / n
		my += p[1] / n
	}
	var xx, xy float64
	for _, p := range t.points {
		xx += (p[0] - mx) * (p[0] - mx)
		xy += (p[0] - mx) * (p[1] - my)
	}
	return xy / xx, true
}
