package entropy

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// random makes a network of small random weights.
func random(t testing.TB, seed uint64, c Config) *Network {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	q, leaves := c.Codebooks, 1<<c.Depth()
	var w Weights
	for range q {
		for _, r := range rng.Perm(leaves)[:c.Size] {
			w.Ranks = append(w.Ranks, uint16(r))
		}
	}
	for _, tensor := range tensors(c, &w)[1:] {
		n := 1
		for _, d := range tensor.shape {
			n *= d
		}
		for range n {
			switch v := tensor.data.(type) {
			case *[]int8:
				*v = append(*v, int8(rng.IntN(256)-128))
			case *[]int16:
				*v = append(*v, int16(rng.IntN(401)-200))
			case *[]int32:
				*v = append(*v, int32(rng.IntN(2001)-1000))
			case *[]uint16:
				*v = append(*v, uint16(1+rng.IntN(65535)))
			}
		}
	}
	n, err := NewNetwork(c, w)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func small() Config {
	return Config{Codebooks: 3, Size: 20, Dim: 6, Lags: 2, Means: []int{1, 3}, Trunk: 18, Hidden: 20, Out: 5,
		TrunkShift: 6, HiddenShift: 5, OutShift: 6, NodeShift: 8}
}

func TestFileRoundTrip(t *testing.T) {
	for seed := range uint64(5) {
		n := random(t, seed, small())
		data, err := n.Marshal([8]byte{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		back, weights, err := Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		if weights != [8]byte{1, 2, 3} || !reflect.DeepEqual(n.Config, back.Config) || !reflect.DeepEqual(n.w, back.w) {
			t.Fatal("the network that was read differs from the one written")
		}
	}
}

func TestPacketRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 60 {
		n := random(t, uint64(i), small())
		books := 1 + rng.IntN(n.Codebooks)
		c, err := n.NewCoder(books, i%4 == 0)
		if err != nil {
			t.Fatal(err)
		}
		frames := rng.IntN(80)
		channels := make([][]int32, 1+rng.IntN(3))
		for k := range channels {
			for range frames * books {
				channels[k] = append(channels[k], int32(rng.IntN(n.Size)))
			}
		}
		code := c.Encode([]byte("before"), channels)
		if string(code[:6]) != "before" {
			t.Fatal("what stood before the code changed")
		}
		got, err := c.Decode(code[6:], len(channels), frames)
		if err != nil {
			t.Fatal(err)
		}
		for k := range channels {
			if len(got[k]) != frames*books || frames > 0 && !reflect.DeepEqual(got[k], channels[k]) {
				t.Fatalf("codes of channel %d differ", k)
			}
		}
		// A coder remembers nothing of the packet before.
		if again := c.Encode(nil, channels); string(again) != string(code[6:]) {
			t.Fatal("the same packet has another code the second time")
		}
	}
}
