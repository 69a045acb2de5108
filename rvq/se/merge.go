package se

import (
	"container/heap"
	"slices"
)

// Between holds all that merging needs to know of a graph and a partition: the
// weight between each two clusters and inside each.
type Between struct {
	Clusters int
	Weight   []float64 // [Clusters][Clusters], symmetric, with a diagonal of 0
	Inside   []float64 // of each pair of nodes once
}

// NewBetween makes clusters without edges.
func NewBetween(clusters int) *Between {
	return &Between{clusters, make([]float64, clusters*clusters), make([]float64, clusters)}
}

// Add adds an edge between a node of cluster a and another one of cluster b.
func (b *Between) Add(x, y int, weight float64) {
	if x == y {
		b.Inside[x] += weight
		return
	}
	b.Weight[x*b.Clusters+y] += weight
	b.Weight[y*b.Clusters+x] += weight
}

// merging is the state of the greedy algorithm. The gain of a pair depends on
// the pair alone, so that a merge changes the gains of one cluster's pairs.
type merging struct {
	*Between
	all     float64   // log2(V)
	volume  []float64 // V_X
	cut     []float64 // g_X
	bits    []float64 // log2(V_X)
	into    []int     // the cluster that a merged one went to, itself where it lives
	alive   []int     // clusters that live, ascending
	partner []int     // of the best pair of a cluster, -1 for none
	best    []float64 // V·ΔH of that pair; where stale, a lower bound of it
	stale   []bool
	queue   rows
}

// Merge merges the two clusters whose merge lowers the structural entropy most,
// until no merge lowers it; of equal pairs the one with the lowest indices. It
// returns the new cluster of each old one, numbered in the order of their first
// members. Clusters without edges stay alone. b is used up.
//
// It keeps the best pair of each cluster in a heap. A pair that a merge made
// worse keeps its place, as a lower bound, until it comes up: n clusters take
// O(n²) steps where few clusters share a favourite, O(n³) at worst.
func Merge(b *Between) []int {
	m := newMerging(b)
	for x := range m.into {
		m.scan(x)
	}
	m.queue.fill()
	for {
		x, ok := m.next()
		if !ok {
			return m.labels()
		}
		m.merge(min(x, m.partner[x]), max(x, m.partner[x]))
	}
}

func newMerging(b *Between) *merging {
	n := b.Clusters
	var total float64
	m := &merging{
		Between: b,
		volume:  make([]float64, n), cut: make([]float64, n), bits: make([]float64, n),
		into: make([]int, n), alive: make([]int, n),
		partner: make([]int, n), best: make([]float64, n), stale: make([]bool, n),
	}
	for x := range n {
		m.into[x], m.alive[x] = x, x
		for _, w := range b.Weight[x*n : (x+1)*n] {
			m.cut[x] += w
		}
		m.volume[x] = m.cut[x] + 2*b.Inside[x]
		m.bits[x] = log2(m.volume[x])
		total += m.volume[x]
	}
	m.all = log2(total)
	m.queue = rows{m: m, place: make([]int, n)}
	return m
}

// gain is V·ΔH of merging x and y. With Z the union and I_X = V_X − g_X,
//
//	V·ΔH = I_X·log2(V_Z/V_X) + I_Y·log2(V_Z/V_Y) + 2w·log2(V_Z/V)
//
// Where w = 0 it cannot be negative; it is not worked out then.
func (m *merging) gain(x, y int) float64 {
	w := m.Weight[x*m.Clusters+y]
	if w <= 0 {
		return 0
	}
	z := log2(m.volume[x] + m.volume[y])
	return float64((m.volume[x]-m.cut[x])*(z-m.bits[x])) + float64((m.volume[y]-m.cut[y])*(z-m.bits[y])) +
		float64(2*w*(z-m.all))
}

// scan finds the best pair of x anew.
func (m *merging) scan(x int) {
	m.best[x], m.partner[x], m.stale[x] = 0, -1, false
	for _, y := range m.alive {
		if y == x {
			continue
		}
		if g := m.gain(x, y); g < m.best[x] {
			m.best[x], m.partner[x] = g, y
		}
	}
}

// next gives a cluster of the best pair, if there is one that lowers H.
func (m *merging) next() (x int, ok bool) {
	for len(m.queue.order) > 0 {
		x = m.queue.order[0]
		if !m.stale[x] {
			return x, m.partner[x] >= 0
		}
		m.scan(x)
		heap.Fix(&m.queue, 0)
	}
	return 0, false
}

// merge puts y into x.
func (m *merging) merge(x, y int) {
	n := m.Clusters
	w := m.Weight[x*n+y]
	m.Inside[x] += m.Inside[y] + w
	m.volume[x] += m.volume[y]
	m.cut[x] += m.cut[y] - 2*w
	m.bits[x] = log2(m.volume[x])
	m.into[y] = x
	at, _ := slices.BinarySearch(m.alive, y)
	m.alive = slices.Delete(m.alive, at, at+1)
	heap.Remove(&m.queue, m.queue.place[y])
	m.Weight[x*n+y] = 0

	rx, ry := m.Weight[x*n:(x+1)*n], m.Weight[y*n:(y+1)*n]
	m.best[x], m.partner[x], m.stale[x] = 0, -1, false
	for _, k := range m.alive {
		if k == x {
			continue
		}
		rx[k] += ry[k]
		m.Weight[k*n+x] = rx[k]
		g := m.gain(k, x)
		if g < m.best[x] {
			m.best[x], m.partner[x] = g, k
		}
		switch old := m.partner[k]; {
		case g < m.best[k], g == m.best[k] && (old == x || old == y) && !m.stale[k]:
			m.best[k], m.partner[k], m.stale[k] = g, x, false
		case old == x || old == y:
			m.stale[k] = true
			m.partner[k] = -1
		case g == m.best[k] && x < old:
			m.partner[k] = x
		default:
			continue
		}
		heap.Fix(&m.queue, m.queue.place[k])
	}
	heap.Fix(&m.queue, m.queue.place[x])
}

// labels numbers the living clusters in the order of their first members.
func (m *merging) labels() []int {
	label := make([]int, m.Clusters)
	next := 0
	for x := range label {
		if m.into[x] == x {
			label[x] = next
			next++
			continue
		}
		// Clusters go to lower ones, which have their label.
		label[x] = label[m.into[x]]
	}
	return label
}

// rows is a heap of clusters by their best pair. Stale ones come up before
// others of the same gain, so that ties are settled between true pairs.
type rows struct {
	m     *merging
	order []int
	place []int // of a cluster in order
}

func (r *rows) Len() int { return len(r.order) }

func (r *rows) Less(i, j int) bool {
	x, y := r.order[i], r.order[j]
	m := r.m
	if m.best[x] != m.best[y] {
		return m.best[x] < m.best[y]
	}
	if m.stale[x] != m.stale[y] {
		return m.stale[x]
	}
	if a, b := min(x, m.partner[x]), min(y, m.partner[y]); a != b {
		return a < b
	}
	return max(x, m.partner[x]) < max(y, m.partner[y])
}

func (r *rows) Swap(i, j int) {
	r.order[i], r.order[j] = r.order[j], r.order[i]
	r.place[r.order[i]], r.place[r.order[j]] = i, j
}

func (r *rows) Push(any) {}

func (r *rows) Pop() any {
	r.order = r.order[:len(r.order)-1]
	return nil
}

func (r *rows) fill() {
	for x := range r.place {
		r.order = append(r.order, x)
		r.place[x] = x
	}
	heap.Init(r)
}
