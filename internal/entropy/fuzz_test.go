package entropy

import (
	"reflect"
	"testing"
)

// Whatever bytes give, they give codes within their codebooks, and those survive.
func FuzzDecode(f *testing.F) {
	n := random(f, 9, small())
	f.Add([]byte{}, 3, 1)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 2)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, 1, 3)
	f.Fuzz(func(t *testing.T, data []byte, frames, books int) {
		if books < 1 || books > n.Codebooks || frames < 0 || frames > 100 {
			return
		}
		c, err := n.NewCoder(books, false)
		if err != nil {
			t.Fatal(err)
		}
		codes, err := c.Decode(data, 1, frames)
		if err != nil {
			return
		}
		for _, v := range codes[0] {
			if v < 0 || int(v) >= n.Size {
				t.Fatalf("code %d", v)
			}
		}
		code := c.Encode(nil, codes)
		if len(code) > len(data) {
			t.Fatalf("%d bytes, though %d name the same codes", len(code), len(data))
		}
		again, err := c.Decode(code, 1, frames)
		if err != nil || !reflect.DeepEqual(again, codes) {
			t.Fatalf("codes differ the second time: %v", err)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	good, err := random(f, 9, small()).Marshal([8]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:200])
	f.Fuzz(func(t *testing.T, data []byte) { Unmarshal(data) })
}
