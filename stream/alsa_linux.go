//go:build !oto && !static

package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

var alsa = opener{"ALSA", openALSA}

// Constants of alsa/pcm.h.
const (
	alsaPlayback    = 0
	alsaFloat       = 14 // SND_PCM_FORMAT_FLOAT_LE
	alsaInterleaved = 3  // SND_PCM_ACCESS_RW_INTERLEAVED
	alsaLatency     = 250_000
)

// alsaLibrary holds the functions of libasound that playing needs.
type alsaLibrary struct {
	open      func(pcm *uintptr, name string, direction, mode int32) int32
	setParams func(pcm uintptr, format, access int32, channels, rate uint32, resample int32, latency uint32) int32
	writei    func(pcm uintptr, frames unsafe.Pointer, n uintptr) int
	recover   func(pcm uintptr, err, silent int32) int32
	drain     func(pcm uintptr) int32
	close     func(pcm uintptr) int32
	strerror  func(err int32) string
}

// loadALSA opens libasound once: it stays for the life of the program.
var loadALSA = sync.OnceValues(func() (*alsaLibrary, error) {
	handle, err := purego.Dlopen("libasound.so.2", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, errors.New("libasound.so.2 is not installed")
	}
	var l alsaLibrary
	for name, fn := range map[string]any{
		"snd_pcm_open": &l.open, "snd_pcm_set_params": &l.setParams, "snd_pcm_writei": &l.writei,
		"snd_pcm_recover": &l.recover, "snd_pcm_drain": &l.drain, "snd_pcm_close": &l.close,
		"snd_strerror": &l.strerror,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("libasound.so.2 lacks %s", name)
		}
		purego.RegisterFunc(fn, symbol)
	}
	// The library prints its own errors; ours say the same in one line.
	if symbol, err := purego.Dlsym(handle, "snd_lib_error_set_handler"); err == nil {
		var setHandler func(uintptr) int32
		purego.RegisterFunc(&setHandler, symbol)
		setHandler(purego.NewCallback(func(uintptr) {}))
	}
	return &l, nil
})

// alsaSink plays through libasound.
type alsaSink struct {
	lib      *alsaLibrary
	pcm      uintptr
	channels int
}

func openALSA(_ context.Context, rate, channels int) (sink, error) {
	l, err := loadALSA()
	if err != nil {
		return nil, err
	}
	s := &alsaSink{lib: l, channels: channels}
	if code := l.open(&s.pcm, "default", alsaPlayback, 0); code < 0 {
		return nil, fmt.Errorf("default device: %s", l.strerror(code))
	}
	if code := l.setParams(s.pcm, alsaFloat, alsaInterleaved, uint32(channels), uint32(rate), 1, alsaLatency); code < 0 {
		s.close()
		return nil, fmt.Errorf("default device at %d Hz: %s", rate, l.strerror(code))
	}
	return s, nil
}

func (s *alsaSink) write(ctx context.Context, block []float32) error {
	for len(block) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := s.lib.writei(s.pcm, unsafe.Pointer(&block[0]), uintptr(len(block)/s.channels))
		if n < 0 {
			if code := s.lib.recover(s.pcm, int32(n), 1); code < 0 {
				return fmt.Errorf("playing: %s", s.lib.strerror(code))
			}
			continue
		}
		block = block[n*s.channels:]
	}
	return nil
}

func (s *alsaSink) drain(context.Context) error {
	if code := s.lib.drain(s.pcm); code < 0 {
		return fmt.Errorf("playing the end: %s", s.lib.strerror(code))
	}
	return nil
}

func (s *alsaSink) close() { s.lib.close(s.pcm) }
