package lyra

import (
	"errors"
	"fmt"

	"github.com/sotto-audio/sotto/internal/tflite"
)

// readCodebooks takes the codebooks [46][16][64] out of the graph that decodes:
// each is gathered from by the code that a slice takes out of all codes.
func readCodebooks(data []byte) ([]float32, error) {
	m, err := tflite.Parse(data)
	if err != nil {
		return nil, err
	}
	var g *tflite.Graph
	for _, s := range m.Signatures {
		if s.Key == "decode" {
			g = m.Graphs[s.Graph]
		}
	}
	if g == nil {
		return nil, errors.New(`there is no signature "decode"`)
	}
	level := map[int]int{} // of the output of a slice
	books := make([]float32, 0, codebooks*entries*dim)
	found := map[int][]float32{}
	for _, op := range g.Operators {
		if len(op.Inputs) < 2 || len(op.Outputs) < 1 || op.Inputs[0] < 0 || op.Inputs[1] < 0 || op.Outputs[0] < 0 {
			continue
		}
		switch op.Code {
		case tflite.StridedSlice:
			if begin, err := g.Tensors[op.Inputs[1]].Ints(); err == nil {
				level[op.Outputs[0]] = begin[0]
			}
		case tflite.Gather:
			book, err := g.Tensors[op.Inputs[0]].Floats()
			if err != nil {
				return nil, err
			}
			at, ok := level[op.Inputs[1]]
			if !ok || len(book) != entries*dim {
				return nil, fmt.Errorf("a codebook of %d values", len(book))
			}
			found[at] = book
		}
	}
	for i := range codebooks {
		if found[i] == nil {
			return nil, fmt.Errorf("codebook %d of %d is missing", i, codebooks)
		}
		books = append(books, found[i]...)
	}
	return books, nil
}
