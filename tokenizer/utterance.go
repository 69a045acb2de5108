package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Utterance is one entry of a data set.
type Utterance struct {
	ID       string
	Text     string // transcript
	Speaker  string
	Language string
	// Samples is the length of the sound at SampleRate, its own rate; -1 where
	// it is not known. Decoding gives as many.
	Samples    int64
	SampleRate int
	Sequence   Sequence
}

// Seconds is the length of the sound, 0 where it is not known.
func (u *Utterance) Seconds() float64 {
	if u.Samples < 0 || u.SampleRate < 1 {
		return 0
	}
	return float64(u.Samples) / float64(u.SampleRate)
}

// unshape joins the rows of formats that nest lists; width is that of the
// vocabulary.
func unshape(rows [][]int32, width int) (Sequence, error) {
	s := Sequence{Width: width, IDs: make([]int32, 0, len(rows)*width)}
	for i, row := range rows {
		if len(row) != width {
			return s, fmt.Errorf("row %d holds %d ids, not %d", i, len(row), width)
		}
		s.IDs = append(s.IDs, row...)
	}
	return s, nil
}

// key is an id in a form that may be a relative file name, the key of a WebDataset
// or of a Kaldi table: what those take for something else is written as %XX. Ids
// that differ have keys that differ, in upper and lower case alike on systems
// that tell these apart.
func key(id string, dots bool) string {
	var b strings.Builder
	parts := strings.Split(id, "/")
	for k, part := range parts {
		if k > 0 {
			b.WriteByte('/')
		}
		if part == "" {
			b.WriteString("%")
			continue
		}
		special := strings.Trim(part, ".") == "" // . and ..
		for i := 0; i < len(part); {
			r, n := utf8.DecodeRuneInString(part[i:])
			bad := r == utf8.RuneError && n < 2 || r <= ' ' || r == 0x7f || strings.ContainsRune(`%\:*?"<>|`, r) ||
				r == '.' && (!dots || special) || r == 0xa0 || r == 0x85 || r == 0x2028 || r == 0x2029
			for _, c := range []byte(part[i : i+n]) {
				if bad {
					fmt.Fprintf(&b, "%%%02X", c)
				} else {
					b.WriteByte(c)
				}
			}
			i += n
		}
	}
	return b.String()
}

// unkey is the inverse of key.
func unkey(k string) string {
	if !strings.Contains(k, "%") {
		return k
	}
	var b strings.Builder
	for i := 0; i < len(k); i++ {
		if k[i] != '%' {
			b.WriteByte(k[i])
			continue
		}
		if i+2 < len(k) {
			if x, err := strconv.ParseUint(k[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(x))
				i += 2
			}
		}
	}
	return b.String()
}

// maxID bounds an id, in bytes: with every byte as %XX its parts still fit
// what file systems take.
const maxID = 1024

// FileName is an id as the relative name of a file, without an extension, that no
// file system takes for anything else; ids that differ have names that differ.
func FileName(id string) string { return key(id, true) }
