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
	controlWait  = 100 * time.Millisecond // how long control waits behind a run that waits for its limits
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

// write sends until the swarm has nothing more for the peer. The swarm sees to
// it that there is one writer at a time.
func (c *Conn) write() {
	w := writers.Get().(*writer)
	defer func() {
		clear(w.bufs[:cap(w.bufs)])
		w.vec, w.out.MaxRate = nil, 0
		writers.Put(w)
	}()
	for c.t.Swarm.Fill(c.id, time.Now(), c.most(w.out.MaxRate), &w.out) {
		if err := c.send(w); err != nil {
			c.Close(err)
			return
		}
	}
}

// send writes one Out: control, then the run with a header before each block.
func (c *Conn) send(w *writer) error {
	w.bufs, w.headers = w.bufs[:0], w.headers[:0]
	n := w.out.Bytes
	waited := c.pace(n, w.out.MaxRate)
	if c.t.Up != nil && n > 0 {
		waited = max(waited, c.t.Up.Reserve(n))
	}
	if err := c.delay(w, waited); err != nil {
		return err
	}
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
	case waited+took < quickWrite:
		c.run = min(c.run*2, maxRun)
	case waited+took > slowWrite:
		c.run = max(c.run/2, 1)
	}
	return nil
}

// pace returns how long to wait until n bytes may be sent at rate, this peer's
// own; 0 is no limit.
func (c *Conn) pace(n int, rate int64) time.Duration {
	if rate <= 0 || n == 0 {
		return 0
	}
	now := time.Now()
	wait := max(c.free.Sub(now), 0)
	c.free = now.Add(wait + time.Duration(int64(n)*int64(time.Second)/rate))
	return wait
}

// delay lets d pass before the run is sent. Control does not wait with it: our
// requests among it would come late, and a low limit on what we send would be
// one on what we get.
func (c *Conn) delay(w *writer, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	for until := time.Now().Add(d); ; c.t.Swarm.Control(c.id, time.Now(), &w.out) {
		if len(w.out.Control) > 0 {
			w.bufs = append(w.bufs[:0], w.out.Control)
			if _, err := c.flush(w); err != nil {
				return err
			}
			w.bufs, w.out.Control = w.bufs[:0], w.out.Control[:0]
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if !c.sleep(min(left, controlWait)) {
			return c.reason
		}
	}
}

// most is how many blocks the next run may have: a tenth of a second's worth
// where the peer has a rate of its own.
func (c *Conn) most(rate int64) int {
	if rate <= 0 {
		return c.run
	}
	return min(c.run, max(int(rate/10/blockSize), 1))
}

// flush writes w.bufs with one vectored write.
func (c *Conn) flush(w *writer) (time.Duration, error) {
	from := time.Now()
	c.nc.SetWriteDeadline(from.Add(writeTimeout))
	var err error
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
