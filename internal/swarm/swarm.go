package swarm

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/seed1734be99/starling/internal/block"
	"github.com/seed1734be99/starling/internal/rate"
	"github.com/seed1734be99/starling/metainfo"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// Why a connection is closed, or refused.
var (
	ErrSilent     = errors.New("peer was silent for too long")
	ErrNotReading = errors.New("peer does not read what is sent to it")
	ErrBadData    = errors.New("peer sent data that failed the hash")
	ErrUnasked    = errors.New("peer sent blocks that nobody asked for")
	ErrBothSeeds  = errors.New("both sides are complete")
	ErrDuplicate  = errors.New("another connection to the same peer exists")
	ErrFull       = errors.New("the torrent has all the peers it may have")
	ErrNotRunning = errors.New("the torrent is not running")
	ErrRecheck    = errors.New("the torrent is checked again")
	ErrBanned     = errors.New("the address is banned")
	errLied       = errors.New("what the peer says it has does not fit the torrent")
)

// Mode is the state of a swarm's life.
type Mode uint8

// The modes.
const (
	NoInfo   Mode = iota // the metadata is not known yet
	Checking             // what is on disk is being verified
	Running
	Paused // no peers, no requests; work with the disk is finished
)

var modeNames = [...]string{"no info", "checking", "running", "paused"}

// String returns the mode's name.
func (m Mode) String() string { return modeNames[min(int(m), len(modeNames)-1)] }

// Content is what the info dictionary adds: sizes and hashes. Sums holds 20
// bytes a piece.
type Content struct {
	Layout *metainfo.Layout
	Sums   []byte
}

// Config is what a swarm is made of. It starts in mode Paused.
type Config struct {
	Hashes      metainfo.Hashes
	ID          [20]byte // our peer id
	Rand        *rand.Rand
	Pool        *block.Pool // slabs; shared with others
	Now         time.Time   // the base of all times
	MaxPeers    int         // 0: no limit
	MaxRequests int         // open requests to one peer; 0: 1024
	QueueLimit  int         // requests that one peer may queue with us; 0: 500
	Slots       int         // upload slots; 0: the strategy decides
}

// Counters are totals of payload bytes since the swarm was made.
type Counters struct {
	Downloaded int64 // received, needed, not known to be bad
	Uploaded   int64 // blocks wholly written
	Verified   int64 // bytes of pieces received, verified and written
	Wasted     int64 // received, but nobody needed it
	Failed     int64 // bytes of pieces that failed their hash
	HashFails  int   // such pieces
	Have       int64 // bytes of pieces had
	down, up   rate.Meter
}

// Swarm is one torrent's state. See the package comment.
type Swarm struct {
	// constant
	base    time.Time
	hashes  metainfo.Hashes
	rand    *rand.Rand
	pool    *block.Pool
	reserve int64 // bytes of the pool that slabs leave to read buffers
	limits  Config

	mode  Mode
	fault error
	epoch uint32

	// the content; nil and empty until the metadata is known
	layout *metainfo.Layout
	sums   []byte
	picker *piece.Picker
	meta   metadata

	peers    peerTable
	landings map[int]*landing
	idle     []*landing
	jobs     jobQueue
	haves    []uint32 // the log: pieces in the order they were had
	total    Counters
	choke    chokeState

	dry, freed bool // refill: requests were held back for memory; blocks became free
	blocks     []piece.Block
	ids        []PeerID
}

// New returns a swarm in mode Paused, without content.
func New(c Config) *Swarm {
	if c.MaxRequests == 0 {
		c.MaxRequests = 1024
	}
	if c.QueueLimit == 0 {
		c.QueueLimit = 500
	}
	return &Swarm{
		base: c.Now, hashes: c.Hashes, rand: c.Rand, pool: c.Pool, limits: c,
		reserve: min(c.Pool.Limit()/8, 2<<20),
		mode:    Paused, landings: make(map[int]*landing),
	}
}

func (s *Swarm) at(now time.Time) stamp { return now.Sub(s.base) }

func (s *Swarm) sum(i int) (h metainfo.Hash) {
	copy(h[:], s.sums[i*20:])
	return h
}

// soft is the mark of used memory above which nothing more is requested.
func (s *Swarm) soft() int64 { return s.pool.Limit() / 2 }

