// Package udpmux shares one UDP socket between the protocols that a BitTorrent
// client speaks over UDP: trackers (BEP 15), the DHT (BEP 5) and uTP (BEP 29).
//
// A [Mux] reads the socket and hands each packet to the protocol that its first
// byte tells. Each protocol has a virtual socket, a net.PacketConn with
// everything but a socket of its own, so that code written for a real one works
// unchanged, and all of them are seen by others at one address and port.
package udpmux

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is a protocol over UDP.
type Kind uint8

// The protocols.
const (
	Tracker Kind = iota // answers of trackers: big-endian action numbers, far below 2^24
	DHT                 // bencoded dictionaries
	UTP                 // version 1 in the low half of the first byte, the type in the high half
	kinds
)

const (
	maxPacket = 64 << 10
	// maxQueue is how many packets wait for one protocol. More are dropped, as
	// a real socket does.
	maxQueue = 1024
	// maxAnswer is the longest packet for trackers: two hundred peers are 3.6 KB.
	maxAnswer = 4 << 10
	// slowFails is after how many failures in a row reading pauses.
	slowFails = 10
	// maxFails is how many reads may fail in a row. Systems report on a socket
	// what became of packets that it sent elsewhere.
	maxFails  = 100
	failPause = 10 * time.Millisecond
)

// ErrOpen says that a protocol's virtual socket is open already.
var ErrOpen = errors.New("udpmux: open already")

// Mux is one UDP socket with many users. It is safe for concurrent use.
type Mux struct {
	socket  net.PacketConn
	done    chan struct{} // closed when the reading goroutine has ended
	dropped atomic.Uint64

	mu   sync.Mutex
	conn [kinds]*conn // guarded by mu
	err  error        // why there will be nothing more to read
}

// New takes over a socket and starts to read it: until Close, one goroutine.
func New(socket net.PacketConn) *Mux {
	m := &Mux{socket: socket, done: make(chan struct{})}
	go m.read()
	return m
}

// Open returns the virtual socket of a protocol; one may be open at a time.
// Closing it closes nothing else. Reads fail with what ended the real socket,
// net.ErrClosed after Close.
func (m *Mux) Open(k Kind) (net.PacketConn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case k >= kinds:
		return nil, fmt.Errorf("udpmux: unknown protocol %d", k)
	case m.err != nil:
		return nil, m.err
	case m.conn[k] != nil:
		return nil, ErrOpen
	}
	c := newConn(m, k)
	m.conn[k] = c
	return c, nil
}

// LocalAddr is the address of the socket.
func (m *Mux) LocalAddr() net.Addr { return m.socket.LocalAddr() }

// Dropped returns how many packets nobody was there for, or came too fast.
func (m *Mux) Dropped() uint64 { return m.dropped.Load() }

// Close closes the socket and every virtual one, and waits for the goroutine.
func (m *Mux) Close() error {
	err := m.socket.Close()
	<-m.done
	return err
}

// kindOf tells the protocols apart.
func kindOf(packet []byte) (Kind, bool) {
	if len(packet) == 0 {
		return 0, false
	}
	switch b := packet[0]; {
	case b == 0:
		return Tracker, true
	case b == 'd':
		return DHT, true
	case b&0x0f == 1 && b>>4 <= 4:
		return UTP, true
	}
	return 0, false
}

// read is the goroutine.
func (m *Mux) read() {
	defer close(m.done)
	buf := make([]byte, maxPacket)
	for fails := 0; ; {
		n, from, err := m.socket.ReadFrom(buf)
		if err != nil {
			if fails++; errors.Is(err, net.ErrClosed) || fails > maxFails {
				m.end(err)
				return
			}
			if fails > slowFails {
				time.Sleep(failPause)
			}
			continue
		}
		fails = 0
		m.deliver(buf[:n], from)
	}
}

func (m *Mux) deliver(packet []byte, from net.Addr) {
	k, ok := kindOf(packet)
	if ok {
		m.mu.Lock()
		c := m.conn[k]
		m.mu.Unlock()
		ok = c != nil && (k != Tracker || len(packet) <= maxAnswer) && c.put(packet, from)
	}
	if !ok {
		m.dropped.Add(1)
	}
}

// end makes all reads fail.
func (m *Mux) end(err error) {
	if errors.Is(err, net.ErrClosed) {
		err = net.ErrClosed
	}
	m.mu.Lock()
	m.err = err
	open := m.conn
	m.conn = [kinds]*conn{}
	m.mu.Unlock()
	for _, c := range open {
		if c != nil {
			c.end(err)
		}
	}
}

// forget makes room for another virtual socket of the kind.
func (m *Mux) forget(c *conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn[c.kind] == c {
		m.conn[c.kind] = nil
	}
}
