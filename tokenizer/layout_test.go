package tokenizer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// model is what a codec with these codebooks says of itself.
func model(sizes []int, levels ...int) codec.Info {
	return codec.Info{
		Name: "test", SampleRate: 16000, HopLength: 320, FrameRate: 50, CodebookSizes: sizes, Levels: levels,
		Fingerprint: codec.Fingerprint{1, 2, 3},
	}
}

func frames(r *rand.Rand, n int, sizes []int) *codec.Tokens {
	t := &codec.Tokens{Frames: n, Codebooks: len(sizes)}
	for range n {
		for _, size := range sizes {
			t.Codes = append(t.Codes, int32(r.IntN(size)))
		}
	}
	return t
}

func TestLayoutsInvert(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	models := map[string]struct {
		info codec.Info
		o    VocabularyOptions
	}{
		"rvq":       {model([]int{1024, 1024, 1024, 1024}, 1, 2, 3, 4), VocabularyOptions{}},
		"grouped":   {model([]int{7, 5, 3, 2}, 2, 4), VocabularyOptions{}},
		"hificodec": {model([]int{1024, 1024, 1024, 1024}, 4), VocabularyOptions{Groups: 2}},
		"one":       {model([]int{3}, 1), VocabularyOptions{}},
		"snac":      {model(slices.Repeat([]int{4096}, 7), 7), VocabularyOptions{Rates: Rates{1, 2, 4}}},
		"steps":     {model(slices.Repeat([]int{16}, 15), 1, 3, 7, 15), VocabularyOptions{}},
		"shared":    {model(slices.Repeat([]int{4096}, 7), 7), VocabularyOptions{Rates: Rates{1, 2, 4}, Share: true}},
	}
	for name, m := range models {
		for _, layout := range Layouts {
			if (layout == Units || layout == Runs) && name != "one" {
				if _, err := NewVocabulary(m.info, 0, VocabularyOptions{Layout: layout}); err == nil {
					t.Errorf("%s: layout %s took several codebooks", name, layout)
				}
				continue
			}
			for _, ends := range []bool{false, true} {
				o := m.o
				o.Layout, o.Ends = layout, ends
				if layout.single() {
					o.Base = 128256
				}
				v, err := NewVocabulary(m.info, 0, o)
				if err != nil {
					t.Fatal(err)
				}
				var file bytes.Buffer
				if err := v.Write(&file); err != nil {
					t.Fatal(err)
				}
				if back, err := ReadVocabulary(&file); err != nil || !reflect.DeepEqual(v, back) {
					t.Fatalf("vocabulary %+v comes back as %+v, %v", v, back, err)
				}
				for _, n := range []int{0, 1, 2, 3, 50, 333} {
					want := frames(r, n, m.info.CodebookSizes)
					label := fmt.Sprintf("%s %s ends %v, %d frames", name, layout, ends, n)
					s, err := v.Arrange(want)
					if err != nil {
						t.Fatalf("%s: %v", label, err)
					}
					for _, id := range s.IDs {
						if int(id) < int(v.Base) && layout.single() || int(id) > v.top() {
							t.Fatalf("%s: id %d is outside of the vocabulary", label, id)
						}
					}
					got, err := v.Restore(s)
					if err != nil {
						t.Fatalf("%s: %v", label, err)
					}
					if layout == Units { // each code once
						want.Codes = slices.Compact(want.Codes)
						want.Frames = len(want.Codes)
					}
					if got.Frames != want.Frames || got.Codebooks != want.Codebooks || !slices.Equal(got.Codes, want.Codes) {
						t.Fatalf("%s: %v comes back as %v", label, want, got)
					}
					if layout.single() {
						text, err := v.AppendText(nil, s)
						if err != nil {
							t.Fatal(err)
						}
						if back, err := v.ParseText(string(text)); err != nil || !slices.Equal(back.IDs, s.IDs) {
							t.Fatalf("%s: %s comes back as %v, %v", label, text, back, err)
						}
					}
				}
			}
		}
	}
}