// setContent takes the layout and hashes, and reads what the peers said they
// have before. Those whose word does not fit are dropped.
func (s *Swarm) setContent(c Content, at stamp, eff *Effects) {
	s.layout, s.sums = c.Layout, c.Sums
	s.picker = piece.NewPicker(c.Layout, s.rand)
	for _, p := range s.peers.list {
		if p == nil {
			continue
		}
		if err := s.readPending(p, at, eff); err != nil {
			eff.drop(p.id, err)
		}
	}
}

// start lets the swarm run: peers may join and are asked for blocks. It also
// clears a fault.
func (s *Swarm) start(at stamp, eff *Effects) {
	s.fault = nil
	if s.layout == nil {
		s.mode = NoInfo
		return
	}
	if s.jobs.checking {
		s.mode = Checking
		return
	}
	s.mode = Running
	for _, p := range s.peers.list {
		if p != nil {
			s.wants(p, 0, at, eff)
			s.topUp(p, at, eff)
		}
	}
	for _, l := range s.landings {
		s.verifyNext(l, eff)
	}
}

// pause drops all peers and evicts what was received of partial pieces.
func (s *Swarm) pause(eff *Effects, reason error) {
	s.mode = Paused
	for _, p := range s.peers.list {
		if p != nil {
			eff.drop(p.id, reason)
		}
	}
	for _, l := range s.landings {
		for k := range l.slabs {
			s.queueEvict(l, k, eff)
		}
	}
}

// join adds a peer whose handshake is done. hello is sent first behind our
// bitfield: the extended handshake, encoded.
func (s *Swarm) join(id Identity, hello []byte, at stamp, eff *Effects) (PeerID, error) {
	if s.mode == Paused {
		return 0, ErrNotRunning
	}
	for _, p := range s.peers.list {
		if p == nil || p.ID != id.ID {
			continue
		}
		if !s.replaces(id, p) {
			return 0, ErrDuplicate
		}
		eff.drop(p.id, ErrDuplicate)
	}
	if s.limits.MaxPeers > 0 && s.peers.n >= s.limits.MaxPeers {
		return 0, ErrFull
	}
	p := &peer{Identity: id, joined: at, lastRead: at, lastSent: at}
	p.wire.choking, p.wire.choked = true, true
	p.req.depth, p.req.limit = startDepth, min(250, s.limits.MaxRequests)
	p.out.cursor = len(s.haves)
	p.down.Start(at)
	p.up.Start(at)
	s.peers.add(p)
	s.wake(p, eff) // always: nobody else can start its writer before Join returns
	s.greet(p, eff)
	if id.Extended {
		p.out.control = append(p.out.control, hello...)
	}
	s.grantFast(p, eff)
	return p.id, nil
}

// replaces decides between two connections to one peer, the same way on both
// sides: the one dialled by the higher peer id stays. Two in one direction:
// the older.
func (s *Swarm) replaces(n Identity, old *peer) bool {
	higher := bytes.Compare(s.limits.ID[:], n.ID[:]) > 0
	return n.Outgoing != old.Outgoing && n.Outgoing == higher
}

// greet says what we have (W10): by bitfield or nothing without BEP 6, with
// it exactly one of bitfield, have-all and have-none.
func (s *Swarm) greet(p *peer, eff *Effects) {
	n := 0
	if s.picker != nil {
		n = s.picker.NumHave()
	}
	switch {
	case p.Fast && n == 0:
		s.sendID(p, peerwire.MsgHaveNone, eff)
	case p.Fast && s.picker.Have().All():
		s.sendID(p, peerwire.MsgHaveAll, eff)
	case n > 0:
		m := peerwire.Message{ID: peerwire.MsgBitfield, Data: s.picker.Have().Bytes()}
		s.send(p, &m, eff)
	}
}

// leave removes a peer whose connection is closed.
func (s *Swarm) leave(p *peer, at stamp, eff *Effects) {
	s.release(p, nil)
	if s.picker != nil {
		s.forget(p)
	}
	s.meta.forget(p)
	s.peers.remove(p)
	if !p.wire.choking && p.wire.theyInterested {
		s.askRechoke(at, eff)
	}
	s.refill(at, eff)
}

// forget takes what p has out of the availability.
func (s *Swarm) forget(p *peer) {
	switch {
	case p.has.all:
		s.picker.RemoveSeed()
	case p.has.bits != nil:
		s.picker.RemovePeer(p.has.bits)
	}
	p.has.all, p.has.bits = false, nil
}
