package sotto

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/sotto-audio/sotto/codec"
	"github.com/sotto-audio/sotto/internal/backend/backendtest"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
	"github.com/sotto-audio/sotto/internal/device"
)

// joined runs live streams of one device side by side, in pieces of sizes of their own:
// each gives what it gives alone.
func joined(t *testing.T, want, on *Model) {
	const streams = 6
	var wait sync.WaitGroup
	for i := range streams {
		wait.Go(func() {
			pcm := make([]float32, 6*320+50*i)
			for k := range pcm {
				pcm[k] = float32((k*(i+3))%97)/300 - 0.15
			}
			levels := want.Info().Levels[i%len(want.Info().Levels)]
			tokens, err := want.Encode(context.Background(), pcm, levels)
			if err != nil {
				t.Error(err)
				return
			}
			latents, err := want.Latents(context.Background(), pcm)
			if err != nil {
				t.Error(err)
				return
			}
			e, err := on.NewEncoder(levels)
			if err != nil {
				t.Error(err)
				return
			}
			l := on.NewLatentStream()
			for again := range 2 {
				var codes []int32
				var z []float32
				e.Reset()
				l.Reset()
				piece := 320 + 170*i
				for at := 0; at < len(pcm); at += piece {
					part := pcm[at:min(at+piece, len(pcm))]
					if codes, err = e.Encode(codes, part); err != nil {
						t.Error(err)
						return
					}
					if z, err = l.Encode(z, part); err != nil {
						t.Error(err)
						return
					}
				}
				codes, err = e.Flush(codes)
				if err == nil {
					z, err = l.Flush(z)
				}
				if err != nil || !slices.Equal(codes, tokens.Codes) || !slices.Equal(z, latents) {
					t.Errorf("stream %d, time %d: something else than alone (%v)", i, again, err)
				}
			}
		})
	}
	wait.Wait()
}

func TestLiveStreamsTogether(t *testing.T) {
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	device.Add("failing", backendtest.NewFailing(cpu.New(0), true))
	on, err := m.On("failing")
	if err != nil {
		t.Fatal(err)
	}
	joined(t, m, on)
	// More of them than there are places: the others go alone.
	var all []codec.Encoder
	for range hubSize + 2 {
		e, err := on.NewEncoder(0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if all[0].(*encoder).seat == nil || all[hubSize+1].(*encoder).seat != nil {
		t.Error("places are given to too few or to too many")
	}
}

func TestLiveStreamsTogetherVulkan(t *testing.T) {
	_, gpu := onVulkan(t)
	joined(t, gpu, gpu)
}

// BenchmarkLiveStreams encodes 16 live streams side by side, 20 ms at a time: each by
// itself, and together.
func BenchmarkLiveStreams(b *testing.B) {
	m, err := Default(WithThreads(1))
	if err != nil {
		b.Fatal(err)
	}
	on, err := m.On("vulkan")
	if err != nil {
		b.Skip("SKIPPED: ", err)
	}
	const streams = 16
	pcm := make([]float32, 320)
	for _, together := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "together"}[together], func(b *testing.B) {
			var all []*encoder
			for range streams {
				e := on.live(2)
				if !together {
					e.seat = nil
				}
				all = append(all, e)
			}
			steps := func(n int) {
				var wait sync.WaitGroup
				for _, e := range all {
					wait.Go(func() {
						for range n {
							if _, err := e.Encode(nil, pcm); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wait.Wait()
			}
			steps(5)
			b.ResetTimer()
			steps(b.N)
			b.ReportMetric(streams*0.02*float64(b.N)/b.Elapsed().Seconds(), "streams")
		})
	}
}
