package storage

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/seed1734be99/starling/metainfo"
)

// onDisk is one torrent of Files. A torrent that nobody reads or writes owns no descriptor.
type onDisk struct {
	// Constant after Open.
	pool   *pool
	claims *claims
	dir    string // save folder: absolute, links followed
	layout *metainfo.Layout
	files  []metainfo.File
	names  []string // of the files, relative to dir; "" for those not on disk
	end    int64    // first address behind the torrent

	// life is read-locked by every call and locked by Close, which so waits for them.
	life   sync.RWMutex
	closed bool

	dirSeen   atomic.Bool // the save folder was there once: should it go, it is not made again
	emptyDone atomic.Bool // the files of no bytes are there
	emptying  sync.Mutex  // held while they are being created

	known sightings
	fresh unsynced
}

var (
	_ Torrent      = (*onDisk)(nil)
	_ Syncer       = (*onDisk)(nil)
	_ Prober       = (*onDisk)(nil)
	_ EmptyCreator = (*onDisk)(nil)
	_ Remover      = (*onDisk)(nil)
)

// spanRoom spans fit on the stack; a range over more files costs one allocation.
const spanRoom = 8

// onDiskFile tells which files of a layout exist on disk. BEP 47: padding files should not be written;
// symbolic links, which have no bytes, are not made either, since where they lead is a stranger's word.
func onDiskFile(f *metainfo.File) bool { return !f.Pad && !(f.Symlink && f.Length == 0) }

func (t *onDisk) path(file int) string { return filepath.Join(t.dir, t.names[file]) }

// ReadAt implements [Torrent].
func (t *onDisk) ReadAt(p []byte, off int64) (int, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return 0, ErrClosed
	}
	p, atEnd, err := readable(p, off, t.end)
	if err != nil {
		return 0, err
	}
	var room [spanRoom]metainfo.Span
	done := int64(0) // everything of p before this is there
	for _, s := range t.layout.Spans(room[:0], off, int64(len(p))) {
		clear(p[done:s.At]) // a gap
		part := p[s.At : s.At+s.Length]
		done = s.At + s.Length
		if t.names[s.File] == "" {
			clear(part)
			continue
		}
		if n, err := t.readFile(s.File, part, s.Offset); err != nil {
			return int(s.At) + n, err
		}
	}
	clear(p[done:])
	return len(p), atEnd
}

// readable cuts p to what lies before the end. atEnd is what the whole read returns in the end.
func readable(p []byte, off, end int64) (cut []byte, atEnd, err error) {
	switch {
	case off < 0:
		return nil, nil, ErrRange
	case len(p) == 0:
		return p, nil, nil
	case off >= end:
		return nil, nil, io.EOF
	case int64(len(p)) > end-off:
		return p[:end-off], io.EOF, nil
	}
	return p, nil, nil
}

func (t *onDisk) readFile(file int, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h, f, err := t.borrow(file, false)
	if err != nil {
		return 0, err
	}
	n, err := f.ReadAt(p, off)
	if err != nil {
		err = t.readError(file, err)
	}
	t.pool.release(h)
	return n, err
}

func (t *onDisk) readError(file int, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
		if t.known.state(file) == settled {
			t.noteChanged(file)
			err = changed(err)
		}
	}
	return fileError("read", t.path(file), err)
}

// WriteAt implements [Torrent].
func (t *onDisk) WriteAt(p []byte, off int64) (int, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return 0, ErrClosed
	}
	if !inside(off, int64(len(p)), t.end) {
		return 0, ErrRange
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !t.emptyDone.Load() {
		if err := t.createEmpty(); err != nil {
			return 0, err
		}
	}
	var room [spanRoom]metainfo.Span
	for _, s := range t.layout.Spans(room[:0], off, int64(len(p))) {
		if t.names[s.File] == "" {
			continue
		}
		if n, err := t.writeFile(s.File, p[s.At:s.At+s.Length], s.Offset); err != nil {
			return int(s.At) + n, err
		}
	}
	return len(p), nil
}

// inside tells whether a range lies wholly before the end.
func inside(off, n, end int64) bool { return off >= 0 && n >= 0 && off <= end && n <= end-off }

func (t *onDisk) writeFile(file int, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h, f, err := t.borrow(file, true)
	if err != nil {
		return 0, err
	}
	n, err := f.WriteAt(p, off)
	t.fresh.wrote(file)
	t.pool.release(h)
	if err != nil {
		err = fileError("write", t.path(file), err)
	}
	return n, err
}

// borrow returns an open file and the handle to release when done with it.
func (t *onDisk) borrow(file int, write bool) (*handle, *os.File, error) {
	for {
		h := t.pool.acquire(handleKey{t, file, write})
		f, err := t.opened(h)
		if err == nil {
			return h, f, nil
		}
		t.pool.release(h)
		if !errors.Is(err, errStale) {
			return nil, nil, err
		}
	}
}

// Close implements [Torrent]. What was written but not synced is left to the system. The error is one
// that a file system told only when a file was closed.
func (t *onDisk) Close() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return nil
	}
	t.closeFiles()
	t.claims.drop(t)
	return t.fresh.takeLate()
}

// closeFiles ends the use of the torrent; life is locked, so all its handles are idle.
func (t *onDisk) closeFiles() {
	t.closed = true
	t.pool.closeIdle(t)
}
