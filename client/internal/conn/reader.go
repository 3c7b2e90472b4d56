package conn

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

const (
	parkedSize = 2 << 10
	midSize    = 32 << 10
	bigSize    = 256 << 10
	batchSize  = 256 // messages handed over at once
	smallReads = 8   // reads that did not need a big buffer, until it is given back
	slack      = 64  // bytes that a read within a limit may have beside a block

	// quietTime is how long a reader keeps a borrowed buffer that nothing comes
	// into: a peer that stops must not hold memory that others need.
	quietTime = time.Second
)

// batch is what decoding needs; borrowed while messages are handled.
type batch struct {
	msgs [batchSize]peerwire.Message
	step swarm.Step
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// reader is the state of the reading side. buf[:n] is what was read and not
// decoded yet: less than one message.
type reader struct {
	c     *Conn
	buf   []byte
	n     int
	lent  bool // buf is the pool's
	small int
	open  bool // blocks are asked of the peer
	debt  int  // bytes read that the limits were not told of
	most  int  // bytes that the next read may have; 0: as many as fit
	armed bool // a read deadline is set, to notice a peer that stops
	fresh bool // something was read since
}

func (c *Conn) read() error {
	r := &reader{c: c, buf: c.parked[:]}
	defer r.giveBack()
	defer func() { c.down.leave(-r.debt) }()
	for {
		if !r.gate() {
			return c.reason
		}
		r.arm()
		into := r.buf[r.n:]
		if r.most > 0 && r.most < len(into) {
			into = into[:r.most]
		}
		k, err := c.nc.Read(into)
		if k == 0 && r.armed && errors.Is(err, os.ErrDeadlineExceeded) {
			r.quiet()
			continue
		}
		r.fresh = true
		full := k == len(into)
		r.n += k
		r.debt += k
		if k > 0 {
			used, e := r.decode(r.buf[:r.n])
			r.n = copy(r.buf, r.buf[used:r.n])
			if e != nil {
				return e
			}
		}
		if err != nil {
			return err
		}
		if !r.resize(k, full) {
			return c.reason
		}
	}
}

// arm sets a deadline while a buffer is borrowed: one call a second.
func (r *reader) arm() {
	if r.lent && !r.armed {
		r.armed, r.fresh = true, false
		r.c.nc.SetReadDeadline(time.Now().Add(quietTime))
	}
}

// quiet follows the deadline: when nothing came, the buffer is exchanged for
// the smallest that holds what is there and a little more.
func (r *reader) quiet() {
	r.armed = false
	r.c.nc.SetReadDeadline(time.Time{})
	if r.fresh {
		return
	}
	if r.n < parkedSize {
		copy(r.c.parked[:], r.buf[:r.n])
		r.giveBack()
	} else if r.n < len(r.buf)/2 {
		if b := r.c.t.Recv.Borrow(r.n + 1); b != nil {
			copy(b[:cap(b)], r.buf[:r.n])
			r.c.t.Recv.Return(r.buf)
			r.buf = b[:cap(b)]
		}
	}
}

// gate waits, without a buffer where there is nothing in it, while memory is
// short or a limit is reached. False: the connection was closed.
func (r *reader) gate() bool {
	c := r.c
	if c.down.limited() {
		if !r.pay() {
			return false
		}
	} else {
		r.debt, r.most = 0, 0
	}
	if !r.open || c.t.Recv.Used() < c.t.Recv.Limit()*3/4 {
		return true
	}
	if r.n == 0 {
		r.giveBack()
	}
	return r.waitSlab()
}

// pay settles with the limits what was read, share by share, and says how much
// may be read next. It waits between two blocks alone, holding no more than a
// parked reader: within one, the rest of it is read first. What is left over of
// a share is paid with the next, so that those in line get the same however
// much they read at a time.
func (r *reader) pay() bool {
	c := r.c
	for r.debt >= share {
		if r.n >= parkedSize {
			r.most = c.limits.Need(r.buf[:r.n]) - r.n
			return true
		}
		n := c.down.take(r.debt)
		if n == 0 {
			copy(c.parked[:], r.buf[:r.n])
			r.giveBack()
			if !r.pause(func() bool { n = r.await(); return n > 0 }) {
				return false
			}
		}
		r.debt -= n
	}
	atOnce := max(min(c.down.narrowest()/64, bigSize), share)
	r.most = int(atOnce) + slack - r.debt
	if r.n > 0 {
		r.most = max(r.most, c.limits.Need(r.buf[:r.n])-r.n)
	}
	return true
}

// await waits for the limits and returns what they let through; 0: the
// connection was closed.
func (r *reader) await() int {
	c := r.c
	for c.down.pause(nil, c.done) {
		if n := c.down.take(r.debt); n > 0 {
			return n
		}
	}
	return 0
}

// waitSlab returns when a slab could be had, which may take an eviction.
func (r *reader) waitSlab() bool {
	t := r.c.t
	t.Carry(&swarm.Effects{Starved: true}, r.c)
	n, headroom := swarm.SlabRoom(t.Recv)
	return r.pause(func() bool { return t.Recv.Wait(n, headroom, r.c.done) })
}

// pause waits for something of ours: the peer's clocks stand still.
func (r *reader) pause(wait func() bool) bool {
	c := r.c
	c.t.Swarm.Hold(c.id, true, time.Now())
	ok := wait()
	c.t.Swarm.Hold(c.id, false, time.Now())
	return ok
}

func (r *reader) giveBack() {
	if r.lent {
		r.c.t.Recv.Return(r.buf)
	}
	r.buf, r.lent = r.c.parked[:], false
	r.small = 0
}

// resize chooses the buffer for the next read: a larger one when this one
// came back full or the message begun does not fit, the parked one when
// nothing is expected.
func (r *reader) resize(k int, full bool) bool {
	need := 0
	if r.n > 0 { // as much as is there warrants: a length alone is only a word
		need = min(r.c.limits.Need(r.buf[:r.n]), max(4*r.n, midSize))
	}
	want := len(r.buf)
	switch {
	case full && want < midSize:
		want = midSize
	case full:
		want = bigSize
	case want == bigSize && k <= midSize:
		if r.small++; r.small >= smallReads {
			want = midSize
		}
	default:
		r.small = 0
	}
	if r.most > 0 && r.most <= midSize {
		want = min(want, midSize)
	}
	if want == bigSize && len(r.buf) != bigSize && r.c.t.Recv.Used() > r.c.t.Recv.Limit()/2 {
		want = midSize
	}
	if !full && !r.open && r.n == 0 {
		want = parkedSize
	}
	if need > want {
		want = max(need, midSize)
	}
	return want == len(r.buf) || r.swap(want, need)
}

// swap exchanges the buffer for one of size want; a smaller one that still
// holds need does when memory is short.
func (r *reader) swap(want, need int) bool {
	old, lent := r.buf, r.lent
	if want <= parkedSize && need <= parkedSize {
		copy(r.c.parked[:], old[:r.n])
		r.giveBack()
		return true
	}
	b := r.c.t.Recv.Borrow(want)
	for b == nil {
		if need <= len(old) {
			return true
		}
		if !r.pause(func() bool { return r.c.t.Recv.WaitBorrow(want, r.c.done) }) {
			return false
		}
		b = r.c.t.Recv.Borrow(want)
	}
	copy(b, old[:r.n])
	if lent {
		r.c.t.Recv.Return(old)
	}
	r.buf, r.lent, r.small = b, true, 0
	return true
}

// decode handles all whole messages of buf and returns the bytes it used.
func (r *reader) decode(buf []byte) (used int, err error) {
	b := batches.Get().(*batch)
	defer func() {
		clear(b.msgs[:])
		b.step.Reset()
		batches.Put(b)
	}()
	for {
		n, from := 0, used
		var ext *peerwire.Message
		for n < batchSize && ext == nil && err == nil {
			var k int
			m := &b.msgs[n]
			if k, err = r.c.limits.Next(buf[used:], m); k == 0 {
				break
			}
			used += k
			if m.ID == peerwire.MsgExtended {
				ext = m
			} else {
				n++
			}
		}
		if n > 0 {
			if e := r.handle(b, b.msgs[:n]); e != nil {
				return used, e
			}
		}
		if ext != nil {
			if e := r.c.extended(uint8(ext.Index), ext.Data); e != nil {
				return used, e
			}
		}
		if err != nil || used == from {
			return used, err
		}
	}
}

// asks reports whether there is a request among msgs.
func asks(msgs []peerwire.Message) bool {
	for i := range msgs {
		if msgs[i].ID == peerwire.MsgRequest {
			return true
		}
	}
	return false
}

// handle gives messages to the swarm, copies the blocks that it claims, and
// waits for memory where it must.
func (r *reader) handle(b *batch, msgs []peerwire.Message) error {
	c := r.c
	if !c.asked.Load() && asks(msgs) {
		c.asked.Store(true) // before the swarm wakes the writer
	}
	for {
		b.step.Reset()
		k, err := c.t.Swarm.Batch(c.id, time.Now(), msgs, &b.step)
		for i := range b.step.Claims {
			copy(b.step.Claims[i].Dst, b.step.Claims[i].Src)
		}
		if len(b.step.Claims) > 0 {
			c.t.Swarm.Landed(b.step.Claims, time.Now(), &b.step.Effects)
		}
		r.open = b.step.Open
		if b.step.Pieces > 0 {
			c.limits.Pieces = b.step.Pieces
		}
		if !b.step.Empty() {
			c.t.Carry(&b.step.Effects, c)
		}
		if err != nil {
			return err
		}
		if msgs = msgs[k:]; len(msgs) == 0 {
			return nil
		}
		if !r.waitSlab() {
			return c.reason
		}
	}
}
