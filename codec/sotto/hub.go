package sotto

import (
	"runtime"
	"slices"
	"sync"

	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/native"
	"github.com/sotto-audio/sotto/internal/nn"
	"github.com/sotto-audio/sotto/rvq"
)

// hub encodes live streams together on a device that one of them does not keep busy:
// steps that wait while another one runs are the next one's batch. Nobody waits for
// streams to come, so that the latency of one alone is what it was, and a step waits for
// the one under way at most. Each stream gets the bits that it would get alone.
type hub struct {
	network   *native.Network
	quantizer *rvq.Quantizer
	stream    *nn.Stream // of whom leads

	mu      sync.Mutex
	free    []int // signals of the stream that are nobody's
	waiting []*turn
	led     bool // somebody runs steps

	slots   []int
	samples []float32
	latents []float32
	codes   []int32
}

// hubSize is the most streams that are encoded together; others go alone.
const hubSize = 64

// seat is a live stream's place at a hub.
type seat struct {
	hub   *hub
	slot  int
	fresh bool // its states are another's
}

// turn is what a stream wants encoded: whole frames.
type turn struct {
	*seat
	samples []float32
	levels  int // 0 for latents alone
	latents []float32
	codes   []int32
	err     error
	done    chan bool // or else it leads
}

func newHub(m *Model) *hub {
	h := &hub{network: m.network, quantizer: m.quantizer.Fork(), stream: nn.NewStream(m.device, 1)}
	h.stream.Slots = hubSize
	for i := range hubSize {
		h.free = append(h.free, i)
	}
	return h
}

// take gives a place until nothing points to it any more, nil where there is none.
func (h *hub) take() *seat {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.free) - 1
	if n < 0 {
		return nil
	}
	s := &seat{hub: h, slot: h.free[n], fresh: true}
	h.free = h.free[:n]
	runtime.AddCleanup(s, func(slot int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.free = append(h.free, slot)
	}, s.slot)
	return s
}

// run encodes whole frames of a stream with those of others. The results are the
// caller's.
func (s *seat) run(samples []float32, levels int) (latents []float32, codes []int32, err error) {
	h := s.hub
	t := &turn{seat: s, samples: samples, levels: levels, done: make(chan bool, 1)}
	h.mu.Lock()
	h.waiting = append(h.waiting, t)
	leads := !h.led
	h.led = true
	h.mu.Unlock()
	if !leads && <-t.done {
		return t.latents, t.codes, t.err
	}
	for len(t.samples) > 0 && t.err == nil {
		h.mu.Lock()
		batch := slices.Clone(h.waiting)
		h.mu.Unlock()
		h.step(batch)
		h.mu.Lock()
		h.waiting = slices.DeleteFunc(h.waiting, func(o *turn) bool {
			over := len(o.samples) == 0 || o.err != nil
			if over && o != t {
				o.done <- true
			}
			return over
		})
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.led = len(h.waiting) > 0; h.led {
		h.waiting[0].done <- false
	}
	return t.latents, t.codes, t.err
}

// step encodes as many frames of each turn as the shortest one has.
func (h *hub) step(batch []*turn) {
	err := func() (err error) {
		defer backend.Recover(&err)
		h.encode(batch)
		return nil
	}()
	if err != nil {
		for _, t := range batch {
			t.err = err
		}
	}
}

func (h *hub) encode(batch []*turn) {
	hop, dim, s := h.network.HopLength, h.network.Quantizer.Dim, h.stream
	size := block * hop
	for _, t := range batch {
		size = min(size, len(t.samples))
	}
	frames := size / hop
	s.Begin()
	s.Batch, h.slots, h.samples = len(batch), h.slots[:0], h.samples[:0]
	for _, t := range batch {
		if t.fresh {
			s.ResetItem(t.slot)
			t.fresh = false
		}
		h.slots = append(h.slots, t.slot)
		h.samples = append(h.samples, t.samples[:size]...)
	}
	s.Items = h.slots
	x := s.Tensor(len(batch)*frames, hop)
	s.Upload(x, h.samples)
	z := native.Encode(s, h.network.Encoder, x)
	h.latents = resize(h.latents, z.Rows*dim)
	s.Download(h.latents, z)
	for i, t := range batch {
		t.latents = append(t.latents, h.latents[i*frames*dim:(i+1)*frames*dim]...)
	}
	h.quantize(batch, frames)
	for _, t := range batch {
		t.samples = t.samples[size:]
	}
}

// quantize gives the turns that want codes those of their latents. Fewer levels are the
// first ones of more.
func (h *hub) quantize(batch []*turn, frames int) {
	dim, groups := h.network.Quantizer.Dim, h.network.Quantizer.Groups
	levels, rows := 0, 0
	for i, t := range batch {
		if t.levels == 0 {
			continue
		}
		levels = max(levels, t.levels)
		copy(h.latents[rows*dim:], h.latents[i*frames*dim:(i+1)*frames*dim])
		rows += frames
	}
	if rows == 0 {
		return
	}
	width := levels * groups
	h.codes = resize(h.codes, rows*width)
	h.quantizer.Encode(h.codes, h.latents[:rows*dim], levels)
	at := h.codes
	for _, t := range batch {
		if t.levels == 0 {
			continue
		}
		for range frames {
			t.codes = append(t.codes, at[:t.levels*groups]...)
			at = at[width:]
		}
	}
}
