package storage

import (
	"fmt"
	"io"
	"sync"

	"github.com/seed1734be99/starling/metainfo"
)

// Memory keeps torrents in memory, piece by piece as they are written: for tests and for small things.
// Nothing bounds it but the torrents' sizes. The payload stays when a torrent is closed, until it is
// removed or the Memory itself is forgotten. Torrents are told apart by their hashes; Spec.Dir means
// nothing. Safe for concurrent use.
//
// What it opens also is a [Prober] and a [Remover].
type Memory struct {
	mu       sync.Mutex
	torrents map[metainfo.Hashes]*inMemory
}

var (
	_ Storage = (*Memory)(nil)
	_ Torrent = (*memoryView)(nil)
	_ Prober  = (*memoryView)(nil)
	_ Remover = (*memoryView)(nil)
)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{torrents: make(map[metainfo.Hashes]*inMemory)}
}

// inMemory is the payload of one torrent; it outlives the views on it.
type inMemory struct {
	mu     sync.RWMutex
	layout *metainfo.Layout
	pieces [][]byte // nil until written to; guarded by mu
	open   bool     // guarded by Memory.mu
}

// Open implements [Storage]. A torrent that is there from an earlier time is opened with its payload;
// its layout must be of the same size ([ErrSpec]). While it is open, another Open gives [ErrInUse].
func (m *Memory) Open(spec Spec) (Torrent, error) {
	if spec.Layout == nil {
		return nil, fmt.Errorf("%w: no layout", ErrSpec)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.torrents[spec.Hashes]
	if t == nil {
		t = &inMemory{layout: spec.Layout, pieces: make([][]byte, spec.Layout.NumPieces())}
		m.torrents[spec.Hashes] = t
	}
	if t.open {
		return nil, fmt.Errorf("storage: open %q: %w", spec.Name, ErrInUse)
	}
	if t.layout.End() != spec.Layout.End() || t.layout.PieceLength() != spec.Layout.PieceLength() {
		return nil, fmt.Errorf("%w: %q is there with another layout", ErrSpec, spec.Name)
	}
	t.open = true
	return &memoryView{owner: m, hashes: spec.Hashes, data: t}, nil
}

// Bytes returns a copy of a torrent's whole address space, with zeros where nothing was written; nil
// when there is no such torrent.
func (m *Memory) Bytes(h metainfo.Hashes) []byte {
	m.mu.Lock()
	t := m.torrents[h]
	m.mu.Unlock()
	if t == nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	b := make([]byte, t.layout.End())
	for i, piece := range t.pieces {
		copy(b[t.layout.Offset(i, 0):], piece)
	}
	return b
}

// A memoryView is an open torrent of a Memory.
type memoryView struct {
	owner  *Memory
	hashes metainfo.Hashes
	data   *inMemory

	life   sync.RWMutex // locked by Close, read-locked by every call
	closed bool
}

// ReadAt implements [Torrent]. A range in a piece that nothing was ever written to gives
// io.ErrUnexpectedEOF.
func (v *memoryView) ReadAt(p []byte, off int64) (int, error) {
	v.life.RLock()
	defer v.life.RUnlock()
	if v.closed {
		return 0, ErrClosed
	}
	t := v.data
	p, atEnd, err := readable(p, off, t.layout.End())
	if err != nil {
		return 0, err
	}
	clear(p) // what is no file's reads as zeros
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range t.layout.Spans(nil, off, int64(len(p))) {
		if t.layout.Files()[s.File].Pad {
			continue
		}
		for at := s.At; at < s.At+s.Length; {
			piece, begin, n := t.place(off+at, s.At+s.Length-at)
			if t.pieces[piece] == nil {
				return int(at), fmt.Errorf("storage: read piece %d: %w", piece, io.ErrUnexpectedEOF)
			}
			copy(p[at:at+n], t.pieces[piece][begin:])
			at += n
		}
	}
	return len(p), atEnd
}

// WriteAt implements [Torrent].
func (v *memoryView) WriteAt(p []byte, off int64) (int, error) {
	v.life.RLock()
	defer v.life.RUnlock()
	if v.closed {
		return 0, ErrClosed
	}
	t := v.data
	if !inside(off, int64(len(p)), t.layout.End()) {
		return 0, ErrRange
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.layout.Spans(nil, off, int64(len(p))) {
		if t.layout.Files()[s.File].Pad {
			continue
		}
		for at := s.At; at < s.At+s.Length; {
			piece, begin, n := t.place(off+at, s.At+s.Length-at)
			if t.pieces[piece] == nil {
				t.pieces[piece] = make([]byte, t.layout.PieceSize(piece))
			}
			copy(t.pieces[piece][begin:], p[at:at+n])
			at += n
		}
	}
	return len(p), nil
}

// place says in which piece an address is, where in it, and how many of n bytes it holds.
func (t *inMemory) place(off, n int64) (piece int, begin, length int64) {
	piece, begin = int(off/t.layout.PieceLength()), off%t.layout.PieceLength()
	return piece, begin, min(n, t.layout.PieceLength()-begin)
}

// Present implements [Prober].
func (v *memoryView) Present(off, n int64) bool {
	v.life.RLock()
	defer v.life.RUnlock()
	t := v.data
	if v.closed || !inside(off, n, t.layout.End()) {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range t.layout.Spans(nil, off, n) {
		if t.layout.Files()[s.File].Pad {
			continue
		}
		for at := s.At; at < s.At+s.Length; {
			piece, _, n := t.place(off+at, s.At+s.Length-at)
			if t.pieces[piece] == nil {
				return false
			}
			at += n
		}
	}
	return true
}

// Close implements [Torrent].
func (v *memoryView) Close() error {
	v.end(false)
	return nil
}

// Remove implements [Remover].
func (v *memoryView) Remove() error {
	if !v.end(true) {
		return ErrClosed
	}
	return nil
}

// end closes the view, once.
func (v *memoryView) end(forget bool) bool {
	v.life.Lock()
	defer v.life.Unlock()
	if v.closed {
		return false
	}
	v.closed = true
	v.owner.mu.Lock()
	defer v.owner.mu.Unlock()
	v.data.open = false
	if forget {
		delete(v.owner.torrents, v.hashes)
	}
	return true
}
