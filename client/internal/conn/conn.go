package conn

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/swarm"
	"github.com/seed1734be99/starling/peerwire"
)

// Torrent is what connections of one torrent have in common.
type Torrent struct {
	Swarm *swarm.Guarded
	Recv  *block.Pool // read buffers and slabs
	Send  *block.Pool // runs being sent
	Data  io.ReaderAt // addresses of the layout; nil before the metadata is known

	// Up and Down are the limits that the torrent's connections share: the
	// torrent's own, then the client's. Upload counts blocks alone, so that
	// control never waits; download counts every byte.
	Up, Down [2]*Gate // nil: none
	Peers    *PeerLimits
	// ExemptLocal lets connections to a local network pass without these limits.
	ExemptLocal bool

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

	// the writer's; see there
	writer func()        // write, as a value made once
	wakes  atomic.Int32  // since the writer began; 0: there is none
	kick   chan struct{} // holds one: the writer that waits is to look again
	asked  atomic.Bool   // blocks may be queued
	run    int           // blocks sent at once
	credit int           // bytes of blocks that it may send; below zero: sent ahead
	pace   *Gate         // what the strategy allows this peer; nil: it never said

	up, down       pass
	ownUp, ownDown Gate // of Torrent.Peers

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
	c := &Conn{nc: nc, t: t, done: make(chan struct{}), kick: make(chan struct{}, 1), run: firstRun}
	c.writer = c.write
	if !t.ExemptLocal || !isLocal(c.Addr().Addr()) {
		c.up.gates = [gatesOfAWay]*Gate{1: &c.ownUp, 2: t.Up[0], 3: t.Up[1]}
		c.down.gates = [gatesOfAWay]*Gate{1: &c.ownDown, 2: t.Down[0], 3: t.Down[1]}
	}
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
	if c.t.Peers != nil {
		c.t.Peers.join(c)
	}
	var eff swarm.Effects
	pid, err := c.t.Swarm.Join(id, hello, time.Now(), &eff)
	if err != nil {
		c.leaveLimits()
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
	c.leaveLimits()
	return c.reason
}

func (c *Conn) leaveLimits() {
	if c.t.Peers != nil {
		c.t.Peers.leave(c)
	}
}
