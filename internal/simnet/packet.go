package simnet

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// What a socket holds unread; more is lost, as with real ones.
const (
	maxPackets    = 1024
	maxPacketSize = 65507
)

// A packetConn is an unconnected UDP-like socket.
type packetConn struct {
	host *Host
	addr *net.UDPAddr

	monitor
	queue         []packet // in order of arrival
	readDeadline  time.Time
	writeDeadline time.Time
	closed        bool
}

var _ net.PacketConn = (*packetConn)(nil)

type packet struct {
	data     []byte
	from     *net.UDPAddr
	at       time.Time
	received bool // the downlink has been booked
}

// ListenPacket opens a socket for packets; network and address are as for Listen, with udp. Packets to nobody, over
// the receiver's queue, or lost by the dice of Link.Loss, vanish without an error.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	port, err := h.localPort(network, "udp", address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if port == 0 {
		port = h.portLocked()
	}
	addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.addr, port))
	if port == 0 || h.packets[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	p := &packetConn{host: h, addr: addr}
	h.packets[port] = p
	return p, nil
}

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p.Lock()
	defer p.Unlock()
	for {
		now := time.Now()
		switch {
		case p.closed:
			return 0, nil, p.wrap("read", net.ErrClosed)
		case reached(p.readDeadline, now):
			return 0, nil, p.wrap("read", os.ErrDeadlineExceeded)
		}
		var next time.Time
		if len(p.queue) > 0 {
			head := &p.queue[0]
			if !head.received && !now.Before(head.at) {
				head.at = p.host.receiveAt(head.at, len(head.data))
				head.received = true
			}
			if !now.Before(head.at) {
				got := *head
				p.queue = p.queue[1:]
				return copy(b, got.data), got.from, nil
			}
			next = head.at
		}
		p.wait(earlier(next, p.readDeadline), nil)
	}
}

// WriteTo never waits: what the uplink has not got through yet is queued without a bound on time.
func (p *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, p.wrap("write", &net.AddrError{Err: "not a UDP address", Addr: addr.String()})
	}
	if len(b) > maxPacketSize {
		return 0, p.wrap("write", syscall.EMSGSIZE)
	}
	now := time.Now()
	p.Lock()
	closed, late := p.closed, reached(p.writeDeadline, now)
	p.Unlock()
	switch {
	case closed:
		return 0, p.wrap("write", net.ErrClosed)
	case late:
		return 0, p.wrap("write", os.ErrDeadlineExceeded)
	}
	left := p.host.sendAt(now, len(b))
	_, loss := p.host.attached()
	target := to.AddrPort()
	if h := p.host.net.lookup(target.Addr().Unmap()); h != nil && !p.host.net.lost(loss) {
		h.deliver(target.Port(), packet{data: slices.Clone(b), from: p.addr, at: left.Add(way(p.host, h))})
	}
	return len(b), nil
}

// deliver puts a packet into the queue of the socket on the port, if there is one.
func (h *Host) deliver(port uint16, k packet) {
	h.mu.Lock()
	p, loss := h.packets[port], h.loss
	h.mu.Unlock()
	if p == nil || h.net.lost(loss) {
		return
	}
	p.Lock()
	defer p.Unlock()
	if p.closed || len(p.queue) >= maxPackets {
		return
	}
	i := len(p.queue)
	for i > 0 && !p.queue[i-1].received && k.at.Before(p.queue[i-1].at) {
		i--
	}
	p.queue = slices.Insert(p.queue, i, k)
	p.broadcast()
}

// Close wakes readers with net.ErrClosed.
func (p *packetConn) Close() error {
	p.Lock()
	if p.closed {
		p.Unlock()
		return p.wrap("close", net.ErrClosed)
	}
	p.closed = true
	p.queue = nil
	p.broadcast()
	p.Unlock()

	p.host.mu.Lock()
	delete(p.host.packets, uint16(p.addr.Port))
	p.host.mu.Unlock()
	return nil
}

func (p *packetConn) LocalAddr() net.Addr { return p.addr }

func (p *packetConn) SetDeadline(t time.Time) error {
	p.Lock()
	defer p.Unlock()
	p.readDeadline, p.writeDeadline = t, t
	p.broadcast()
	return nil
}

func (p *packetConn) SetReadDeadline(t time.Time) error {
	p.Lock()
	defer p.Unlock()
	p.readDeadline = t
	p.broadcast()
	return nil
}

func (p *packetConn) SetWriteDeadline(t time.Time) error {
	p.Lock()
	defer p.Unlock()
	p.writeDeadline = t
	return nil
}

func (p *packetConn) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: p.addr, Err: err}
}
