//go:build !oto && !static

package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

var alsa = opener{"ALSA", openALSA, recordALSA, devicesALSA}

// Constants of alsa/pcm.h.
const (
	alsaPlayback    = 0
	alsaFloat       = 14 // SND_PCM_FORMAT_FLOAT_LE
	alsaInterleaved = 3  // SND_PCM_ACCESS_RW_INTERLEAVED
	alsaCapture     = 1
	alsaBrokenPipe  = -32 // EPIPE: an overrun or underrun
)

// alsaLibrary holds the functions of libasound that are needed.
type alsaLibrary struct {
	open      func(pcm *uintptr, name string, direction, mode int32) int32
	setParams func(pcm uintptr, format, access int32, channels, rate uint32, resample int32, latency uint32) int32
	writei    func(pcm uintptr, frames unsafe.Pointer, n uintptr) int
	readi     func(pcm uintptr, frames unsafe.Pointer, n uintptr) int
	start     func(pcm uintptr) int32
	wait      func(pcm uintptr, milliseconds int32) int32
	recover   func(pcm uintptr, err, silent int32) int32
	drain     func(pcm uintptr) int32
	close     func(pcm uintptr) int32
	strerror  func(err int32) string
	hints     func(card int32, kind string, hints *unsafe.Pointer) int32
	hint      func(hint unsafe.Pointer, id string) string
	freeHints func(hints unsafe.Pointer) int32
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
		"snd_pcm_readi": &l.readi, "snd_pcm_start": &l.start, "snd_pcm_wait": &l.wait, "snd_pcm_recover": &l.recover, "snd_pcm_drain": &l.drain, "snd_pcm_close": &l.close,
		"snd_strerror": &l.strerror, "snd_device_name_hint": &l.hints,
		"snd_device_name_get_hint": &l.hint, "snd_device_name_free_hint": &l.freeHints,
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

// alsaPCM is an open device.
type alsaPCM struct {
	lib      *alsaLibrary
	pcm      uintptr
	channels int
	xrun     func() // told about each overrun or underrun; not nil
}

// openPCM opens a device; an empty name is the default.
func openPCM(device string, direction int32, rate, channels int, latency time.Duration) (*alsaPCM, error) {
	l, err := loadALSA()
	if err != nil {
		return nil, err
	}
	p := &alsaPCM{lib: l, channels: channels, xrun: func() {}}
	if device == "" {
		device = "default"
	}
	if code := l.open(&p.pcm, device, direction, 0); code < 0 {
		return nil, fmt.Errorf("device %s: %s", device, l.strerror(code))
	}
	if code := l.setParams(p.pcm, alsaFloat, alsaInterleaved, uint32(channels), uint32(rate), 1, uint32(latency.Microseconds())); code < 0 {
		p.close()
		return nil, fmt.Errorf("device %s at %d Hz: %s", device, rate, l.strerror(code))
	}
	return p, nil
}

// heal makes the device go on after an error, if it can.
func (p *alsaPCM) heal(code int, what string) error {
	if code == alsaBrokenPipe {
		p.xrun()
	}
	if code := p.lib.recover(p.pcm, int32(code), 1); code < 0 {
		return fmt.Errorf("%s: %s", what, p.lib.strerror(code))
	}
	return nil
}

func (p *alsaPCM) close() { p.lib.close(p.pcm) }

// alsaSink plays through libasound.
type alsaSink struct{ *alsaPCM }

func openALSA(_ context.Context, rate, channels int, o PlayOptions) (sink, error) {
	p, err := openPCM(o.Device, alsaPlayback, rate, channels, o.Latency)
	if err != nil {
		return nil, err
	}
	if o.Underrun != nil {
		p.xrun = o.Underrun
	}
	return alsaSink{p}, nil
}

func (s alsaSink) write(ctx context.Context, block []float32) error {
	for len(block) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := s.lib.writei(s.pcm, unsafe.Pointer(&block[0]), uintptr(len(block)/s.channels))
		if n < 0 {
			if err := s.heal(n, "playing"); err != nil {
				return err
			}
			continue
		}
		block = block[n*s.channels:]
	}
	return nil
}

func (s alsaSink) drain(context.Context) error {
	if code := s.lib.drain(s.pcm); code < 0 {
		return fmt.Errorf("playing the end: %s", s.lib.strerror(code))
	}
	return nil
}

// alsaCapturing records through libasound.
type alsaCapturing struct {
	*alsaPCM
	lost int
}

func recordALSA(_ context.Context, o RecordOptions) (capture, error) {
	// The device's buffer outlasts a reader that is late; waits are short all the
	// same.
	p, err := openPCM(o.Device, alsaCapture, o.Rate, 1, max(10*o.Latency, 200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	c := &alsaCapturing{alsaPCM: p}
	p.xrun = func() { c.lost++ }
	if code := p.lib.start(p.pcm); code < 0 {
		p.close()
		return nil, fmt.Errorf("starting to record: %s", p.lib.strerror(code))
	}
	return c, nil
}

func (c *alsaCapturing) read(ctx context.Context, dst []float32) (int, error) {
	for len(dst) > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		// Short waits, so that a stop is prompt.
		if code := c.lib.wait(c.pcm, 100); code == 0 {
			continue
		}
		n := c.lib.readi(c.pcm, unsafe.Pointer(&dst[0]), uintptr(len(dst)))
		if n > 0 {
			return n, nil
		}
		if n < 0 {
			if err := c.heal(n, "recording"); err != nil {
				return 0, err
			}
			c.lib.start(c.pcm)
		}
	}
	return 0, nil
}

func (c *alsaCapturing) overruns() int { return c.lost }

func devicesALSA(context.Context) ([]Device, error) {
	l, err := loadALSA()
	if err != nil {
		return nil, err
	}
	var list unsafe.Pointer
	if code := l.hints(-1, "pcm", &list); code < 0 {
		return nil, errors.New(l.strerror(code))
	}
	defer l.freeHints(list)
	var all []Device
	for i := 0; ; i++ {
		hint := *(*unsafe.Pointer)(unsafe.Add(list, i*int(unsafe.Sizeof(list))))
		if hint == nil {
			return all, nil
		}
		name, direction := l.hint(hint, "NAME"), l.hint(hint, "IOID")
		if name == "null" {
			continue
		}
		all = append(all, Device{
			Name: "alsa:" + name, Description: strings.ReplaceAll(l.hint(hint, "DESC"), "\n", ", "), Way: "ALSA",
			Input: direction != "Output", Output: direction != "Input", Default: name == "default",
		})
	}
}
