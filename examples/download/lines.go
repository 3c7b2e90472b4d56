package main

import (
	"fmt"
	"io"
	"time"
)

// lines is the display for files and pipes: a line a torrent every few
// seconds, when there is news.
type lines struct {
	w     io.Writer
	every time.Duration
	began time.Time
	rows  []row
	last  []string // what was printed of each row
	pulse pulse
}

func newLines(w io.Writer) *lines {
	return &lines{w: w, every: 2 * time.Second, began: time.Now()}
}

func (l *lines) begin(rows []row) {
	l.rows, l.last = rows, make([]string, len(rows))
	l.pulse.start(l.every, l.draw)
}

func (l *lines) draw() {
	for i := range l.rows {
		r := &l.rows[i]
		st := r.Stats()
		line := fmt.Sprintf("%s: %s, %s", r.name(), percent(&st), r.doing(&st))
		if line != l.last[i] {
			l.last[i] = line
			fmt.Fprintln(l.w, line)
		}
	}
}

func (l *lines) say(line string) { fmt.Fprintln(l.w, line) }

func (l *lines) files(r row) {
	for _, line := range extents(r) {
		l.say(line)
	}
}

func (l *lines) close(error) { l.finish() }

func (l *lines) finish() {
	l.pulse.stop()
	for i := range l.rows {
		r := &l.rows[i]
		st := r.Stats()
		fmt.Fprintln(l.w, result(r.name(), &st, time.Since(l.began)))
	}
	l.rows = nil
}
