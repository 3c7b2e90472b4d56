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

	smallSize = 32 << 10 // see Borrow
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
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.get(n, headroom)
}

func (p *Pool) get(n int, headroom int64) []byte {
	c, size := class(n)
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(b)
}

func (p *Pool) put(b []byte) {
	b = b[:cap(b)]
	c, size := class(len(b))
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
}

// Borrow is Get for a buffer that bytes only pass through: it counts against
// the limit, but not in [Pool.Slabs]. At most half of the limit is lent out so:
// who holds such a buffer may be waiting for memory of the other kind. Large
// ones leave half of that to small ones. Return takes it back.
func (p *Pool) Borrow(n int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lends(n) {
		return nil
	}
	b := p.get(n, 0)
	p.aside += int64(cap(b))
	return b
}

// lends reports whether Borrow would lend out n bytes.
func (p *Pool) lends(n int) bool {
	_, size := class(n)
	most := p.limit / 2
	if size > smallSize {
		most /= 2
	}
	return p.used+int64(size) <= p.limit && p.aside+int64(size) <= most
}

// Return takes back what Borrow lent out.
func (p *Pool) Return(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aside -= int64(cap(b))
	p.put(b)
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
	return p.wait(func() bool { return p.used+int64(size)+headroom <= p.limit }, done)
}

// Lacks returns how many bytes have to come back until Wait returns for n; 0:
// none.
func (p *Pool) Lacks(n, headroom int64) int64 {
	_, size := class(int(n))
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.used+int64(size)+headroom-p.limit, 0)
}

// WaitBorrow is Wait for Borrow.
func (p *Pool) WaitBorrow(n int, done <-chan struct{}) bool {
	return p.wait(func() bool { return p.lends(n) }, done)
}

func (p *Pool) wait(ready func() bool, done <-chan struct{}) bool {
	for {
		p.mu.Lock()
		if ready() {
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
