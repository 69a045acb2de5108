package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/audio"
)

// sottoMagic begins every .sotto file (codec/FORMAT.md).
var sottoMagic = []byte("\x89SOTTO")

// rawFlags describe headerless samples on a pipe.
type rawFlags struct {
	RawRate     int    `placeholder:"HZ" help:"IN holds raw samples, little-endian, at this rate."`
	RawChannels int    `default:"1" placeholder:"N" help:"Channels of raw samples, interleaved."`
	RawFormat   string `default:"s16" enum:"u8,s16,s24,s32,f32,f64,alaw,mulaw" help:"Format of raw samples: ${enum}."`
}

func (r rawFlags) format() audio.Format {
	if r.RawFormat == "alaw" || r.RawFormat == "mulaw" {
		return audio.Format{SampleRate: r.RawRate, Channels: r.RawChannels, Kind: r.RawFormat}
	}
	bits := map[string]int{"u8": 8, "s16": 16, "s24": 24, "s32": 32, "f32": 32, "f64": 64}[r.RawFormat]
	return audio.Format{SampleRate: r.RawRate, Channels: r.RawChannels, Bits: bits, Float: r.RawFormat[0] == 'f'}
}

// open opens an audio file, or standard input for "-".
func (r rawFlags) open(s *session, path string) (audio.Reader, error) {
	if r.RawRate != 0 {
		in, err := openBytes(s, path)
		if err != nil {
			return nil, err
		}
		src, err := audio.NewPCMReader(in, r.format())
		if err != nil {
			in.Close()
			return nil, err
		}
		return &closing{src, in}, nil
	}
	if path == "-" {
		return audio.NewReader(s.stdin, "-")
	}
	src, err := audio.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path)
	}
	if err != nil && isSotto(path) {
		return nil, fmt.Errorf("%s: is a .sotto file already: decode it with sotto decode", path)
	}
	return src, err
}

// closing closes a reader and the file under it.
type closing struct {
	audio.Reader
	file io.Closer
}

func (c *closing) Close() error { return errors.Join(c.Reader.Close(), c.file.Close()) }

// openBytes opens a file, or standard input for "-".
func openBytes(s *session, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(s.stdin), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path)
	}
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s: is a directory: name a file in it", path)
	}
	return f, nil
}

// openTokens opens a .sotto file, or standard input for "-".
func openTokens(s *session, path string) (*codec.Reader, io.Closer, error) {
	f, err := openBytes(s, path)
	if err != nil {
		return nil, nil, err
	}
	var src io.Reader = f
	if path == "-" {
		src = bufio.NewReader(f) // hides a seekable file: read it from here on
	}
	r, err := codec.NewReader(src)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", name(path), err)
	}
	return r, f, nil
}

func missing(path string) error {
	return fmt.Errorf("%s: no such file: check the name", path)
}

// isSotto tells by its first bytes whether a file is a .sotto file.
func isSotto(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(sottoMagic))
	_, err = io.ReadFull(f, head)
	return err == nil && bytes.Equal(head, sottoMagic)
}

// name is how messages call a path.
func name(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}
