package simnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Where a line has a rate, data go through in segments of this many bytes, so that connections take turns.
const maxSegment = 4 << 10

// A pipe is one direction of a connection. Everything below the monitor is guarded by it.
type pipe struct {
	from, to *Host
	window   int

	monitor
	buf      ring
	segments []segment // of what is in buf, in order of arrival
	last     time.Time // arrival of the last segment ever sent

	writing       bool // one Write at a time, as with real connections
	readDeadline  time.Time
	writeDeadline time.Time

	readClosed  bool      // by the reader
	goneAt      time.Time // when the writer gets to know of it
	writeClosed bool      // by the writer
	endAt       time.Time // when the reader gets to know of it
	broken      bool      // cut
}

// A segment is a run of bytes that arrive together.
type segment struct {
	n        int
	at       time.Time
	received bool // the downlink has been booked, at includes it
}

func newPipe(from, to *Host, window int) *pipe {
	return &pipe{from: from, to: to, window: window}
}

func (p *pipe) read(b []byte) (int, error) {
	p.Lock()
	defer p.Unlock()
	for {
		now := time.Now()
		switch {
		case p.readClosed:
			return 0, net.ErrClosed
		case p.broken:
			return 0, syscall.ECONNRESET
		case reached(p.readDeadline, now):
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		}
		n, next := p.take(b, now)
		if n > 0 {
			p.broadcast() // there is room again
			return n, nil
		}
		if p.writeClosed && len(p.segments) == 0 {
			if reached(p.endAt, now) {
				return 0, io.EOF
			}
			next = p.endAt
		}
		p.wait(earlier(next, p.readDeadline), nil)
	}
}

// take copies what has arrived. When there is nothing, next is when to look again (zero: after a change).
func (p *pipe) take(b []byte, now time.Time) (n int, next time.Time) {
	for len(p.segments) > 0 && n < len(b) {
		s := &p.segments[0]
		if !s.received && !now.Before(s.at) {
			s.at = p.to.receiveAt(s.at, s.n)
			s.received = true
		}
		if now.Before(s.at) {
			return n, s.at
		}
		k := p.buf.pop(b[n:min(len(b), n+s.n)])
		n += k
		s.n -= k
		if s.n == 0 {
			p.segments = p.segments[1:]
		}
	}
	return n, time.Time{}
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.Lock()
	defer p.Unlock()
	mine := false // this call is the one that writes
	defer func() {
		if mine {
			p.writing = false
			p.broadcast()
		}
	}()
	for {
		now := time.Now()
		switch {
		case p.writeClosed:
			return n, net.ErrClosed
		case p.broken, p.readClosed && reached(p.goneAt, now):
			return n, syscall.ECONNRESET
		case reached(p.writeDeadline, now):
			return n, os.ErrDeadlineExceeded
		}
		if !p.writing {
			p.writing, mine = true, true
		}
		if mine {
			n += p.put(b[n:], now)
			if n == len(b) {
				return n, nil
			}
		}
		p.wait(p.writeDeadline, nil)
	}
}

// put sends what there is room for.
func (p *pipe) put(b []byte, now time.Time) (n int) {
	if p.readClosed {
		return len(b) // sent, and lost at the other end
	}
	delay := way(p.from, p.to)
	apart := p.to.slowDown() // one large segment would come through the downlink in one lump
	for n < len(b) && p.buf.size < p.window {
		k := min(len(b)-n, p.window-p.buf.size, maxSegment)
		at := p.from.sendAt(now, k).Add(delay)
		if at.Before(p.last) { // a link got faster: still in order
			at = p.last
		}
		p.last = at
		p.buf.push(b[n:n+k], p.window)
		if i := len(p.segments) - 1; !apart && i >= 0 && !p.segments[i].received && p.segments[i].at.Equal(at) {
			p.segments[i].n += k
		} else {
			p.segments = append(p.segments, segment{n: k, at: at})
		}
		n += k
	}
	if n > 0 {
		p.broadcast()
	}
	return n
}

// end is the writer's close: the reader gets what was sent, then io.EOF.
func (p *pipe) end() {
	p.Lock()
	defer p.Unlock()
	if p.writeClosed {
		return
	}
	p.writeClosed = true
	p.endAt = p.from.sendAt(time.Now(), 0).Add(way(p.from, p.to))
	if p.endAt.Before(p.last) {
		p.endAt = p.last
	}
	p.broadcast()
}

// leave is the reader's close.
func (p *pipe) leave() {
	p.Lock()
	defer p.Unlock()
	if p.readClosed {
		return
	}
	p.readClosed = true
	p.goneAt = time.Now().Add(way(p.from, p.to))
	p.dropLocked()
}

// cut breaks the pipe for both ends.
func (p *pipe) cut() {
	p.Lock()
	defer p.Unlock()
	p.broken = true
	p.dropLocked()
}

func (p *pipe) dropLocked() {
	p.segments = nil
	p.buf = ring{}
	p.broadcast()
}

func (p *pipe) setDeadlines(read, write *time.Time) {
	p.Lock()
	defer p.Unlock()
	if read != nil {
		p.readDeadline = *read
	}
	if write != nil {
		p.writeDeadline = *write
	}
	p.broadcast()
}

// A ring holds bytes in a slice that grows as needed.
type ring struct {
	b           []byte
	start, size int
}

// push appends; size stays within limit.
func (r *ring) push(b []byte, limit int) {
	if need := r.size + len(b); need > len(r.b) {
		grown := make([]byte, min(max(need, 2*len(r.b), 4<<10), limit))
		r.size = r.peek(grown)
		r.b, r.start = grown, 0
	}
	end := (r.start + r.size) % len(r.b)
	k := copy(r.b[end:], b)
	copy(r.b, b[k:])
	r.size += len(b)
}

// pop removes and returns how many bytes it copied.
func (r *ring) pop(b []byte) int {
	n := r.peek(b)
	r.size -= n
	if r.size == 0 {
		r.start = 0
	} else {
		r.start = (r.start + n) % len(r.b)
	}
	return n
}

func (r *ring) peek(b []byte) int {
	n := min(len(b), r.size)
	k := copy(b[:n], r.b[min(r.start, len(r.b)):])
	copy(b[k:n], r.b)
	return n
}
