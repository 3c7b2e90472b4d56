package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far hashing is, on a terminal; elsewhere nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

func newProgress(stdout io.Writer) *progress {
	f, ok := stdout.(*os.File)
	if !ok || !cwriter.IsTerminal(int(f.Fd())) {
		return new(progress)
	}
	bars := mpb.New(mpb.WithOutput(f))
	bar := bars.AddBar(0, // the length is not known yet
		mpb.PrependDecorators(decor.Name("hashing "), decor.Percentage(decor.WC{W: 5})),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), "  % .1f")),
	)
	return &progress{bars, bar}
}

// set is called by metainfo.Build, one call at a time.
func (p *progress) set(done, total int64) {
	if p.bar == nil {
		return
	}
	p.bar.SetTotal(total, false)
	p.bar.SetCurrent(done)
}

// close leaves the bar as it was last.
func (p *progress) close() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(false)
	p.bars.Wait()
}
