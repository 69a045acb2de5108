package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress shows how far a task is and when it ends, on a terminal only.
type progress struct {
	all *mpb.Progress
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))}
}

// task starts the bar of a task. report takes how much is done, end clears the
// bar. A total of 0 or less is unknown.
func (p *progress) task(name string, total int64) (report func(done int64), end func()) {
	if p.all == nil {
		return func(int64) {}, func() {}
	}
	bar := p.all.AddBar(max(total, 0),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name, decor.WC{C: decor.DindentRight | decor.DextraSpace})),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)),
	)
	return bar.SetCurrent, func() { bar.Abort(true) }
}

// wait ends the display.
func (p *progress) wait() {
	if p.all != nil {
		p.all.Wait()
	}
}
