package swarm

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
)

// members is the peers by slot, and how they come and go.
type members struct {
	s     *Swarm
	list  []*peer // nil: a free slot
	gen   []uint32
	free  []int
	n     int
	first uint // inTurn begins with another slot each time
}

func (m *members) add(p *peer) {
	var slot int
	if l := len(m.free); l > 0 {
		slot = m.free[l-1]
		m.free = m.free[:l-1]
	} else {
		slot = len(m.list)
		m.list = append(m.list, nil)
		m.gen = append(m.gen, 0)
	}
	m.gen[slot]++
	p.id = PeerID(uint64(m.gen[slot])<<32 | uint64(slot))
	m.list[slot] = p
	m.n++
}

func (m *members) get(id PeerID) *peer {
	slot := int(uint32(id))
	if slot >= len(m.list) || m.list[slot] == nil || m.list[slot].id != id {
		return nil
	}
	return m.list[slot]
}

func (m *members) remove(p *peer) {
	slot := int(uint32(p.id))
	m.list[slot] = nil
	m.free = append(m.free, slot)
	m.n--
}

// all yields every peer, in the order of slots.
func (m *members) all(yield func(*peer) bool) {
	for _, p := range m.list {
		if p != nil && !yield(p) {
			return
		}
	}
}

// inTurn yields every peer, beginning with another slot each time: where
// there is not enough for all, low slots are not always served first.
func (m *members) inTurn(yield func(*peer) bool) {
	n := uint(len(m.list))
	m.first++
	for k := range n {
		if p := m.list[(m.first+k)%n]; p != nil && !yield(p) {
			return
		}
	}
}

// settled is when a connection is no longer replaced by a newer one: two that
// cross each other are made within a handshake's time.
const settled = 10 * time.Second

// join adds a peer whose handshake is done. hello is sent first behind our
// bitfield: the extended handshake, encoded.
func (m *members) join(id Identity, hello []byte, at stamp, eff *Effects) (PeerID, error) {
	s := m.s
	if s.mode == Paused {
		return 0, ErrNotRunning
	}
	replaced := 0
	for p := range m.all {
		if p.ID == id.ID {
			if !m.replaces(id, p, at) {
				return 0, ErrDuplicate
			}
			replaced++
		}
	}
	if s.limits.MaxPeers > 0 && m.n-replaced >= s.limits.MaxPeers {
		return 0, ErrFull
	}
	for p := range m.all {
		if p.ID == id.ID {
			eff.drop(p.id, ErrDuplicate)
		}
	}
	p := newPeer(id, min(250, s.limits.MaxRequests), len(s.having.log), at)
	m.add(p)
	s.sending.wake(p, eff) // always: nobody else can start its writer before Join returns
	m.greet(p, eff)
	if id.Extended {
		p.out.control = append(p.out.control, hello...)
	}
	m.grantFast(p, eff)
	return p.id, nil
}

// replaces decides between two connections to one peer, the same way on both
// sides: the one dialled by the higher peer id stays. Two in one direction, or
// one that has been there for a while: the older.
func (m *members) replaces(n Identity, old *peer, at stamp) bool {
	higher := bytes.Compare(m.s.limits.ID[:], n.ID[:]) > 0
	return n.Outgoing != old.Outgoing && n.Outgoing == higher && at-old.joined < settled
}

// greet says what we have (W10): by bitfield or nothing without BEP 6, with
// it exactly one of bitfield, have-all and have-none.
func (m *members) greet(p *peer, eff *Effects) {
	s := m.s
	n := 0
	if s.picker != nil {
		n = s.picker.NumHave()
	}
	p.out.offered = n > 0
	if s.showing.on() {
		if p.Fast {
			s.sending.sendID(p, peerwire.MsgHaveNone, eff)
		}
		p.shown, p.out.offered = shownNone, false
		return
	}
	switch {
	case p.Fast && n == 0:
		s.sending.sendID(p, peerwire.MsgHaveNone, eff)
	case p.Fast && s.picker.Have().All():
		s.sending.sendID(p, peerwire.MsgHaveAll, eff)
	case n > 0:
		msg := peerwire.Message{ID: peerwire.MsgBitfield, Data: s.picker.Have().Bytes()}
		s.sending.send(p, &msg, eff)
	}
}

// leave removes a peer whose connection is closed.
func (m *members) leave(p *peer, at stamp, eff *Effects) {
	s := m.s
	s.asking.release(p, nil)
	s.showing.leave(p, eff)
	s.having.forget(p)
	m.remove(p)
	s.metadata.forget(p)
	if !p.wire.choking && p.wire.theyInterested {
		s.choking.ask(choke.SlotFree, at, eff)
	}
	s.asking.refill(at, eff)
}

// ban drops every peer of an address for good, for size bytes of bad data.
func (m *members) ban(a netip.Addr, size int64, eff *Effects) {
	eff.Bans = append(eff.Bans, a)
	for p := range m.all {
		if p.Addr.Addr() == a {
			p.bad += size
			eff.drop(p.id, ErrBadData)
		}
	}
}
