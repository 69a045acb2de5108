package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// source is one row of sources.tsv; README.md explains the columns.
type source struct {
	name, role, lang, speaker, text string
	repository, commit              string
	paths, permit, except           string
	files                           int
	sha256                          string
}

// clip is one recording of a source.
type clip struct {
	id      string // name of the file without its ending
	file    string // in the repository
	path    string // of the FLAC file to write, below the output folder
	speaker string
	text    string
}

func parseSources(tsv string) ([]source, error) {
	var out []source
	for i, line := range strings.Split(strings.TrimSpace(tsv), "\n")[1:] {
		c := strings.Split(line, "\t")
		if len(c) != 14 {
			return nil, fmt.Errorf("row %d has %d columns, not 14", i+2, len(c))
		}
		n, err := strconv.Atoi(c[10])
		if err != nil {
			return nil, fmt.Errorf("row %d: number of files: %w", i+2, err)
		}
		out = append(out, source{c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], n, c[11]})
	}
	return out, nil
}

// open clones the repository where it is not there yet, checks the SHA-256 of
// the clips of s and gives them. Their content is read from the repo, which the
// caller closes.
func (s source) open(clones string) (*repo, []clip, error) {
	g, err := openRepo(filepath.Join(clones, strings.ReplaceAll(s.repository, "/", "+")), "https://github.com/"+s.repository, s.commit)
	if err != nil {
		return nil, nil, err
	}
	clips, err := s.clips(g)
	if err != nil {
		g.close()
		return nil, nil, err
	}
	return g, clips, nil
}

// clips checks the SHA-256 of the clips of s and gives them, by name.
func (s source) clips(g *repo) (clips []clip, err error) {
	names, permits, err := s.choose(g)
	if err != nil {
		return nil, err
	}
	if err = s.verify(g, names); err != nil {
		return nil, err
	}
	text, err := s.transcripts(g)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		id := clipID(name)
		folder := path.Base(path.Dir(name))
		if s.text == "folder" {
			id = strings.ReplaceAll(folder, " ", "-") + "-" + id
		}
		t, err := text(id, folder)
		if err != nil {
			return nil, err
		}
		dir := s.name
		if s.role == "noise" {
			dir = filepath.Join("noise", s.name)
		}
		if _, class, ok := strings.Cut(folder, " - "); ok {
			folder = class
		}
		clips = append(clips, clip{
			id: id, file: name, text: strings.Join(strings.Fields(t), " "),
			path: filepath.Join(dir, id+".flac"),
			speaker: strings.NewReplacer("{prefix}", idPrefix(id), "{permit}", permits[path.Base(name)],
				"{folder}", strings.ReplaceAll(strings.ToLower(folder), " ", "-")).Replace(s.speaker),
		})
	}
	return clips, nil
}

// clipID gives the name of a clip from its file: without folders, ending and
// a mark before "!", which says what the clip was used for, not what it is.
func clipID(file string) string {
	id := strings.TrimSuffix(path.Base(file), path.Ext(file))
	return id[strings.LastIndexByte(id, '!')+1:]
}

// idPrefix gives the part of a clip's name before the first "-" or "_", which
// is the speaker in LibriSpeech and VCTK.
func idPrefix(id string) string { return id[:strings.IndexAny(id+"-", "-_")] }

// verify checks the number of files and the SHA-256 over their list: one line
// "SHA-256 of the file, two spaces, name" each, as sha256sum prints it.
func (s source) verify(g *repo, names []string) error {
	list := sha256.New()
	for _, name := range names {
		b, err := g.read(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(b), name)
	}
	if sum := hex.EncodeToString(list.Sum(nil)); sum != s.sha256 || len(names) != s.files {
		return fmt.Errorf("%s at %s: %d files of %s have SHA-256 %s, expected %d with %s: the clone is damaged or sources.tsv is wrong: delete the clone and try again",
			s.repository, s.commit, len(names), s.paths, sum, s.files, s.sha256)
	}
	return nil
}

