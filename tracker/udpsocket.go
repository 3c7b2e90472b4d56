package tracker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	udpBuffer    = 64 << 10 // a datagram of any size
	udpReadFails = 100      // failed reads in a row; systems report other hosts' ICMP this way
	udpMaxIDs    = 4096     // connection ids that are kept
	udpMaxAtOnce = 8192     // exchanges under way; others wait
)

// udpState is the UDP side of a Client: the sockets, the connection ids, and who
// is just asking for one. Nothing is sent, opened or waited for under its mutex.
type udpState struct {
	mu       sync.Mutex
	sockets  [2]*udpSocket            // in use, by family; nil: none
	ids      map[udpPath]udpGrant     // received during the last minute
	connects map[udpRoute]*udpConnect // under way
	active   int                      // exchanges
	queue    []chan struct{}          // those that wait for a place; closed when they have got it
}

// udpPath is what a connection id is good for: trackers make it of the address
// that they see.
type udpPath struct {
	to    netip.AddrPort
	local string
}

// udpSocket is one socket and the requests that wait for an answer on it.
type udpSocket struct {
	// Constant once ready is closed.
	index int
	conn  net.PacketConn
	local string
	err   error // it could not be opened
	again bool  // because whoever wanted to gave up: try once more

	ready chan struct{}
	ended chan struct{} // the reading goroutine has
	gone  chan struct{} // closed, and out of the way of the next one

	users   int  // guarded by udpState.mu
	closing bool // guarded by udpState.mu

	mu      sync.Mutex
	pending map[uint32]*udpRequest // by transaction id; guarded by mu
	dead    error                  // nothing can be read any more; guarded by mu
}

// udpRequest waits for an answer with its transaction id, from the address it
// was sent to, with its action.
type udpRequest struct {
	to      netip.AddrPort
	action  uint32
	minLen  int
	answers chan<- udpAnswer // has room for one of each request that it is shared by
}

type udpAnswer struct {
	from   netip.AddrPort
	packet []byte // owned by who receives it
	err    error  // a *FailureError, or what killed the socket
}

// enter takes one of the places for exchanges, in the order of asking.
func (u *udpState) enter(ctx context.Context) error {
	u.mu.Lock()
	if u.active < udpMaxAtOnce {
		u.active++
		u.mu.Unlock()
		return nil
	}
	place := make(chan struct{})
	u.queue = append(u.queue, place)
	u.mu.Unlock()
	select {
	case <-place:
		return nil
	case <-ctx.Done():
	}
	u.mu.Lock()
	for i, p := range u.queue {
		if p == place {
			u.queue = append(u.queue[:i], u.queue[i+1:]...)
			u.mu.Unlock()
			return ctx.Err()
		}
	}
	u.mu.Unlock()
	u.exit() // it came at the same time
	return ctx.Err()
}

// exit gives a place back.
func (u *udpState) exit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.queue) == 0 {
		u.active--
		return
	}
	close(u.queue[0])
	u.queue = u.queue[1:]
}

// acquire returns the socket of a family, opened if nobody uses it yet. To be
// given back with release.
func (u *udpState) acquire(ctx context.Context, listen listenFunc, over4 bool) (*udpSocket, error) {
	index, network := 1, "udp6"
	if over4 {
		index, network = 0, "udp4"
	}
	for {
		u.mu.Lock()
		s := u.sockets[index]
		if s == nil {
			s = &udpSocket{
				index: index, users: 1, pending: make(map[uint32]*udpRequest),
				ready: make(chan struct{}), ended: make(chan struct{}), gone: make(chan struct{}),
			}
			u.sockets[index] = s
			u.mu.Unlock()
			return s, u.open(ctx, s, listen, network)
		}
		wait := s.gone
		if !s.closing {
			wait = s.ready
			s.users++
		}
		closing := s.closing
		u.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			if !closing {
				u.release(s)
			}
			return nil, ctx.Err()
		}
		switch {
		case closing, s.again:
		default:
			return s, s.err
		}
	}
}

type listenFunc = func(ctx context.Context, network, address string) (net.PacketConn, error)

