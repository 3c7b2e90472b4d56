package storage

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// defaultMaxOpen is between what is used elsewhere for one client: 40 and 10,240.
const defaultMaxOpen = 128

// A pool keeps the open files of all torrents of one Files within a bound. The least recently used
// idle one makes room; one in use is never closed, so with very many calls at once the bound is passed
// by those calls and kept again when they return.
//
// mu is a leaf lock: it guards the table and the list alone and is never held across a system call.
type pool struct {
	mu    sync.Mutex
	start time.Time // pool time counts from here
	max   int
	table map[handleKey]*handle
	idle  handle // ring of handles nobody uses, the most recently used first; its head is no handle
}

// A handleKey names an open file: torrent, index in its layout, opened for writing or not.
type handleKey struct {
	torrent *onDisk
	file    int
	write   bool
}

// A handle is one entry of the pool: a file that is open, or about to be.
type handle struct {
	key handleKey

	// Guarded by pool.mu.
	refs       int
	retired    bool // left the table; closed when the last user is done
	prev, next *handle

	// opening is held while the file is being opened: whoever wants it too waits here, and the rest of
	// the pool goes on.
	opening sync.Mutex

	file   atomic.Pointer[os.File] // nil until opened
	looked atomic.Int64            // when the path was last seen to lead to this file, in pool time
}

func (p *pool) init(max int) {
	if max <= 0 {
		max = defaultMaxOpen
	}
	p.max = max
	p.start = time.Now()
	p.table = make(map[handleKey]*handle)
	p.idle.prev, p.idle.next = &p.idle, &p.idle
}

// now is the time since the pool was made, in nanoseconds of the monotonic clock.
func (p *pool) now() int64 { return int64(time.Since(p.start)) }

// acquire returns the entry for key, in use until release. For reading, an entry that was opened for
// writing serves as well. Its file may not be open yet.
func (p *pool) acquire(key handleKey) *handle {
	p.mu.Lock()
	h := p.table[handleKey{key.torrent, key.file, true}]
	if !key.write && (h == nil || h.file.Load() == nil) {
		h = p.table[key] // a reader must not be the one who opens for writing: that creates
	}
	var victim *handle
	if h == nil {
		h = &handle{key: key}
		p.table[key] = h
		victim = p.oldestOverLocked()
	} else if h.refs == 0 {
		p.unlinkLocked(h)
	}
	h.refs++
	p.mu.Unlock()
	victim.close()
	return h
}

// release ends a use.
func (p *pool) release(h *handle) {
	p.mu.Lock()
	h.refs--
	if h.refs > 0 {
		p.mu.Unlock()
		return
	}
	if !h.retired {
		if h.file.Load() == nil || len(p.table) > p.max {
			p.dropLocked(h)
		} else {
			h.next, h.prev = p.idle.next, &p.idle
			h.next.prev, h.prev.next = h, h
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	h.close()
}

// retire takes a handle that its caller uses out of the table: the next acquire opens afresh.
func (p *pool) retire(h *handle) {
	p.mu.Lock()
	if !h.retired {
		p.dropLocked(h)
	}
	p.mu.Unlock()
}

// retireFile does so for all entries of a file, used or not.
func (p *pool) retireFile(t *onDisk, file int) {
	for _, write := range [...]bool{false, true} {
		p.mu.Lock()
		h := p.table[handleKey{t, file, write}]
		closing := h != nil && h.refs == 0
		if closing {
			p.unlinkLocked(h)
		}
		if h != nil {
			p.dropLocked(h)
		}
		p.mu.Unlock()
		if closing {
			h.close()
		}
	}
}

// closeIdle closes what nobody uses, of one torrent or, with nil, of all.
func (p *pool) closeIdle(t *onDisk) {
	var victims []*handle
	p.mu.Lock()
	for h := p.idle.next; h != &p.idle; {
		next := h.next
		if t == nil || h.key.torrent == t {
			p.unlinkLocked(h)
			p.dropLocked(h)
			victims = append(victims, h)
		}
		h = next
	}
	p.mu.Unlock()
	for _, h := range victims {
		h.close()
	}
}

// oldestOverLocked takes out the least recently used idle entry when there are too many. Every insert
// calls it, so one at a time is enough.
func (p *pool) oldestOverLocked() *handle {
	h := p.idle.prev
	if len(p.table) <= p.max || h == &p.idle {
		return nil
	}
	p.unlinkLocked(h)
	p.dropLocked(h)
	return h
}

func (p *pool) unlinkLocked(h *handle) {
	h.prev.next, h.next.prev = h.next, h.prev
	h.prev, h.next = nil, nil
}

func (p *pool) dropLocked(h *handle) {
	h.retired = true
	if p.table[h.key] == h {
		delete(p.table, h.key)
	}
}

// close closes the file of an entry that has no user and is out of the table.
func (h *handle) close() {
	if h == nil {
		return
	}
	f := h.file.Swap(nil)
	if f == nil {
		return
	}
	// Some file systems tell of a failed write only now.
	if err := f.Close(); err != nil && h.key.write {
		h.key.torrent.lateError(h.key.file, err)
	}
}
