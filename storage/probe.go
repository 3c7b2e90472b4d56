package storage

import (
	"errors"
	"io/fs"
	"time"

	"github.com/seed1734be99/starling/metainfo"
)

// Present implements [Prober]. A fresh look at a file also ends its [ErrChanged], and makes the next
// read open it anew, so that a check reads what is there now.
func (t *onDisk) Present(off, n int64) bool {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed || !inside(off, n, t.end) {
		return false
	}
	t.known.newRun(off)
	var room [spanRoom]metainfo.Span
	for _, s := range t.layout.Spans(room[:0], off, n) {
		if t.names[s.File] != "" && t.sizeOf(s.File) < s.Offset+s.Length {
			return false
		}
	}
	return true
}

// newRun forgets all glances when the address does not rise.
func (s *sightings) newRun(off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off <= s.last {
		s.recent = [len(s.recent)]glance{}
	}
	s.last = off
}

// sizeOf is the size of a file within a run of probes, -1 when there is none that could be read.
func (t *onDisk) sizeOf(file int) int64 {
	s := &t.known
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.recent {
		if g.valid && g.file == file && time.Since(g.at) < glanceLife {
			return g.size
		}
	}
	// Under mu, so that a file made meanwhile settles after what is seen here.
	size := int64(-1)
	fi, err := t.stat(file)
	switch {
	case err == nil && fi.Mode().IsRegular():
		size = fi.Size()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return size // unknown: neither remembered nor a reason to forget anything
	}
	t.pool.retireFile(t, file)
	if size >= t.files[file].Length {
		s.setLocked(file, settled)
	} else {
		s.setLocked(file, unseen)
	}
	s.recent[s.turn] = glance{valid: true, file: file, size: size, at: time.Now()}
	s.turn = (s.turn + 1) % len(s.recent)
	return size
}