// choose gives the files that match the source's paths, in order, and for each
// clip that a licence file names the contributor of that licence.
func (s source) choose(g *repo) (names []string, permits map[string]string, err error) {
	permits = map[string]string{}
	if s.permit != "" {
		for _, name := range g.match(s.permit) {
			b, err := g.read(name)
			if err != nil {
				return nil, nil, err
			}
			// Named license-YYYYMMDD-contributor.txt.
			parts := strings.SplitN(strings.TrimSuffix(path.Base(name), ".txt"), "-", 3)
			who := parts[len(parts)-1]
			for _, w := range strings.Fields(string(b)) {
				if strings.HasSuffix(w, ".wav") {
					permits[path.Base(w)] = who
				}
			}
		}
	}
	except := strings.Split(s.except, ",")
	for _, name := range g.match(s.paths) {
		_, permitted := permits[path.Base(name)]
		if (permitted || s.permit == "") && !slices.Contains(except, path.Base(name)) {
			names = append(names, name)
		}
	}
	return names, permits, nil
}

// transcripts gives the lookup of texts that the column "text" asks for.
func (s source) transcripts(g *repo) (func(id, folder string) (string, error), error) {
	rule, arg, _ := strings.Cut(s.text, ":")
	table := map[string]string{}
	switch rule {
	case "":
	case "say":
		return func(string, string) (string, error) { return arg, nil }, nil
	case "folder":
		return func(_, folder string) (string, error) { return folder, nil }, nil
	case "file":
		return func(id, _ string) (string, error) {
			name := strings.ReplaceAll(arg, "{id}", id)
			if g.blobs[name] == "" {
				return "", nil
			}
			b, err := g.read(name)
			return string(b), err
		}, nil
	case "table":
		name, col, _ := strings.Cut(arg, ":")
		n, err := strconv.Atoi(col)
		if err != nil {
			return nil, fmt.Errorf("text rule %q: %w", s.text, err)
		}
		b, err := g.read(name)
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Split(line, "|"); len(f) >= n {
				table[f[0]] = f[n-1]
			}
		}
	case "csv":
		a := strings.Split(arg, ":")
		if len(a) != 3 {
			return nil, fmt.Errorf("text rule %q: not csv:FILE:COLUMN:COLUMN", s.text)
		}
		b, err := g.read(a[0])
		if err != nil {
			return nil, err
		}
		comma := ','
		if strings.HasSuffix(a[0], ".tsv") {
			comma = '\t'
		}
		if err := csvTexts(table, b, comma, a[1], a[2]); err != nil {
			return nil, fmt.Errorf("%s: %w", a[0], err)
		}
	case "labels":
		b, err := labels.ReadFile("labels/" + s.labels() + ".tsv")
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
			id, text, _ := strings.Cut(line, "\t")
			table[id] = text
		}
	case "trans":
		files := "**.trans.txt"
		if arg != "" {
			files = arg
		}
		for _, name := range g.match(files) {
			b, err := g.read(name)
			if err != nil {
				return nil, err
			}
			for _, line := range strings.Split(string(b), "\n") {
				id := line[:strings.IndexAny(line+" ", " \t")]
				table[id] = strings.ToLower(strings.TrimSpace(line[len(id):]))
			}
		}
	default:
		return nil, fmt.Errorf("unknown text rule %q", s.text)
	}
	return func(id, _ string) (string, error) { return table[id], nil }, nil
}

// labels names the file of labels/ with the transcripts of s, without its ending:
// the one that the column "text" names, else the source's own. It is empty where
// the transcripts are elsewhere.
func (s source) labels() string {
	rule, arg, _ := strings.Cut(s.text, ":")
	if rule != "labels" {
		return ""
	}
	if arg != "" {
		return arg
	}
	return s.name
}

// labels holds transcripts of clips whose repository has none; README.md says where
// they come from.
//
//go:embed labels/*.tsv
var labels embed.FS