// TestLayoutsByHand holds the layouts to what their papers draw.
func TestLayoutsByHand(t *testing.T) {
	rvq := model([]int{10, 10, 10}, 1, 2, 3)
	hifi := model([]int{10, 10, 10, 10}, 4)
	three := &codec.Tokens{Frames: 3, Codebooks: 3, Codes: []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	two := &codec.Tokens{Frames: 2, Codebooks: 4, Codes: []int32{1, 2, 3, 4, 5, 6, 7, 8}}
	one := &codec.Tokens{Frames: 6, Codebooks: 1, Codes: []int32{5, 5, 5, 2, 5, 5}}
	for _, c := range []struct {
		info   codec.Info
		tokens *codec.Tokens
		o      VocabularyOptions
		want   []int32
	}{
		{rvq, three, VocabularyOptions{Layout: Parallel}, []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{rvq, three, VocabularyOptions{Layout: Flat}, []int32{1, 12, 23, 4, 15, 26, 7, 18, 29}},
		{rvq, three, VocabularyOptions{Layout: Flat, Base: 100, Ends: true}, []int32{131, 101, 112, 123, 104, 115, 126, 107, 118, 129, 132}},
		// The figure of MusicGen: codebook k one step after codebook k-1. 10 is padding.
		{rvq, three, VocabularyOptions{Layout: Delay}, []int32{1, 10, 10, 4, 2, 10, 7, 5, 3, 10, 8, 6, 10, 10, 9}},
		{rvq, three, VocabularyOptions{Layout: Coarse}, []int32{1, 4, 7, 12, 15, 18, 23, 26, 29}},
		// HiFi-Codec: level 1 group 0, level 1 group 1, level 2 group 0, level 2 group 1.
		{hifi, two, VocabularyOptions{Layout: Flat}, []int32{1, 12, 23, 34, 5, 16, 27, 38}},
		{hifi, two, VocabularyOptions{Layout: Coarse, Groups: 2}, []int32{1, 12, 5, 16, 23, 34, 27, 38}},
		{hifi, two, VocabularyOptions{Layout: Delay, Groups: 2}, []int32{1, 2, 10, 10, 5, 6, 3, 4, 10, 10, 7, 8}},
		{model([]int{10}, 1), one, VocabularyOptions{Layout: Units}, []int32{5, 2, 5}},
		{model([]int{10}, 1), one, VocabularyOptions{Layout: Runs}, []int32{5, 3, 2, 1, 5, 2}},
	} {
		v, err := NewVocabulary(c.info, 0, c.o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.Arrange(c.tokens)
		if err != nil || !slices.Equal(s.IDs, c.want) {
			t.Errorf("%+v: %v, %v, want %v", c.o, s.IDs, err, c.want)
		}
	}
}

// TestSNAC: the frame of seven that language models on SNAC at 24 kHz have, and
// their ids, seven ranges of 4096 behind ten of their own.
func TestSNAC(t *testing.T) {
	r := Rates{1, 2, 4}
	codes := [][]int32{{10, 11}, {20, 21, 22, 23}, {30, 31, 32, 33, 34, 35, 36, 37}}
	tokens, err := r.Join(codes)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{10, 20, 21, 30, 31, 32, 33, 11, 22, 23, 34, 35, 36, 37}; tokens.Frames != 2 || !slices.Equal(tokens.Codes, want) {
		t.Fatalf("%v, want %v", tokens, want)
	}
	back, err := r.Split(tokens)
	if err != nil || !reflect.DeepEqual(back, codes) {
		t.Fatalf("%v, %v, want %v", back, err, codes)
	}
	want := []int32{10, 20, 30, 31, 21, 32, 33, 11, 22, 34, 35, 23, 36, 37}
	// A model says by its bitrate steps that the rates differ.
	for _, info := range []codec.Info{model(slices.Repeat([]int{4096}, 7)), model(slices.Repeat([]int{4096}, 7), 1, 3, 7)} {
		o := VocabularyOptions{Base: 128266}
		if info.Levels == nil {
			o.Rates = r
		}
		v, err := NewVocabulary(info, 0, o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.Arrange(tokens)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range s.IDs {
			if want := 128266 + int32(i%7)*4096 + want[i]; id != want {
				t.Errorf("id %d is %d, want %d", i, id, want)
			}
		}
	}
	coarse, err := NewVocabulary(model(slices.Repeat([]int{100}, 7), 1, 3, 7), 0, VocabularyOptions{Layout: Coarse, Share: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := coarse.Arrange(tokens)
	if want := []int32{10, 11, 120, 121, 122, 123, 230, 231, 232, 233, 234, 235, 236, 237}; err != nil || !slices.Equal(s.IDs, want) {
		t.Errorf("coarse: %v, %v, want %v", s.IDs, err, want)
	}
	four := Rates{1, 2, 4, 8}
	books := four.Codebooks()
	var got []int
	for _, c := range four.Order() {
		got = append(got, books[c])
	}
	if !slices.Equal(got, []int{0, 1, 2, 3, 3, 2, 3, 3, 1, 2, 3, 3, 2, 3, 3}) {
		t.Errorf("four rates: %v", got)
	}
	if _, err := r.Join([][]int32{{1}, {2}, {3}}); err == nil {
		t.Error("codes that do not fit the rates were joined")
	}
}

// TestRestoreRefuses: what no frames give is an error, never other frames.
func TestRestoreRefuses(t *testing.T) {
	rvq := model([]int{10, 10, 10}, 1, 2, 3)
	for _, c := range []struct {
		layout Layout
		ids    []int32
	}{
		{Flat, []int32{1, 12}}, {Flat, []int32{12, 1, 23}}, {Flat, []int32{1, 12, 30}}, {Flat, []int32{-1, 12, 23}},
		{Parallel, []int32{1, 2}}, {Parallel, []int32{1, 2, 10}},
		{Delay, []int32{1, 2, 3}}, {Delay, []int32{1, 1, 10, 4, 2, 10, 7, 5, 3, 10, 8, 6, 10, 10, 9}},
		{Delay, []int32{1, 10, 10, 4, 10, 10, 7, 5, 3, 10, 8, 6, 10, 10, 9}},
		{Coarse, []int32{1, 4, 12, 23}},
	} {
		v, err := NewVocabulary(rvq, 0, VocabularyOptions{Layout: c.layout})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Restore(Sequence{c.ids, v.Width()}); err == nil {
			t.Errorf("%s: %v gave %v", c.layout, c.ids, got.Codes)
		}
	}
	v, err := NewVocabulary(model([]int{10}, 1), 0, VocabularyOptions{Layout: Runs})
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]int32{{1, 0}, {1, -5}, {1, 2, 1, 3}, {1, 1 << 30}} {
		if got, err := v.Restore(Sequence{ids, 2}); err == nil {
			t.Errorf("runs %v gave %v", ids, got.Frames)
		}
	}
}

// TestLayoutsOnSpeech: what a model gives for speech comes back from every layout,
// at every number of codebooks.
func TestLayoutsOnSpeech(t *testing.T) {
	m := native(t)
	pcm, err := audio.ReadMono("../samples/speech.wav", m.Info().SampleRate)
	if err != nil {
		t.Fatal(err)
	}
	for _, books := range m.Info().Levels {
		want, err := m.Encode(t.Context(), pcm, books)
		if err != nil {
			t.Fatal(err)
		}
		for _, layout := range Layouts {
			if (layout == Units || layout == Runs) && books > 1 {
				continue
			}
			v, err := NewVocabulary(m.Info(), books, VocabularyOptions{Layout: layout, Ends: true})
			if err != nil {
				t.Fatal(err)
			}
			s, err := v.Arrange(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Restore(s)
			if err != nil {
				t.Fatal(err)
			}
			codes := want.Codes
			if layout == Units {
				codes = slices.Compact(slices.Clone(codes))
			}
			if !slices.Equal(got.Codes, codes) {
				t.Errorf("%d codebooks, %s: other codes come back", books, layout)
			}
		}
	}
}
