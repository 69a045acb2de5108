package tokenizer

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxLine bounds a line of a manifest, in bytes.
const maxLine = 4 << 20

func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 1<<16), maxLine)
	return s
}

// pathIn is a path of a manifest in dir.
func pathIn(dir, path string) string {
	if filepath.IsAbs(path) || dir == "" {
		return path
	}
	return filepath.Join(dir, filepath.FromSlash(path))
}

// idOf is the id of a path that a manifest names without one.
func idOf(path string) string {
	id := filepath.ToSlash(path)
	return strings.TrimSuffix(id, filepath.Ext(id))
}

// readTSV reads a table with a header: path, and where it has them id, text,
// speaker, lang, seconds, start, duration, channel and split.
func readTSV(dir string, r io.Reader, split string, yield func(Item) error) error {
	s := lines(r)
	if !s.Scan() {
		return errors.Join(s.Err(), errors.New("is empty: give a tab-separated manifest whose first line names the columns"))
	}
	header := strings.Split(strings.TrimSuffix(s.Text(), "\r"), "\t")
	at := func(fields []string, names ...string) string {
		for _, name := range names {
			if i := slices.Index(header, name); i >= 0 && i < len(fields) {
				return fields[i]
			}
		}
		return ""
	}
	if !slices.Contains(header, "path") {
		return errors.New("its first line names no column \"path\": give a tab-separated manifest")
	}
	if split != "" && !slices.Contains(header, "split") {
		return errors.New("it has no column \"split\": leave --split out")
	}
	for n := 2; s.Scan(); n++ {
		f := strings.Split(strings.TrimSuffix(s.Text(), "\r"), "\t")
		path := at(f, "path")
		if path == "" || split != "" && at(f, "split") != split {
			continue
		}
		item := Item{
			ID: cmp.Or(at(f, "id"), idOf(path)), Path: pathIn(dir, path), Channel: -1,
			Text: at(f, "text", "sentence"), Speaker: at(f, "speaker"), Language: at(f, "lang", "language"),
		}
		for _, x := range []struct {
			dst  *float64
			text string
		}{{&item.Seconds, at(f, "seconds")}, {&item.Start, at(f, "start")}, {&item.Duration, at(f, "duration")}} {
			if err := number(x.dst, x.text); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if c := at(f, "channel"); c != "" {
			k, err := strconv.Atoi(c)
			if err != nil {
				return fmt.Errorf("line %d: channel %q is no number", n, c)
			}
			item.Channel = k
		}
		if item.Start == 0 && item.Duration > 0 && !slices.Contains(header, "start") {
			item.Seconds, item.Duration = item.Duration, 0 // the length of the file, not of a part
		}
		if err := yield(item); err != nil {
			return err
		}
	}
	return s.Err()
}

func number(dst *float64, text string) error {
	if text == "" {
		return nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0) || math.IsInf(x, 0) {
		return fmt.Errorf("%q is no number of seconds", text)
	}
	*dst = x
	return nil
}

// entry is a line of a JSON manifest: ours, NeMo's (audio_filepath, offset), or a
// Lhotse cut.
type entry struct {
	ID        string   `json:"id"`
	UttID     string   `json:"utt_id"`
	Key       string   `json:"key"`
	Path      string   `json:"path"`
	Audio     string   `json:"audio"`
	AudioPath string   `json:"audio_filepath"`
	Wav       string   `json:"wav"`
	Text      string   `json:"text"`
	Speaker   label    `json:"speaker"`
	SpeakerID label    `json:"speaker_id"`
	Language  string   `json:"language"`
	Lang      string   `json:"lang"`
	Split     string   `json:"split"`
	Seconds   float64  `json:"seconds"`
	Start     *float64 `json:"start"`
	Offset    *float64 `json:"offset"`
	Duration  float64  `json:"duration"`
	Channel   any      `json:"channel"`

	Recording *struct {
		ID      string `json:"id"`
		Sources []struct {
			Type     string `json:"type"`
			Channels []int  `json:"channels"`
			Source   string `json:"source"`
		} `json:"sources"`
	} `json:"recording"`
	Supervisions []struct {
		Text     string `json:"text"`
		Speaker  label  `json:"speaker"`
		Language string `json:"language"`
	} `json:"supervisions"`
}

// label is a string that some manifests write as a number.
type label string

func (l *label) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(l))
	}
	if string(b) != "null" {
		*l = label(b)
	}
	return nil
}

