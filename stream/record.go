package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// RecordOptions choose what is recorded. The zero value is 16 kHz from the
// default device.
type RecordOptions struct {
	// Device is a name as Devices gives it; empty is the system's default. What a
	// PulseAudio sink plays is recorded from the device NAME.monitor.
	Device string
	// Rate is the number of samples a second; 0 means 16000. The system converts.
	Rate int
	// Latency is how much sound is handed over at once; 0 means 20 ms.
	Latency time.Duration
}

// capture is an open microphone.
type capture interface {
	// read waits for mono samples.
	read(ctx context.Context, dst []float32) (int, error)
	// overruns counts the times that sound was lost because nobody read.
	overruns() int
	close()
}

// Recording is a Source of mono sound from a microphone. Only one goroutine may
// read.
type Recording struct {
	ctx context.Context
	c   capture
}

// pipeFrom is the command by which a microphone reaches a program that cannot
// read it itself.
var pipeFrom = map[string]string{
	"darwin":  "ffmpeg -f avfoundation -i :0 -f wav - | sotto … -",
	"windows": `ffmpeg -f dshow -i audio="Microphone" -f wav - | sotto … -`,
}[runtime.GOOS]

func init() {
	if pipeFrom == "" {
		pipeFrom = "arecord -f S16_LE -r 16000 -t wav | sotto … -"
	}
}

// Record opens a microphone. Without one the error wraps ErrNoDevice and names
// another way. When ctx ends, so does a waiting Read.
func Record(ctx context.Context, o RecordOptions) (*Recording, error) {
	if o.Rate == 0 {
		o.Rate = 16000
	}
	if o.Latency == 0 {
		o.Latency = 20 * time.Millisecond
	}
	if o.Rate < 0 || o.Latency < 0 {
		return nil, fmt.Errorf("stream: %d Hz in blocks of %v cannot be recorded", o.Rate, o.Latency)
	}
	c, err := open(ctx, o.Device, "record", func(w opener, device string) (capture, error) {
		if w.record == nil {
			return nil, errors.New("plays only")
		}
		o.Device = device
		return w.record(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	return &Recording{ctx, c}, nil
}

// Read waits for samples, n of them at least 1.
func (r *Recording) Read(dst []float32) (int, error) {
	n, err := r.c.read(r.ctx, dst)
	return n, stopped(r.ctx, err)
}

// Overruns counts the times that sound was lost because nobody read; recording
// went on with the newest sound.
func (r *Recording) Overruns() int { return r.c.overruns() }

// Close gives the microphone back.
func (r *Recording) Close() error {
	r.c.close()
	return nil
}

// Device is a microphone or a loudspeaker.
type Device struct {
	Name        string `json:"name"` // for the options' Device
	Description string `json:"description"`
	Way         string `json:"way"` // such as PulseAudio
	Input       bool   `json:"input"`
	Output      bool   `json:"output"`
	Default     bool   `json:"default"`
}

// Devices lists what can be chosen, by every way that answers. Where none does,
// the error wraps ErrNoDevice.
func Devices(ctx context.Context) ([]Device, error) {
	var all []Device
	var failed error
	for _, w := range openers {
		if w.devices == nil {
			continue
		}
		d, err := w.devices(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.name, err))
		}
		all = append(all, d...)
	}
	if len(all) == 0 {
		if failed == nil {
			failed = errors.New("this system's default is used, and nothing else can be chosen")
		}
		return nil, fmt.Errorf("%w: %w", ErrNoDevice, failed)
	}
	return all, nil
}
