package conn

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

const (
	firstRun     = 4  // blocks of the first run
	maxRun       = 64 // and the most
	quickWrite   = 50 * time.Millisecond
	slowWrite    = 200 * time.Millisecond
	writeTimeout = 2 * time.Minute
	headerSize   = 13
	blockSize    = 16 << 10
)

// writer is what sending needs; borrowed while there is something to send.
type writer struct {
	out     swarm.Out
	headers []byte
	bufs    [][]byte
	vec     net.Buffers
}

var writers = sync.Pool{New: func() any { return &writer{headers: make([]byte, 0, maxRun*headerSize)} }}

var errWriteTimeout = errors.New("the peer did not read for two minutes")

func (w *writer) giveBack() {
	clear(w.bufs[:cap(w.bufs)])
	w.vec, w.out.MaxRate = nil, 0
	writers.Put(w)
}

// StartWriter lets what the swarm has for the peer be sent: it starts the
// goroutine for that, or wakes it where it waits for a limit. The swarm asks
// for it when it has something and no writer is about to look (Effects.Wake).
func (c *Conn) StartWriter() {
	if c.wakes.Add(1) == 1 {
		c.t.Go(c.writer)
		return
	}
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// write is the writer's goroutine: there is one at a time, and none when there
// is nothing to send.
func (c *Conn) write() {
	for {
		n := c.wakes.Load()
		if !c.drain() || c.wakes.CompareAndSwap(n, 0) {
			return
		}
	}
}

// drain sends until the swarm has nothing more for the peer. False: the
// connection was closed.
//
// Blocks are paid for before they leave the swarm's queue, so that a cancel or
// a choke finds them there while the writer waits for a limit. It waits behind a
// Fill of no blocks that had nothing: the swarm takes it for gone then, and
// wakes it for every control message.
func (c *Conn) drain() bool {
	w := writers.Get().(*writer)
	defer func() {
		w.giveBack()
		c.up.leave(c.credit)
		c.credit = 0
	}()
	for {
		limited := c.up.limited()
		most := c.most(limited)
		if limited && most > 0 {
			c.asked.Store(false)
		}
		some := c.t.Swarm.Fill(c.id, time.Now(), most, &w.out)
		c.setPace(w.out.MaxRate)
		switch {
		case some:
			if len(w.out.Run) > 0 {
				c.asked.Store(true)
			}
			if limited {
				c.credit -= w.out.Bytes
			}
			if err := c.send(w); err != nil {
				c.Close(err)
				return false
			}
		case most > 0:
			return true
		default:
			w.giveBack()
			ok := c.up.pause(c.kick, c.done)
			w = writers.Get().(*writer)
			if !ok {
				return false
			}
		}
	}
}

// most is how many blocks the next run may have. With limits, that is what was
// paid for; 0: there may be some queued, and a limit has to be waited for.
//
// When nobody has asked for a block it is one, since only such a Fill can end
// the writer. If one was asked for just then, it goes ahead of its payment.
func (c *Conn) most(limited bool) int {
	if !limited {
		if c.up.queued { // the limit is gone since
			c.up.leave(0)
		}
		c.credit = 0
		return c.run
	}
	for c.credit <= 0 && c.asked.Load() {
		n := c.up.take(c.run*blockSize - c.credit)
		if n == 0 {
			break
		}
		c.credit += n
	}
	switch {
	case c.credit > 0:
		return min(c.run, max(c.credit/blockSize, 1))
	case c.asked.Load():
		return 0
	default:
		return 1
	}
}

// setPace follows the strategy's limit for this peer; 0 is none.
func (c *Conn) setPace(rate int64) {
	if c.pace == nil {
		if rate <= 0 {
			return
		}
		c.pace = new(Gate)
		c.up.gates[0] = c.pace
	}
	c.pace.Set(rate)
}

// send writes one Out: control, then the run with a header before each block.
func (c *Conn) send(w *writer) error {
	w.bufs, w.headers = w.bufs[:0], w.headers[:0]
	n := w.out.Bytes
	if len(w.out.Control) > 0 {
		w.bufs = append(w.bufs, w.out.Control)
	}
	if len(w.out.Run) == 0 {
		_, err := c.flush(w)
		return err
	}
	buf := c.t.Send.Get(n, 0)
	for buf == nil {
		if !c.t.Send.Wait(int64(n), 0, c.done) {
			return c.reason
		}
		buf = c.t.Send.Get(n, 0)
	}
	defer c.t.Send.Put(buf)
	if _, err := c.t.Data.ReadAt(buf, w.out.Addr); err != nil {
		c.t.Fault(err)
		c.credit += n
		return c.rejectRun(w)
	}
	rest := buf
	for _, u := range w.out.Run {
		at := len(w.headers)
		w.headers = peerwire.AppendPieceHeader(w.headers, u.Piece, u.Begin, u.Length)
		w.bufs = append(w.bufs, w.headers[at:], rest[:u.Length])
		rest = rest[u.Length:]
	}
	took, err := c.flush(w)
	if err != nil {
		return err
	}
	c.t.Swarm.Sent(c.id, time.Now(), int64(n))
	switch {
	case took < quickWrite && len(w.out.Run) >= c.run: // a short one says nothing of longer ones
		c.run = min(c.run*2, maxRun)
	case took > slowWrite:
		c.run = max(c.run/2, 1)
	}
	return nil
}

// flush writes w.bufs with one vectored write.
func (c *Conn) flush(w *writer) (time.Duration, error) {
	from := time.Now()
	var err error
	if c.up.queued && len(w.bufs) == 1 { // others wait behind this: a peer that does not read loses its place
		c.nc.SetWriteDeadline(from.Add(quickWrite))
		n, err := c.nc.Write(w.bufs[0])
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
			return time.Since(from), err
		}
		w.bufs[0] = w.bufs[0][n:]
		c.up.leave(0)
	}
	c.nc.SetWriteDeadline(from.Add(writeTimeout))
	if len(w.bufs) == 1 {
		_, err = c.nc.Write(w.bufs[0])
	} else {
		w.vec = w.bufs
		_, err = w.vec.WriteTo(c.nc)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		err = errWriteTimeout
	}
	return time.Since(from), err
}

// rejectRun answers a run that could not be read: by rejects where the peer
// understands them (BEP 6), otherwise by silence.
func (c *Conn) rejectRun(w *writer) error {
	if c.fast {
		w.headers = w.headers[:0]
		for _, u := range w.out.Run {
			m := peerwire.Message{ID: peerwire.MsgReject, Index: u.Piece, Begin: u.Begin, Length: u.Length}
			w.headers = m.Append(w.headers)
		}
		w.bufs = append(w.bufs, w.headers)
	}
	if len(w.bufs) == 0 {
		return nil
	}
	_, err := c.flush(w)
	return err
}
