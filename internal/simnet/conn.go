package simnet

import (
	"io"
	"net"
	"net/netip"
	"time"
)

// A conn is one end of a connection.
type conn struct {
	net           *Net
	in, out       *pipe
	first         *pipe // the dialer's out: the same for both ends
	local, remote *net.TCPAddr
}

var _ net.Conn = (*conn)(nil)

// newConns makes both ends of a connection.
func newConns(n *Net, dialer, server *Host, from, to uint16) (client, accepted *conn) {
	there, back := newPipe(dialer, server, n.opts.Window), newPipe(server, dialer, n.opts.Window)
	a, b := tcpAddr(dialer.addr, from), tcpAddr(server.addr, to)
	client = &conn{net: n, in: back, out: there, first: there, local: a, remote: b}
	accepted = &conn{net: n, in: there, out: back, first: there, local: b, remote: a}
	n.track(client, accepted)
	return client, accepted
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.wrap("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.wrap("write", err)
}

// CloseWrite ends our direction; the peer reads io.EOF after what was sent.
func (c *conn) CloseWrite() error {
	c.out.end()
	return nil
}

// Close ends both directions. What was written still arrives. Later calls do nothing.
func (c *conn) Close() error {
	c.net.forget(c)
	c.out.end()
	c.in.leave()
	return nil
}

func (c *conn) reset() {
	c.in.cut()
	c.out.cut()
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setDeadlines(&t, nil)
	c.out.setDeadlines(nil, &t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadlines(&t, nil)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadlines(nil, &t)
	return nil
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func tcpAddr(addr netip.Addr, port uint16) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port))
}
