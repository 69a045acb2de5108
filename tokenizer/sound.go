package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/sotto-audio/sotto/internal/audio"
)

// sound gives the samples of an item: one channel or the mean of all, of the part
// that the item names, at the rate of the file.
type sound struct {
	audio.Reader
	rate, channels, channel int
	skip, left              int64 // samples before the part; samples of it, -1 to the end
	part                    bool
	block                   []float32
	file                    io.Closer
}

func openSound(i *Item) (*sound, error) {
	s := &sound{channel: i.Channel, left: -1}
	var err error
	if i.Size > 0 {
		f, e := os.Open(i.Path)
		if e != nil {
			return nil, e
		}
		s.file = f
		s.Reader, err = audio.NewReader(io.NewSectionReader(f, i.Offset, i.Size), i.Path+"("+i.ID+")")
	} else {
		s.Reader, err = audio.Open(i.Path)
	}
	if err != nil {
		if s.file != nil {
			s.file.Close()
		}
		return nil, err
	}
	f := s.Format()
	s.rate, s.channels = f.SampleRate, f.Channels
	if s.channel >= s.channels {
		s.Close()
		return nil, fmt.Errorf("%s: has %d channels: there is no channel %d", i.Path, s.channels, s.channel)
	}
	if i.Start > 0 || i.Duration > 0 {
		if most := 1e9; i.Start > most || i.Duration > most {
			s.Close()
			return nil, fmt.Errorf("%s: a part of %g s from %g s on: no recording is that long", i.Path, i.Duration, i.Start)
		}
		s.part = true
		s.skip = int64(math.Round(i.Start * float64(s.rate)))
		if i.Duration > 0 {
			s.left = int64(math.Round(i.Duration * float64(s.rate)))
		}
	}
	return s, nil
}

func (s *sound) Close() error {
	err := s.Reader.Close()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	return err
}

// append adds some more samples to dst; io.EOF comes at the end.
func (s *sound) append(dst []float32) ([]float32, error) {
	for {
		if s.left == 0 {
			return dst, io.EOF
		}
		if s.channels == 1 && s.skip == 0 && s.left < 0 { // as it is
			room := min(s.rate, 1<<16)
			dst = slices.Grow(dst, room)
			n, err := s.Read(dst[len(dst):][:room])
			return dst[:len(dst)+n], err
		}
		if s.block == nil {
			s.block = make([]float32, max(1, min(s.rate, 1<<16/s.channels))*s.channels)
		}
		n, err := s.Read(s.block)
		block := s.block[:n]
		if drop := min(s.skip, int64(n/s.channels)); drop > 0 {
			s.skip -= drop
			block = block[drop*int64(s.channels):]
		}
		if frames := int64(len(block) / s.channels); s.left >= 0 {
			frames = min(frames, s.left)
			s.left -= frames
			block = block[:frames*int64(s.channels)]
		}
		if len(block) > 0 {
			if s.channel < 0 {
				return audio.Mono(dst, block, s.channels), nil
			}
			for i := s.channel; i < len(block); i += s.channels {
				dst = append(dst, block[i])
			}
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// limit narrows the part to the samples from and to, counted in it.
func (s *sound) limit(from, to int64) {
	s.skip += from
	if s.left < 0 || to < s.left {
		s.left = to
	}
	s.left -= from
}
