package swarm

import (
	"net/netip"
	"time"

	"github.com/seed1734be99/starling/internal/rate"
)

// stamp is a time since the swarm's base.
type stamp = time.Duration

// Identity is what is known of a peer when its handshake is done. It does
// not change.
type Identity struct {
	Addr     netip.AddrPort
	ID       [20]byte // peer id
	Outgoing bool     // we dialled
	Fast     bool     // both speak BEP 6
	Extended bool     // both speak BEP 10
	Origin   uint8    // how it became known: the caller's number
}

// wireState is the four flags of BEP 3 and when they changed.
type wireState struct {
	choking         bool // we choke them
	interested      bool // we are interested in them
	choked          bool // they choke us
	theyInterested  bool // they are interested in us
	unchokedAt      stamp
	theyUnchokedAt  stamp
	theyInterestAt  stamp
	reciprocateDone bool // the round 15 s after their unchoke was asked for
}

// peer is one peer as the swarm sees it.
type peer struct {
	Identity
	id       PeerID
	joined   stamp
	lastRead stamp // anything came
	lastSent stamp // anything was handed to the writer
	held     stamp // since when its reader waits for us; 0: it does not
	wire     wireState
	has      possession
	want     int   // pieces of theirs that we need
	shown    shown // of our pieces
	req      requests
	out      outbox
	ext      extState
	fast     fastState
	down, up rate.Meter
	bad      int64 // bytes of pieces that failed and that only this peer sent
	wasted   int64 // bytes that nobody needed
	unasked  int   // blocks that we did not ask for
}

func newPeer(id Identity, limit, cursor int, at stamp) *peer {
	p := &peer{Identity: id, joined: at, lastRead: at, lastSent: at}
	p.wire.choking, p.wire.choked = true, true
	p.req.depth, p.req.limit = startDepth, limit
	p.out.cursor = cursor
	p.down.Start(at)
	p.up.Start(at)
	return p
}

// hold tells that p's reader waits for memory or for a limit: its clocks
// stand still until it goes on.
func (p *peer) hold(on bool, at stamp) {
	switch {
	case on && p.held == 0:
		p.held = max(at, 1)
	case !on && p.held > 0:
		d := at - p.held
		p.held = 0
		p.lastRead = at
		p.req.shift(d, at)
	}
}

// shrink gives back what a peer that does nothing does not need.
func (p *peer) shrink(at stamp) {
	if p.req.count() > 0 || p.out.queued() > 0 || p.out.writing || at-p.lastSent < idleTime {
		return
	}
	p.req.open, p.req.head = nil, 0
	p.out.queue, p.out.head = nil, 0
	if len(p.out.control) == 0 && cap(p.out.control) > keptControl {
		p.out.control = nil
	}
}
