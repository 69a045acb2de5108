package tokenizer_test

import (
	"fmt"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/codec/sotto"
	"github.com/sotto-audio/sotto/tokenizer"
)

// A vocabulary lays codes out for a language model, and takes back what it
// generates.
func Example() {
	model, err := sotto.Default()
	if err != nil {
		panic(err)
	}
	v, err := tokenizer.NewVocabulary(model.Info(), 2, tokenizer.VocabularyOptions{Layout: tokenizer.Delay})
	if err != nil {
		panic(err)
	}
	codes := &codec.Tokens{Frames: 3, Codebooks: 2, Codes: []int32{11, 12, 21, 22, 31, 32}}
	s, err := v.Arrange(codes)
	if err != nil {
		panic(err)
	}
	for i := range s.Steps() {
		fmt.Println(s.Row(i))
	}
	back, err := v.Restore(s)
	if err != nil {
		panic(err)
	}
	fmt.Println(back.Codes)
	// Output:
	// [11 1024]
	// [21 12]
	// [31 22]
	// [1024 32]
	// [11 12 21 22 31 32]
}
