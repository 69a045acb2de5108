package pickle

import (
	"bufio"
	"bytes"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

// names accepts every name and makes tuples of calls.
type names struct{}

func (names) Global(Global) error { return nil }
func (names) Call(f Global, args Tuple) (any, error) {
	return Tuple{f, args}, nil
}
func (names) Build(any, any) error           { return nil }
func (names) Persistent(id any) (any, error) { return id, nil }
func read(s string) (any, error)             { return Read(bufio.NewReader(strings.NewReader(s)), names{}) }
func dict(items ...any) *Dict                { d := &Dict{}; _ = d.add(items); return d }
func list(items ...any) *List                { return &List{items} }
func integer(s string) *big.Int              { n, _ := new(big.Int).SetString(s, 10); return n }

// The texts are what Python's pickle.dumps(value, protocol) gives.
func TestReadGivesWhatPythonWrote(t *testing.T) {
	for _, c := range []struct {
		pickle string
		want   any
	}{
		{"N.", nil},
		{"\x80\x02\x88.", true},
		{"I01\n.", true},
		{"I-5\n.", int64(-5)},
		{"L123L\n.", int64(123)},
		{"F1.5\n.", 1.5},
		{"\x80\x02K\x07.", int64(7)},
		{"\x80\x02M\x39\x30.", int64(12345)},
		{"\x80\x02J\xfe\xff\xff\xff.", int64(-2)},
		{"\x80\x02\x8a\x05\x00\x00\x00\x00\x01.", int64(1) << 32},
		{"\x80\x02\x8a\x00.", int64(0)},
		{"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", integer("119547037146038801333356")},
		{"\x80\x02G\xbf\xd0\x00\x00\x00\x00\x00\x00.", -0.25},
		{"\x80\x02X\x03\x00\x00\x00d\xc3\xa9q\x00.", "dé"},
		{"\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00\x8c\x02ab\x94.", "ab"},
		{"\x80\x03C\x02\x00\xffq\x00.", []byte{0, 255}},
		{"\x80\x02]q\x00(K\x01K\x02e.", list(int64(1), int64(2))},
		{"\x80\x02]q\x00K\x01a.", list(int64(1))},
		{"\x80\x02(K\x01K\x02K\x03K\x04tq\x00.", Tuple{int64(1), int64(2), int64(3), int64(4)}},
		{"\x80\x02K\x01K\x02\x86q\x00.", Tuple{int64(1), int64(2)}},
		{"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", dict("a", int64(1))},
		{"\x80\x02]q\x00(K\x01\x85q\x01h\x01e.", list(Tuple{int64(1)}, Tuple{int64(1)})},
		{"\x80\x04\x8f\x94(K\x01K\x02\x90.", list(int64(1), int64(2))},
		{"\x80\x02cm\nf\nq\x00K\x01\x85q\x01Rq\x02.", Tuple{Global("m.f"), Tuple{int64(1)}}},
		{"\x80\x04\x8c\x01m\x94\x8c\x01f\x94\x93\x94)\x81\x94.", Tuple{Global("m.f"), Tuple{}}},
		{"\x80\x02X\x01\x00\x00\x00kQ.", "k"},
	} {
		got, err := read(c.pickle)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %#v, %v; want %#v", c.pickle, got, err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, s := range []string{
		"", "\x80\x06N.", "K", ".", "(.", "a.", "]Na", "e.", "(e.", "Na.", "K\x01K\x02s.", "}(K\x01u.", "h\x00.", "\x85.", "(\x94.",
		"i.", "\x80\x02X\xff\xff\xff\x7fab.", "\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "\x8b\xff\xff\x00\x00a.",
		"cm\n", "NR.", "N)R.", "K\x01K\x02\x93.", "I1x\n.", "Fx\n.", "pq\n.",
	} {
		if v, err := read(s); err == nil {
			t.Errorf("%q gives %v", s, v)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01h\x01es."))
	f.Fuzz(func(_ *testing.T, data []byte) {
		// Errors are fine, panics are not.
		_, _ = Read(bufio.NewReader(bytes.NewReader(data)), names{})
	})
}
