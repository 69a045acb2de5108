package whisper

// Adapter is a set of low-rank updates.
type Adapter struct{}

func (a *Adapter) merge(name string, w []float32, out, in int) error { return nil }