// csvTexts adds to table the texts of a file of columns with a heading, parted
// by comma: the column clip names a clip's file, with or without folders, the
// column text has its transcript. Where tabs part the columns, quotes are text.
func csvTexts(table map[string]string, file []byte, comma rune, clip, text string) error {
	var rows [][]string
	var err error
	if comma == '\t' {
		for _, line := range strings.Split(strings.TrimSpace(string(file)), "\n") {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, "\r"), "\t"))
		}
	} else if rows, err = csv.NewReader(bytes.NewReader(file)).ReadAll(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("no heading")
	}
	c, t := slices.Index(rows[0], clip), slices.Index(rows[0], text)
	if c < 0 || t < 0 {
		return fmt.Errorf("no columns %q and %q", clip, text)
	}
	for _, row := range rows[1:] {
		if len(row) <= max(c, t) {
			return fmt.Errorf("a row of %d columns, not %d", len(row), len(rows[0]))
		}
		name := path.Base(row[c])
		table[strings.TrimSuffix(name, path.Ext(name))] = row[t]
	}
	return nil
}

var takeNumber = regexp.MustCompile(`_[0-9]{8,}$`)

// baseID is a clip's name without the number of the take, so that all takes of
// one sentence stay on one side of a split.
func baseID(id string) string { return takeNumber.ReplaceAllString(id, "") }

// repo reads the files of one commit of a git repository.
type repo struct {
	dir   string
	blobs map[string]string // file to object name
	cat   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

// openRepo opens the clone in dir, fetching the commit from url where it is
// missing.
func openRepo(dir, url, commit string) (*repo, error) {
	if git(dir, "cat-file", "-e", commit+"^{commit}") != nil {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
		for _, args := range [][]string{{"init", "-q", "--bare"}, {"fetch", "-q", "--depth", "1", url, commit}} {
			if err := git(dir, args...); err != nil {
				return nil, err
			}
		}
	}
	tree, err := exec.Command("git", "-C", dir, "ls-tree", "-rz", commit).Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-tree %s: %w", commit, err)
	}
	g := &repo{dir: dir, blobs: map[string]string{}}
	for _, entry := range strings.Split(string(tree), "\x00") {
		if meta, name, ok := strings.Cut(entry, "\t"); ok {
			g.blobs[name] = strings.Fields(meta)[2]
		}
	}
	g.cat = exec.Command("git", "-C", dir, "cat-file", "--batch")
	if g.in, err = g.cat.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := g.cat.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = bufio.NewReader(out)
	return g, g.cat.Start()
}

func git(dir string, args ...string) error {
	if msg, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(msg)))
	}
	return nil
}

func (g *repo) close() {
	g.in.Close()
	// The process was only read from: how it ends says nothing about the data.
	_ = g.cat.Wait()
}

// match gives the files that a pattern selects, in byte order. "*" stands for
// anything but a slash, "**" for anything.
func (g *repo) match(pattern string) []string {
	p := regexp.QuoteMeta(pattern)
	p = strings.ReplaceAll(p, `\*\*`, ".+")
	re := regexp.MustCompile("^" + strings.ReplaceAll(p, `\*`, "[^/]*") + "$")
	var names []string
	for name := range g.blobs {
		if re.MatchString(name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

var errLacks = errors.New("the clone lacks it")

// read gives the content of a file.
func (g *repo) read(name string) ([]byte, error) {
	object := g.blobs[name]
	if object == "" {
		return nil, fmt.Errorf("%s: no such file in the commit", name)
	}
	if _, err := fmt.Fprintln(g.in, object); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	head, err := g.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	f := strings.Fields(head)
	if len(f) != 3 {
		return nil, fmt.Errorf("%s: %w (%s): delete the clone and try again", name, errLacks, strings.TrimSpace(head))
	}
	n, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("git cat-file: bad size in %q", head)
	}
	b, err := io.ReadAll(io.LimitReader(g.out, n))
	if err == nil {
		_, err = g.out.Discard(1)
	}
	if err != nil || int64(len(b)) != n {
		return nil, fmt.Errorf("%s: git cat-file ended early", name)
	}
	return b, nil
}
