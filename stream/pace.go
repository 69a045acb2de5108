package stream

import (
	"context"
	"time"
)

// Paced gives the samples of src, which is mono, when they are due: a file as if
// it were spoken now.
func Paced(ctx context.Context, src Source, rate int) Source {
	return &paced{ctx: ctx, src: src, rate: rate}
}

type paced struct {
	ctx   context.Context
	src   Source
	rate  int
	start time.Time
	given int64
}

// Read gives what src gives, at the time at which its last sample has sounded.
func (p *paced) Read(dst []float32) (int, error) {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	// No more than 10 ms at once, so that the pace is even.
	n, err := p.src.Read(dst[:min(len(dst), max(1, p.rate/100))])
	p.given += int64(n)
	seconds := p.given / int64(p.rate)
	due := p.start.Add(time.Duration(seconds)*time.Second + time.Duration(p.given%int64(p.rate))*time.Second/time.Duration(p.rate))
	if wait := time.Until(due); wait > 0 && n > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.ctx.Done():
			return n, p.ctx.Err()
		}
	}
	return n, err
}
