package tokenizer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sotto-audio/sotto/internal/audio"
)

// Item is an utterance that waits to be encoded.
type Item struct {
	ID       string  `json:"id"`
	Path     string  `json:"path"`               // an audio file, a .sotto file, or a tar file that holds one
	Offset   int64   `json:"offset,omitempty"`   // of the file inside of a tar file
	Size     int64   `json:"size,omitempty"`     // of the file inside of a tar file; 0 is a file of its own
	Start    float64 `json:"start,omitempty"`    // seconds, of a part of the file
	Duration float64 `json:"duration,omitempty"` // seconds, of that part; 0 is to the end
	Channel  int     `json:"channel"`            // from 0; -1 is the mean of all
	Text     string  `json:"text,omitempty"`
	Speaker  string  `json:"speaker,omitempty"`
	Language string  `json:"language,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"` // about how long it is: an aid to plan, never trusted
	Broken   string  `json:"broken,omitempty"`
}

// Planned is about how many seconds of sound there are.
func (i *Item) Planned() float64 {
	if i.Duration > 0 {
		return i.Duration
	}
	return i.Seconds
}

// Inputs names what a corpus consists of. Each path is an audio or .sotto file, a
// folder, a pattern of names, a manifest (.tsv with a column path, .jsonl,
// .jsonl.gz, Lhotse cuts, Kaldi's .scp), a list (.txt or .lst, a path a line), a
// .tar of audio files with .json or .txt beside them, or "-", a list on standard
// input.
type Inputs struct {
	Paths []string
	Split string    // where manifests have a column split, only these rows
	Stdin io.Reader // of "-": read once, into a temporary file
	stdin string    // that file
}

// Close removes what Walk kept of standard input.
func (in *Inputs) Close() error {
	if in.stdin == "" {
		return nil
	}
	return os.Remove(in.stdin)
}

// Walk gives the items in an order that does not change, and holds few of them
// in memory. A file that cannot be listed is an item with Broken set, so that
// it is reported with the rest.
func (in *Inputs) Walk(ctx context.Context, yield func(Item) error) error {
	for _, path := range in.Paths {
		if err := in.walk(ctx, path, func(i Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(i.ID) > maxID {
				i.ID, i.Broken = i.ID[:64], fmt.Sprintf("its id has %d bytes: at most %d", len(i.ID), maxID)
			}
			return yield(i)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (in *Inputs) walk(ctx context.Context, path string, yield func(Item) error) error {
	if path == "-" {
		return in.walkStdin(ctx, yield)
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, "*?[") {
		names, err := filepath.Glob(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(names) == 0 {
			return fmt.Errorf("%s: matches no file: check the pattern", path)
		}
		for _, name := range names {
			if err := in.walk(ctx, name, yield); err != nil {
				return err
			}
		}
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such file: check the name", path)
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		return walkFolder(path, yield)
	}
	name := strings.ToLower(path)
	for suffix, read := range map[string]func(string, io.Reader, string, func(Item) error) error{
		".tsv": readTSV, ".jsonl": readJSONL, ".jsonl.gz": readJSONLGz, ".scp": readSCP, ".txt": readList, ".lst": readList,
	} {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := read(filepath.Dir(path), f, in.Split, yield); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	if strings.HasSuffix(name, ".tar") {
		if err := walkTar(path, yield); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	return yield(fileItem(path, filepath.Base(path), st.Size()))
}

// fileItem is a file of its own, whose id is its name without the extension.
func fileItem(path, name string, size int64) Item {
	id := filepath.ToSlash(name)
	return Item{ID: strings.TrimSuffix(id, filepath.Ext(id)), Path: path, Channel: -1, Seconds: guess(size)}
}

// guess gives the seconds of a file of that many bytes, as if it were 16-bit
// PCM at 16 kHz.
func guess(size int64) float64 { return float64(size) / 32000 }

// audioExtensions are the names under which a folder's files are taken for audio
// without a look: also those that are not read here, so that they are reported.
var audioExtensions = []string{
	".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sotto", ".rf64", ".bwf", ".w64",
	".m4a", ".aac", ".aiff", ".aif", ".wma", ".sph", ".amr", ".au", ".caf", ".wv", ".ape", ".webm", ".mp4",
}

// walkFolder gives the files under dir in the order of their names. Those of
// other extensions are taken if they begin like audio.
func walkFolder(dir string, yield func(Item) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil {
			item := fileItem(path, name, 0)
			item.Broken = errors.Unwrap(err).Error()
			return yield(item)
		}
		if strings.HasPrefix(d.Name(), ".") && path != dir {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		st, err := os.Stat(path) // follows links to files
		if err != nil || !st.Mode().IsRegular() {
			if err == nil || !slices.Contains(audioExtensions, strings.ToLower(filepath.Ext(path))) {
				return nil
			}
			st, _ = d.Info()
		}
		if !slices.Contains(audioExtensions, strings.ToLower(filepath.Ext(path))) && !beginsLikeAudio(path) {
			return nil
		}
		size := int64(0)
		if st != nil {
			size = st.Size()
		}
		return yield(fileItem(path, name, size))
	})
}

func beginsLikeAudio(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 16)
	n, _ := io.ReadFull(f, head)
	return audio.HasMagic(head[:n])
}

// walkStdin reads a list of paths, or of JSON lines, from standard input. It is
// kept in a file, because a corpus is walked twice.
func (in *Inputs) walkStdin(ctx context.Context, yield func(Item) error) error {
	if in.stdin == "" {
		f, err := os.CreateTemp("", "sotto-list-")
		if err != nil {
			return err
		}
		defer f.Close()
		in.stdin = f.Name()
		if _, err := io.Copy(f, in.Stdin); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
	f, err := os.Open(in.stdin)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewReader(f)
	read := readList
	if head, _ := b.Peek(1); len(head) == 1 && head[0] == '{' {
		read = readJSONL
	}
	if err := read("", b, in.Split, yield); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}
