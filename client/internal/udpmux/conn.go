package udpmux

import (
	"net"
	"os"
	"sync"
	"time"
)

// packet is one that waits to be read.
type packet struct {
	data []byte
	from net.Addr
}

// conn is a virtual socket. It implements net.PacketConn.
type conn struct {
	mux    *Mux
	kind   Kind
	queue  chan packet
	closed chan struct{} // closed with err set

	mu      sync.Mutex
	err     error         // guarded by mu, as all below
	expired chan struct{} // closed when the read deadline has passed
	timer   *time.Timer   // of the deadline; nil: none
}

func newConn(m *Mux, k Kind) *conn {
	return &conn{
		mux: m, kind: k,
		queue: make(chan packet, maxQueue), closed: make(chan struct{}), expired: make(chan struct{}),
	}
}

// put queues a copy of a packet, unless there are too many.
func (c *conn) put(data []byte, from net.Addr) bool {
	if len(c.queue) == cap(c.queue) { // before the copy: the mux alone sends
		return false
	}
	c.queue <- packet{append([]byte(nil), data...), from}
	return true
}

// ReadFrom returns the next packet. What does not fit into b is lost.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	err, expired := c.err, c.expired
	c.mu.Unlock()
	if err != nil {
		return 0, nil, c.wrap("read", err)
	}
	select { // a passed deadline fails even if there is something to read
	case <-expired:
		return 0, nil, c.wrap("read", os.ErrDeadlineExceeded)
	default:
	}
	select {
	case p := <-c.queue:
		return copy(b, p.data), p.from, nil
	case <-expired:
		return 0, nil, c.wrap("read", os.ErrDeadlineExceeded)
	case <-c.closed:
		c.mu.Lock()
		defer c.mu.Unlock()
		return 0, nil, c.wrap("read", c.err)
	}
}

// WriteTo sends at once, through the real socket.
func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, c.wrap("write", net.ErrClosed)
	default:
		return c.mux.socket.WriteTo(b, to)
	}
}

// Close lets the kind be opened again.
func (c *conn) Close() error {
	c.mux.forget(c)
	if !c.end(net.ErrClosed) {
		return c.wrap("close", net.ErrClosed)
	}
	return nil
}

// end makes reads fail, and reports whether they did not before.
func (c *conn) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = err
	if c.timer != nil {
		c.timer.Stop()
	}
	close(c.closed)
	return true
}

// LocalAddr is the address of the real socket.
func (c *conn) LocalAddr() net.Addr { return c.mux.LocalAddr() }

// SetDeadline is SetReadDeadline: writes do not wait.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes do not wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline makes reads fail with os.ErrDeadlineExceeded from then on,
// those that wait already too. The zero time is never.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.wrap("set deadline", c.err)
	}
	if c.timer != nil && !c.timer.Stop() {
		<-c.expired // the timer closes it
	}
	c.timer = nil
	select {
	case <-c.expired:
		c.expired = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return nil
	}
	expired := c.expired
	if wait := time.Until(t); wait > 0 {
		c.timer = time.AfterFunc(wait, func() { close(expired) })
	} else {
		close(expired)
	}
	return nil
}

func (c *conn) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
}
