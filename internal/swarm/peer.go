package swarm

import (
	"net/netip"
	"time"

	"github.com/seed1734be99/starling/internal/rate"
	"github.com/seed1734be99/starling/piece"
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

// possession is what a peer says it has. Before the layout is known it is
// kept as received.
type possession struct {
	said  bool // bitfield, have-all or have-none came, or another message
	all   bool
	bits  *piece.Bitfield // nil: all, or nothing yet
	count int
	raw   []byte   // a bitfield before the metadata
	haves []uint32 // haves before the metadata
}

func (h *possession) has(i int) bool { return h.all || h.bits != nil && h.bits.Has(i) }

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
	want     int // pieces of theirs that we need
	req      requests
	out      outbox
	ext      extState
	fast     fastState
	down, up rate.Meter
	bad      int64 // bytes of pieces that failed and that only this peer sent
	wasted   int64 // bytes that nobody needed
	unasked  int   // blocks that we did not ask for
}

// peerTable holds the peers by slot.
type peerTable struct {
	list []*peer
	gen  []uint32
	free []int
	n    int
}

func (t *peerTable) add(p *peer) {
	var slot int
	if l := len(t.free); l > 0 {
		slot = t.free[l-1]
		t.free = t.free[:l-1]
	} else {
		slot = len(t.list)
		t.list = append(t.list, nil)
		t.gen = append(t.gen, 0)
	}
	t.gen[slot]++
	p.id = PeerID(uint64(t.gen[slot])<<32 | uint64(slot))
	t.list[slot] = p
	t.n++
}

func (t *peerTable) get(id PeerID) *peer {
	slot := int(uint32(id))
	if slot >= len(t.list) || t.list[slot] == nil || t.list[slot].id != id {
		return nil
	}
	return t.list[slot]
}

func (t *peerTable) remove(p *peer) {
	slot := int(uint32(p.id))
	t.list[slot] = nil
	t.free = append(t.free, slot)
	t.n--
}
