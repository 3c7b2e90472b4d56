package simnet

import (
	"context"
	"net"
	"os"
	"syscall"
	"time"
)

// How many connections wait to be accepted; dials wait for their turn beyond that.
const backlog = 128

type listener struct {
	host *Host
	addr *net.TCPAddr

	monitor
	queue  []arrival
	closed bool
}

var _ net.Listener = (*listener)(nil)

// An arrival is a connection that can be accepted from a time on.
type arrival struct {
	c  *conn
	at time.Time
}

// Listen listens on a port of the host; port 0 is one that is free. The network is tcp, tcp4 or tcp6; the address
// has the host's own address, an unspecified one, or none.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	port, err := h.localPort(network, "tcp", address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if port == 0 {
		port = h.portLocked()
	}
	addr := tcpAddr(h.addr, port)
	if port == 0 || h.listeners[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{host: h, addr: addr}
	h.listeners[port] = l
	return l, nil
}

func (h *Host) listenerAt(port uint16) *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners[port]
}

// enqueue hands over a connection, waiting for room; false when the listener or the context has ended.
func (l *listener) enqueue(ctx context.Context, c *conn, at time.Time) bool {
	l.Lock()
	defer l.Unlock()
	for len(l.queue) >= backlog && !l.closed && ctx.Err() == nil {
		l.wait(time.Time{}, ctx.Done())
	}
	if l.closed || ctx.Err() != nil {
		return false
	}
	l.queue = append(l.queue, arrival{c, at})
	l.broadcast()
	return true
}

// Accept waits for the connection that arrives next.
func (l *listener) Accept() (net.Conn, error) {
	l.Lock()
	defer l.Unlock()
	for {
		if l.closed {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
		}
		next := -1
		for i, a := range l.queue {
			if next < 0 || a.at.Before(l.queue[next].at) {
				next = i
			}
		}
		if next < 0 {
			l.wait(time.Time{}, nil)
			continue
		}
		a := l.queue[next]
		if time.Now().Before(a.at) {
			l.wait(a.at, nil)
			continue
		}
		l.queue = append(l.queue[:next], l.queue[next+1:]...)
		l.broadcast()
		return a.c, nil
	}
}

// Close wakes Accept with net.ErrClosed and resets what has not been accepted. Connections that were stay.
func (l *listener) Close() error {
	l.Lock()
	if l.closed {
		l.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closed = true
	queue := l.queue
	l.queue = nil
	l.broadcast()
	l.Unlock()

	l.host.mu.Lock()
	delete(l.host.listeners, uint16(l.addr.Port))
	l.host.mu.Unlock()
	for _, a := range queue {
		a.c.reset()
		a.c.Close()
	}
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }
