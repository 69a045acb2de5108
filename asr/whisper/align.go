package whisper

// alignmentHeads are those of the second half of the decoder's layers, unless the
// model is a published one, whose heads are known.
func alignmentHeads(d dims) [][2]int {
	var heads [][2]int
	for l := d.TextLayers / 2; l < d.TextLayers; l++ {
		for h := range d.TextHeads {
			heads = append(heads, [2]int{l, h})
		}
	}
	return heads
}
