package audio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// sniffBytes is how much of the start is looked at to tell what a source is.
const sniffBytes = 4096

// Open opens an audio file. What it is, is told by its content, never by its
// name. Errors name the file and what to do.
func Open(path string) (Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file: %w", path, fs.ErrNotExist)
		}
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s: is a directory: name the audio files in it", path)
	}
	src := &source{size: -1}
	if st.Mode().IsRegular() {
		src.size, src.at = st.Size(), f
	}
	r, err := newReader(f, path, src)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &fileReader{Reader: r, f: f}, nil
}

type fileReader struct {
	Reader
	f *os.File
}

func (r *fileReader) Close() error {
	return errors.Join(r.Reader.Close(), r.f.Close())
}

// NewReader reads audio of any kind that Open reads from a pipe. Name stands
// for it in errors; "-" is standard input.
func NewReader(r io.Reader, name string) (Reader, error) {
	return newReader(r, name, &source{size: -1})
}

func newReader(r io.Reader, name string, src *source) (Reader, error) {
	file := name
	if name == "-" {
		name, file = "standard input", "INPUT"
	}
	src.r = bufio.NewReaderSize(r, 1<<16)
	rd, err := src.open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &namedReader{Reader: rd, name: name}, nil
}

// namedReader puts the name of the source before its errors.
type namedReader struct {
	Reader
	name string
}

func (r *namedReader) Read(dst []float32) (int, error) {
	n, err := r.Reader.Read(dst)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", r.name, err)
	}
	return n, err
}

// source is the byte stream behind a reader.
type source struct {
	r    *bufio.Reader
	at   io.ReaderAt // the same bytes, nil on a pipe
	size int64       // bytes in all, -1 when unknown
	pos  int64       // bytes taken by discard
}

func (s *source) discard(n int64) error {
	for n > 0 {
		k, err := s.r.Discard(int(min(n, 1<<30)))
		s.pos += int64(k)
		n -= int64(k)
		if err != nil {
			return err
		}
	}
	return nil
}

// remaining is the number of bytes that follow what discard took, -1 when
// unknown.
func (s *source) remaining() int64 {
	if s.size < 0 {
		return -1
	}
	return max(0, s.size-s.pos)
}

func (s *source) open(file string) (Reader, error) {
	head, err := s.r.Peek(sniffBytes)
	if len(head) == 0 {
		if err != nil && err != io.EOF {
			return nil, err
		}
		return nil, errors.New("is empty: it holds no audio")
	}
	if err := s.skipID3(); err != nil {
		return nil, err
	}
	head, _ = s.r.Peek(sniffBytes)
	switch {
	case isWAV(head):
		return newWAVReader(s)
	case bytes.HasPrefix(head, []byte("fLaC")):
		return newFLACReader(s)
	case bytes.HasPrefix(head, []byte("OggS")):
		return newOggReader(s, file)
	}
	if kind := foreign(head); kind != "" {
		return nil, useFFmpeg(kind, file)
	}
	if i := findMP3(head); i >= 0 {
		if err := s.discard(int64(i)); err != nil {
			return nil, err
		}
		return newMP3Reader(s, file)
	}
	if isText(head) {
		return nil, errors.New("is a text file, not audio: give a WAV, FLAC, MP3, Ogg Vorbis or Ogg Opus file")
	}
	return nil, fmt.Errorf("is of no known audio format (WAV, FLAC, MP3, Ogg Vorbis, Ogg Opus): "+
		"if it is audio, convert it: %s", pipeHint(file))
}

// skipID3 skips ID3v2 tags: 10 bytes of header, whose last four hold 28 bits of
// size (id3.org, ID3v2.4 section 3.1).
func (s *source) skipID3() error {
	for {
		h, err := s.r.Peek(10)
		if err != nil || string(h[:3]) != "ID3" || (h[6]|h[7]|h[8]|h[9])&0x80 != 0 {
			return nil
		}
		n := int64(h[6])<<21 | int64(h[7])<<14 | int64(h[8])<<7 | int64(h[9])
		n += 10
		if h[5]&0x10 != 0 { // a footer repeats the header
			n += 10
		}
		if err := s.discard(n); err != nil {
			return errors.New("ends inside of its ID3 tag: the file is cut off: copy it again")
		}
	}
}

// pipeHint is the command that brings any file here.
func pipeHint(file string) string {
	if strings.ContainsAny(file, " \t'\"\\$&|;<>()*?[]`!#~") {
		file = "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
	}
	return "ffmpeg -i " + file + " -f wav - | sotto encode - out.sotto"
}

func useFFmpeg(kind, file string) error {
	return fmt.Errorf("is %s, which is not read here: convert it: %s", kind, pipeHint(file))
}

// foreign names the known kinds of media that are not read here.
func foreign(h []byte) string {
	at := func(off int, magic string) bool {
		return len(h) >= off+len(magic) && string(h[off:off+len(magic)]) == magic
	}
	switch {
	case at(4, "ftyp"):
		if at(8, "qt  ") {
			return "a QuickTime file"
		}
		return "an M4A/MP4 file (AAC or ALAC)"
	case at(0, "\x1aE\xdf\xa3"):
		return "a WebM or Matroska file"
	case at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC")):
		return "an AIFF file"
	case at(0, "RIFF") && at(8, "AVI "):
		return "an AVI video"
	case at(0, "RIFF"):
		return "a RIFF file but no WAV"
	case at(0, "RIFX"):
		return "a big-endian WAV (RIFX) file"
	case at(0, "riff\x2e\x91\xcf\x11"):
		return "a Wave64 file"
	case at(0, "caff"):
		return "a Core Audio (CAF) file"
	case at(0, ".snd"):
		return "an AU file"
	case at(0, "NIST_1A"):
		return "a NIST Sphere file"
	case at(0, "#!AMR"):
		return "an AMR file"
	case at(0, "\x30\x26\xb2\x75"):
		return "a Windows Media file"
	case at(0, "wvpk"):
		return "a WavPack file"
	case at(0, "MAC "):
		return "a Monkey's Audio file"
	case at(0, "DSD "):
		return "a DSD file"
	case at(0, "TTA1"):
		return "a True Audio file"
	case at(0, "MPCK"), at(0, "MP+"):
		return "a Musepack file"
	case at(0, "ADIF"), len(h) >= 2 && h[0] == 0xff && h[1]&0xf6 == 0xf0:
		return "raw AAC"
	case len(h) >= 2 && h[0] == 0xff && h[1]&0xf6 == 0xf4:
		return "MPEG audio of layer II"
	case at(0, "\x00\x00\x01\xba"), at(0, "\x00\x00\x01\xb3"), at(0, "FLV"),
		len(h) > 376 && h[0] == 0x47 && h[188] == 0x47 && h[376] == 0x47:
		return "a video"
	}
	return ""
}

// isText holds for valid UTF-8 without control characters.
func isText(h []byte) bool {
	for i := 0; i < len(h); {
		r, n := utf8.DecodeRune(h[i:])
		if r == utf8.RuneError && n < 2 {
			return i > 0 && !utf8.FullRune(h[i:]) // cut at the end of what was looked at
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			return false
		}
		i += n
	}
	return true
}

// HasMagic reports whether a file that starts with head, 12 bytes or more, is
// marked as audio of a kind that Open reads. MP3 files without a tag are not.
func HasMagic(head []byte) bool {
	return isWAV(head) || bytes.HasPrefix(head, []byte("fLaC")) || bytes.HasPrefix(head, []byte("OggS")) || bytes.HasPrefix(head, []byte("ID3"))
}
