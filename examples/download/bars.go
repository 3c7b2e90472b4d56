package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/seed1734be99/starling/client"
)

// bars is the display for terminals: a progress bar for each torrent.
type bars struct {
	out   *os.File
	began time.Time
	all   *mpb.Progress
	rows  []*barRow
	pulse pulse

	finished bool
}

// A barRow is a torrent, its bar, and what the bar shows.
type barRow struct {
	row
	bar  *mpb.Bar
	st   atomic.Pointer[client.Stats]
	tail atomic.Pointer[string]
}

const drawEvery = 150 * time.Millisecond

func newBars(out *os.File) *bars {
	return &bars{out: out, began: time.Now(), all: mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(drawEvery))}
}

func (b *bars) begin(rows []row) {
	for _, r := range rows {
		br := &barRow{row: r}
		br.look()
		// No total: whether a bar is complete is for close to say, since a
		// torrent goes on behind 100%, and a magnet link has no length yet.
		br.bar = b.all.New(0, mpb.BarStyle().Rbound("|").Lbound("|"),
			mpb.PrependDecorators(
				decor.Any(func(decor.Statistics) string { return shorten(br.name(), 24) }, decor.WCSyncSpaceR),
				decor.Any(func(decor.Statistics) string { return percent(br.st.Load()) }, decor.WCSyncSpace),
			),
			mpb.AppendDecorators(
				decor.Any(func(decor.Statistics) string { return *br.tail.Load() }, decor.WCSyncSpaceR),
			),
		)
		b.rows = append(b.rows, br)
	}
	b.draw()
	b.pulse.start(drawEvery, b.draw)
}

func (b *bars) draw() {
	for _, r := range b.rows {
		st := r.look()
		r.bar.SetTotal(max(st.Length, 1), false)
		r.bar.SetCurrent(done(st))
	}
}

func (r *barRow) look() *client.Stats {
	st := r.Stats()
	tail := r.brief(&st)
	r.st.Store(&st)
	r.tail.Store(&tail)
	return &st
}

// say writes above the bars.
func (b *bars) say(line string) {
	if b.finished {
		fmt.Fprintln(b.out, line)
		return
	}
	fmt.Fprintln(b.all, line)
}

func (b *bars) files(r row) {
	for _, line := range extents(r) {
		b.say(line)
	}
}

func (b *bars) close(error) { b.finish() }

func (b *bars) finish() {
	if b.finished {
		return
	}
	b.finished = true
	b.pulse.stop()
	for _, r := range b.rows {
		r.bar.Abort(true)
	}
	b.all.Wait()
	for _, r := range b.rows {
		st := r.Stats()
		fmt.Fprintln(b.out, result(r.name(), &st, time.Since(b.began)))
	}
}

// shorten leaves out the middle of a name that needs more columns than most.
func shorten(s string, most int) string {
	if columns(s) <= most {
		return s
	}
	r, half := []rune(s), (most-1)/2
	head, tail := 0, len(r)
	for room := half - columns(string(r[0])); room >= 0; room -= columns(string(r[head])) {
		head++
	}
	for room := half - columns(string(r[tail-1])); room >= 0; room -= columns(string(r[tail-1])) {
		tail--
	}
	return string(r[:head]) + "…" + string(r[tail:])
}

// columns is how wide a terminal shows s, roughly: signs of East Asian
// scripts and pictures need two columns each.
func columns(s string) int {
	var n int
	for _, r := range s {
		n++
		if r >= 0x1f300 || r >= 0x2e80 && r <= 0xd7ff || r >= 0xff01 && r <= 0xff60 || r >= 0x1100 && r <= 0x115f {
			n++
		}
	}
	return n
}
