package transcript

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestAlign(t *testing.T) {
	edits := Align(strings.Fields("the cat sat on a mat"), strings.Fields("cat sat in a mat today"))
	var got []string
	for _, e := range edits {
		got = append(got, string(e.Op)+" "+e.Ref+"/"+e.Hyp)
	}
	want := "deletion the/, match cat/cat, match sat/sat, substitution on/in, match a/a, match mat/mat, insertion /today"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
	var e Errors
	e.Add(edits)
	if e != (Errors{6, 1, 1, 1}) || e.Rate() != 0.5 {
		t.Errorf("%+v, rate %v", e, e.Rate())
	}
	if (Errors{}).Rate() != 0 || len(Align(nil, nil)) != 0 {
		t.Error("nothing is no error")
	}
}

// distance by its recursive definition.
func distance(a, b string) int {
	switch {
	case a == "":
		return len(b)
	case b == "":
		return len(a)
	case a[0] == b[0]:
		return distance(a[1:], b[1:])
	}
	return 1 + min(distance(a[1:], b[1:]), distance(a[1:], b), distance(a, b[1:]))
}

func TestAlignIsShortest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func() string {
		b := make([]byte, rng.IntN(7))
		for i := range b {
			b[i] = byte('a' + rng.IntN(3))
		}
		return string(b)
	}
	for range 500 {
		a, b := random(), random()
		edits := Align(Letters(a), Letters(b))
		var e Errors
		e.Add(edits)
		if n := e.Substitutions + e.Deletions + e.Insertions; n != distance(a, b) || e.Words != len(a) {
			t.Fatalf("%q to %q: %+v, the distance is %d", a, b, e, distance(a, b))
		}
		left, right := "", ""
		for _, x := range edits {
			left, right = left+x.Ref, right+x.Hyp
			if (x.Op == Match) != (x.Ref == x.Hyp) || x.RefAt >= 0 && a[x.RefAt:x.RefAt+1] != x.Ref || x.HypAt >= 0 && b[x.HypAt:x.HypAt+1] != x.Hyp {
				t.Fatalf("%+v", x)
			}
		}
		if left != a || right != b {
			t.Fatalf("%q to %q aligns %q with %q", a, b, left, right)
		}
	}
}