// open opens a socket that others may wait for already.
func (u *udpState) open(ctx context.Context, s *udpSocket, listen listenFunc, network string) error {
	s.conn, s.err = listen(ctx, network, ":0")
	if s.err != nil {
		s.conn = nil
		s.again = ctx.Err() != nil
		u.forgetSocket(s)
		close(s.ready)
		return s.err
	}
	if a := s.conn.LocalAddr(); a != nil {
		s.local = a.String()
	}
	close(s.ready)
	go s.read(u)
	return nil
}

// forgetSocket makes room for another socket of the family.
func (u *udpState) forgetSocket(s *udpSocket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sockets[s.index] == s {
		u.sockets[s.index] = nil
	}
}

// release gives a socket back. The last one to do so closes it, and waits for
// the reading goroutine.
func (u *udpState) release(s *udpSocket) {
	u.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		s.closing = true
	}
	u.mu.Unlock()
	if !last {
		return
	}
	<-s.ready
	if s.conn == nil {
		return
	}
	s.conn.Close()
	<-s.ended
	u.forgetSocket(s)
	close(s.gone)
}

// read is the goroutine of a socket. It ends when the socket is closed.
func (s *udpSocket) read(u *udpState) {
	defer close(s.ended)
	buf := make([]byte, udpBuffer)
	for fails := 0; ; {
		n, from, err := s.conn.ReadFrom(buf)
		if err == nil {
			fails = 0
			s.deliver(buf[:n], addrPort(from))
			continue
		}
		if fails++; errors.Is(err, net.ErrClosed) || fails > udpReadFails {
			u.forgetSocket(s)
			s.die(err)
			return
		}
	}
}

// deliver gives a packet to the request that it answers. What comes from
// somewhere else, has another transaction id, the wrong action or too few bytes
// is ignored: anybody could have sent it.
func (s *udpSocket) deliver(packet []byte, from netip.AddrPort) {
	if len(packet) < answerLen {
		return
	}
	action, tid := binary.BigEndian.Uint32(packet), binary.BigEndian.Uint32(packet[4:])
	s.mu.Lock()
	r := s.pending[tid]
	s.mu.Unlock()
	if r == nil || r.to != from {
		return
	}
	a := udpAnswer{from: from}
	switch {
	case action == actionError:
		a.err = udpFailure(packet[answerLen:])
	case action == r.action && len(packet) >= r.minLen:
		a.packet = bytes.Clone(packet)
	default:
		return
	}
	select {
	case r.answers <- a:
	default: // it has its answer
	}
}

// die tells all who wait that there will be no answer.
func (s *udpSocket) die(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = err
	for _, r := range s.pending {
		select {
		case r.answers <- udpAnswer{err: err}:
		default:
		}
	}
}

// expect registers a request and returns its transaction id, which stands for
// the request, not for a transmission: an answer that comes after we have asked
// again still counts. To be undone with drop.
func (s *udpSocket) expect(r udpRequest) (tid uint32, err error) {
	r.to = withoutZone(r.to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return 0, s.dead
	}
	for {
		tid = newTransaction()
		if _, taken := s.pending[tid]; !taken {
			s.pending[tid] = &r
			return tid, nil
		}
	}
}

func (s *udpSocket) drop(tid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, tid)
}

func (s *udpSocket) send(packet []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteTo(packet, net.UDPAddrFromAddrPort(to))
	return err
}

// keepIDLocked remembers a connection id.
func (u *udpState) keepIDLocked(path udpPath, g udpGrant, now time.Time) {
	if u.ids == nil {
		u.ids = make(map[udpPath]udpGrant)
	}
	if len(u.ids) >= udpMaxIDs {
		for p, old := range u.ids {
			if !now.Before(old.until) {
				delete(u.ids, p)
			}
		}
		for p := range u.ids {
			if len(u.ids) < udpMaxIDs {
				break
			}
			delete(u.ids, p)
		}
	}
	u.ids[path] = g
}

// forget drops a connection id that turned out to be of no use, unless there is
// a newer one.
func (u *udpState) forget(path udpPath, g udpGrant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids[path].id == g.id {
		delete(u.ids, path)
	}
}

func newTransaction() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}

// addrPort brings the ways in which a socket names the other side into one. It
// is invalid for what is no address and port.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return withoutZone(ap)
}

func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
