package backend

// Sharer is a Backend whose threads take parts of the rows of a signal through
// several operations, so that what one operation leaves is still in a core's cache
// when the next one takes it.
type Sharer interface {
	// Parts is the number of parts of n rows, of at most so many each, that Share
	// should have: as many for each thread. It is 0 where the rows are too few for
	// that, and operations are better called one by one.
	Parts(n, rows int) int
	// Share calls f for equal parts [lo, hi) of n rows, side by side. Each has a
	// Backend that computes where it is called and takes the weights of this one.
	Share(n, parts int, f func(b Backend, lo, hi int))
}
