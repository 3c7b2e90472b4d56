package block

import (
	"math/bits"
	"sync"
)

const (
	minShift = 8  // 256 bytes
	maxShift = 20 // 1 MiB
	classes  = maxShift - minShift + 1

	// MaxSize is the largest buffer that a pool keeps for reuse. Larger ones
	// are lent out too, and left to the garbage collector afterwards.
	MaxSize = 1 << maxShift
)

// A Pool lends out buffers within a budget of bytes. Create one with
// [NewPool].
type Pool struct {
	mu      sync.Mutex
	limit   int64
	used    int64 // lent out, by class size
	aside   int64 // of used: see Borrow
	peak    int64 // the most of used+kept so far
	kept    int64 // waiting in free
	free    [classes][][]byte
	waiting int
	change  chan struct{} // closed when bytes come back while somebody waits
}

// NewPool returns a pool that lends out and keeps at most limit bytes.
func NewPool(limit int64) *Pool {
	return &Pool{limit: limit, change: make(chan struct{})}
}

// class returns the size class of n and its size in bytes; above MaxSize the
// class is -1 and the size n itself.
func class(n int) (c, size int) {
	if n > MaxSize {
		return -1, n
	}
	if n <= 1<<minShift {
		return 0, 1 << minShift
	}
	c = bits.Len(uint(n-1)) - minShift
	return c, 1 << (c + minShift)
}

// Get lends out a buffer of length n, with undefined content, or nil when
// the limit would be passed. headroom is what must stay free beyond it: who
// can do without passes a headroom, so that others can't be starved.
func (p *Pool) Get(n int, headroom int64) []byte {
	c, size := class(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used+int64(size)+headroom > p.limit {
		return nil
	}
	if c >= 0 {
		if l := len(p.free[c]); l > 0 {
			b := p.free[c][l-1]
			p.free[c][l-1] = nil
			p.free[c] = p.free[c][:l-1]
			p.kept -= int64(size)
			p.used += int64(size)
			return b[:n]
		}
	}
	p.used += int64(size)
	p.shrink(p.limit - p.used)
	p.peak = max(p.peak, p.used+p.kept)
	return make([]byte, n, size)
}

// Put takes back what Get lent out. A nil buffer is ignored.
func (p *Pool) Put(b []byte) {
	if b == nil {
		return
	}
	b = b[:cap(b)]
	c, size := class(len(b))
	p.mu.Lock()
	p.used -= int64(size)
	if c >= 0 && len(b) == size && p.used+p.kept+int64(size) <= p.limit {
		p.free[c] = append(p.free[c], b)
		p.kept += int64(size)
	}
	if p.waiting > 0 {
		close(p.change)
		p.change = make(chan struct{})
		p.waiting = 0
	}
	p.mu.Unlock()
}

// Borrow is Get for a buffer that bytes only pass through: it counts against
// the limit, but not in [Pool.Slabs]. Return takes it back.
func (p *Pool) Borrow(n int) []byte {
	b := p.Get(n, 0)
	if b != nil {
		p.mu.Lock()
		p.aside += int64(cap(b))
		p.mu.Unlock()
	}
	return b
}

// Return takes back what Borrow lent out.
func (p *Pool) Return(b []byte) {
	p.mu.Lock()
	p.aside -= int64(cap(b))
	p.mu.Unlock()
	p.Put(b)
}

// Slabs returns the bytes lent out by Get: what stays until it is written.
func (p *Pool) Slabs() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used - p.aside
}

// shrink drops kept buffers, the largest first, until at most keep bytes of
// them are left.
func (p *Pool) shrink(keep int64) {
	for c := classes - 1; c >= 0 && p.kept > keep; c-- {
		l := len(p.free[c])
		for ; l > 0 && p.kept > keep; l-- {
			p.free[c][l-1] = nil
			p.kept -= 1 << (c + minShift)
		}
		p.free[c] = p.free[c][:l]
	}
}

// Trim leaves at most keep bytes of unused buffers to be lent out again; the
// rest goes to the garbage collector.
func (p *Pool) Trim(keep int64) {
	p.mu.Lock()
	p.shrink(keep)
	p.mu.Unlock()
}

// Wait returns when n more bytes could be lent out, or done is closed, and
// says which. It is no reservation: the caller tries Get again.
func (p *Pool) Wait(n, headroom int64, done <-chan struct{}) bool {
	_, size := class(int(n)) // as Get counts it
	for {
		p.mu.Lock()
		if p.used+int64(size)+headroom <= p.limit {
			p.mu.Unlock()
			return true
		}
		p.waiting++
		ch := p.change
		p.mu.Unlock()
		select {
		case <-ch:
		case <-done:
			return false
		}
	}
}

// Used returns the bytes lent out.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Limit returns the budget in bytes.
func (p *Pool) Limit() int64 { return p.limit }

// Peak returns the most bytes that were lent out and kept at any time.
func (p *Pool) Peak() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}