// readJSONL reads a JSON object a line.
func readJSONL(dir string, r io.Reader, split string, yield func(Item) error) error {
	s := lines(r)
	for n := 1; s.Scan(); n++ {
		if strings.TrimSpace(s.Text()) == "" {
			continue
		}
		var e entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if split != "" && e.Split != split {
			continue
		}
		item, err := e.item(dir)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := yield(item); err != nil {
			return err
		}
	}
	return s.Err()
}

func readJSONLGz(dir string, r io.Reader, split string, yield func(Item) error) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	return readJSONL(dir, z, split, yield)
}

func (e *entry) item(dir string) (Item, error) {
	path := cmp.Or(e.Path, e.Audio, e.AudioPath, e.Wav)
	item := Item{
		ID: cmp.Or(e.ID, e.UttID, e.Key), Channel: -1, Text: e.Text,
		Speaker: string(cmp.Or(e.Speaker, e.SpeakerID)), Language: cmp.Or(e.Language, e.Lang), Seconds: e.Seconds,
	}
	switch c := e.Channel.(type) {
	case nil:
	case float64:
		item.Channel = int(c)
	case []any: // a Lhotse MultiCut
		if len(c) == 1 {
			if k, ok := c[0].(float64); ok {
				item.Channel = int(k)
			}
		}
	default:
		return item, fmt.Errorf("channel %v is no number", c)
	}
	start := e.Start
	if start == nil {
		start = e.Offset
	}
	switch {
	case start != nil:
		item.Start, item.Duration = *start, e.Duration
	default:
		item.Seconds = cmp.Or(item.Seconds, e.Duration)
	}
	if e.Recording != nil {
		sources := e.Recording.Sources
		if len(sources) == 0 {
			return item, errors.New("the cut's recording has no source")
		}
		path = sources[0].Source
		if len(sources) > 1 && item.Channel >= 0 { // a file a channel
			for _, src := range sources {
				if i := slices.Index(src.Channels, item.Channel); i >= 0 {
					path, item.Channel = src.Source, i
					sources = sources[:1]
					break
				}
			}
		}
		if t := sources[0].Type; t != "file" && t != "" || len(sources) > 1 {
			item.Broken = fmt.Sprintf("its recording is of type %q in %d parts: only single files are read", t, len(sources))
		}
		if len(e.Supervisions) > 0 {
			x := e.Supervisions[0]
			item.Speaker, item.Language = cmp.Or(item.Speaker, string(x.Speaker)), cmp.Or(item.Language, x.Language)
			var texts []string
			for _, x := range e.Supervisions {
				if x.Text != "" {
					texts = append(texts, x.Text)
				}
			}
			item.Text = cmp.Or(item.Text, strings.Join(texts, " "))
		}
	}
	if path == "" {
		return item, errors.New("it names no file: give path, audio, audio_filepath, wav or a recording")
	}
	if !(item.Start >= 0) || !(item.Duration >= 0) || !(item.Seconds >= 0) {
		return item, errors.New("a time is negative")
	}
	item.ID = cmp.Or(item.ID, idOf(path))
	item.Path = pathIn(dir, path)
	return item, nil
}

// readSCP reads Kaldi's table of recordings: an id and a path.
func readSCP(dir string, r io.Reader, _ string, yield func(Item) error) error {
	s := lines(r)
	for s.Scan() {
		id, path, _ := strings.Cut(strings.TrimSpace(s.Text()), " ")
		if id == "" {
			continue
		}
		path = strings.TrimSpace(path)
		item := Item{ID: id, Path: pathIn(dir, path), Channel: -1}
		if strings.HasSuffix(path, "|") || path == "" {
			item.Path, item.Broken = path, "is a command, not a file: run it and name its output"
		}
		if err := yield(item); err != nil {
			return err
		}
	}
	return s.Err()
}

// readList reads a path a line.
func readList(dir string, r io.Reader, _ string, yield func(Item) error) error {
	s := lines(r)
	for s.Scan() {
		path := strings.TrimSuffix(s.Text(), "\r")
		if path == "" || path[0] == '#' {
			continue
		}
		if err := yield(Item{ID: idOf(path), Path: pathIn(dir, path), Channel: -1}); err != nil {
			return err
		}
	}
	return s.Err()
}
