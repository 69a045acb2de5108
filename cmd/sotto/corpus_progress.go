package main

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/sotto-audio/sotto/tokenizer"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// corpusProgress shows the hours done, the rate and the end of a run: a bar on a
// terminal, elsewhere a line a minute.
type corpusProgress struct {
	w     io.Writer
	all   *mpb.Progress
	bar   *mpb.Bar
	start time.Time

	mu      sync.Mutex
	items   int
	planned float64 // seconds that remain in this call, as far as known
	done    float64 // of those
	behind  int     // items
	seconds float64 // of sound encoded
	failed  int
	last    time.Time
}

// newCorpusProgress begins a run of that many items and seconds; 0 is unknown.
func newCorpusProgress(w io.Writer, items int, seconds float64) *corpusProgress {
	p := &corpusProgress{w: w, items: items, planned: seconds, start: time.Now(), last: time.Now()}
	if p.all = newProgress(w).all; p.all != nil && items > 0 {
		p.bar = p.all.AddBar(int64(items),
			mpb.BarRemoveOnComplete(),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Any(func(decor.Statistics) string { return "  " + p.line() })),
		)
		p.w = p.all // writes above the bar
	}
	return p
}

// share is how much of the work is done.
func (p *corpusProgress) share() float64 {
	if p.planned > 0 {
		return min(1, p.done/p.planned)
	}
	return float64(p.behind) / float64(max(p.items, 1))
}

func (p *corpusProgress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.start)
	s := fmt.Sprintf("%.2f h, %.0f x real time", p.seconds/3600, p.seconds/max(took.Seconds(), 1e-3))
	if share := p.share(); share > 0.001 {
		left := time.Duration(float64(took) * (1 - share) / share)
		s += fmt.Sprintf(", %s left, ends %s", left.Round(time.Second), time.Now().Add(left).Format("15:04"))
	}
	return s
}

// skip leaves a part out that was done before.
func (p *corpusProgress) skip(part *tokenizer.Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items -= len(part.Items)
	for _, i := range part.Items {
		p.planned -= i.Planned()
	}
	p.planned = max(p.planned, 0)
	if p.bar != nil {
		p.bar.SetTotal(int64(p.items), false)
	}
}

// tell counts an item.
func (p *corpusProgress) tell(i tokenizer.Progress) {
	p.mu.Lock()
	p.behind += i.Items
	p.done += i.Planned
	p.seconds += i.Seconds
	report := time.Since(p.last) > time.Minute && p.bar == nil
	if report {
		p.last = time.Now()
	}
	if p.bar != nil {
		p.bar.SetCurrent(int64(math.Round(p.share() * float64(p.items))))
	}
	p.mu.Unlock()
	if f := i.Failure; f != nil {
		p.failed++
		fmt.Fprintf(p.w, "sotto: %s: %s\n", f.Path, f.Reason)
	}
	if report {
		fmt.Fprintf(p.w, "sotto: %d files, %s\n", p.behind, p.line())
	}
}

// end clears the bar and gives the time that it took.
func (p *corpusProgress) end() time.Duration {
	if p.bar != nil {
		p.bar.Abort(true)
	}
	if p.all != nil {
		p.all.Wait()
	}
	return time.Since(p.start)
}
