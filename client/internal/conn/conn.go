package conn

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

// Limiter is asked before bytes are sent, and told what was read. Reserve
// takes n bytes, now or in the future, and says how long to wait for them.
type Limiter interface {
	Reserve(n int) time.Duration
}

// Torrent is what connections of one torrent have in common.
type Torrent struct {
	Swarm *swarm.Guarded
	Recv  *block.Pool // read buffers and slabs
	Send  *block.Pool // runs being sent
	Data  io.ReaderAt // addresses of the layout; nil before the metadata is known
	Up    Limiter     // nil: none
	Down  Limiter

	// Carry does what a door of the swarm wants done. self is the connection
	// that the effects came from, or nil.
	Carry func(eff *swarm.Effects, self *Conn)
	// Extended takes extended messages that conn does not know, by the id that
	// we gave them. The payload is the reader's.
	Extended func(c *Conn, id uint8, payload []byte)
	// Listens is told once where a peer that connected to us says it listens.
	Listens func(c *Conn, port int)
	// Fault reports that reading from the storage failed.
	Fault func(error)
	// Go runs f in a goroutine that closing the torrent waits for. False: it is
	// closed already.
	Go func(f func()) bool
}

// Conn is a connection whose handshake is done.
type Conn struct {
	nc      net.Conn
	t       *Torrent
	id      swarm.PeerID
	fast    bool
	limits  peerwire.Limits
	ext     peerwire.ExtHandshake
	listens bool // Listens was called
	done    chan struct{}
	once    sync.Once
	reason  error
	free    time.Time // when the peer's own rate lets the next run go; the writer's
	run     int       // blocks sent at once; the writer's
	writer  func()    // write, as a value made once

	parked [parkedSize]byte // what a waiting reader holds
}

// maxExtended bounds extended messages: handshakes, 16 KiB of metadata and
// peer lists are far below.
const maxExtended = 128 << 10

// LocalMetadata is the number that peers are told to use for ut_metadata
// (BEP 9, 10), the one extension that connections handle themselves.
const LocalMetadata uint8 = 1

// New makes a connection of nc. It does nothing until Run.
func New(nc net.Conn, t *Torrent) *Conn {
	c := &Conn{nc: nc, t: t, done: make(chan struct{}), run: firstRun}
	c.writer = c.write
	return c
}

// ID returns the peer's name in the swarm; valid once Join has succeeded.
func (c *Conn) ID() swarm.PeerID { return c.id }

// Addr returns the other end's address.
func (c *Conn) Addr() netip.AddrPort { return RemoteAddr(c.nc) }

// RemoteAddr returns the address of nc's other end; not valid when it is none
// of TCP.
func RemoteAddr(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Join adds the peer to the swarm.
func (c *Conn) Join(id swarm.Identity, hello []byte, register func()) error {
	var eff swarm.Effects
	pid, err := c.t.Swarm.Join(id, hello, time.Now(), &eff)
	if err != nil {
		c.Close(err)
		return err
	}
	c.id, c.fast = pid, id.Fast
	c.limits.Pieces = c.t.Swarm.NumPieces()
	c.limits.MaxBlock = blockSize // nobody is asked for more
	c.limits.MaxExtended = maxExtended
	register()
	c.t.Carry(&eff, c)
	return nil
}

// Close ends the connection; the first reason is kept. It does not wait.
func (c *Conn) Close(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.done)
		c.nc.Close()
	})
}

// Run reads until the connection ends, takes the peer out of the swarm, and
// returns why it ended.
func (c *Conn) Run() error {
	err := c.read()
	c.Close(err)
	var eff swarm.Effects
	c.t.Swarm.Leave(c.id, time.Now(), &eff)
	c.t.Carry(&eff, c)
	return c.reason
}

// sleep waits, with neither lock nor buffer held. False: the connection was
// closed meanwhile.
func (c *Conn) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.done:
		return false
	}
}

// StartWriter starts the goroutine that sends what the swarm has for the peer.
// The swarm asks for it when there is none (Effects.Wake).
func (c *Conn) StartWriter() { c.t.Go(c.writer) }
