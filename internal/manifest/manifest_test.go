package manifest

import (
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const table = "path\tmore\tsplit\r\n" +
		"a\t\"Quoted,\" he said\tvalid\r\n" +
		"\n" +
		"b\t\"never closed\ttrain\n" +
		"c"
	rows, err := Read(strings.NewReader(table), "split", "path")
	want := []Row{{2, []string{"valid", "a"}}, {4, []string{"train", "b"}}, {5, []string{"", "c"}}}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v, %v, want %v", rows, err, want)
	}
	for name, text := range map[string]string{
		"empty": "", "no such column": "path\tsplits\n", "endless line": "path\tsplit\n" + strings.Repeat("x", maxLine+1),
	} {
		if rows, err := Read(strings.NewReader(text), "path", "split"); err == nil {
			t.Errorf("%s: accepted as %v", name, rows)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("path\tsplit\na\tvalid\n")
	f.Add("split\tpath\r\n\"\t\"")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := Read(strings.NewReader(text), "path", "split")
		if err == nil && len(rows) > strings.Count(text, "\n") {
			t.Fatalf("%d rows", len(rows))
		}
		for _, r := range rows {
			if len(r.Fields) != 2 || strings.ContainsAny(r.Fields[0]+r.Fields[1], "\t\n") {
				t.Fatalf("row %+v", r)
			}
		}
	})
}
