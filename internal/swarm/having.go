package swarm

import (
	"github.com/seed1734be99/starling/choke"
	"github.com/seed1734be99/starling/peerwire"
	"github.com/seed1734be99/starling/piece"
)

// having is who has which pieces. Ours are the picker's set and a log, that
// each peer is told from its cursor on; theirs are in possession, counted in
// the picker's availability and, those that we need, in peer.want.
type having struct {
	s   *Swarm
	log []uint32 // our pieces in the order they were had
}

// got is the moment a piece is had: verified and written.
func (h *having) got(i int, at stamp, eff *Effects) {
	s := h.s
	if s.picker.Have().Has(i) {
		return
	}
	needed := s.picker.Needs(i)
	s.picker.SetHave(i)
	s.total.Have += s.layout.PieceSize(i)
	h.log = append(h.log, uint32(i))
	for p := range s.members.all {
		if p.has.has(i) {
			if needed {
				h.wants(p, -1, at, eff)
			}
		} else if !p.wire.theyInterested && !p.out.offered {
			s.sending.wake(p, eff) // it has nothing of ours to want yet; others can wait
		}
	}
	eff.event(Event{Kind: PieceDone, Piece: i})
	if needed && s.picker.NumNeeded() == 0 && !s.check.running {
		h.completed(at, eff)
	}
}

// completed: nothing wanted is missing. Seeds are of no more use (W5).
func (h *having) completed(at stamp, eff *Effects) {
	eff.event(Event{Kind: Completed})
	h.s.choking.ask(choke.Tick, at, eff)
	for p := range h.s.members.all {
		h.closeIfBothSeeds(p, eff)
	}
}

// loseAll forgets all that we have. The peers that stay are told again what
// we get.
func (h *having) loseAll(at stamp, eff *Effects) {
	s := h.s
	for i := range s.layout.NumPieces() {
		s.picker.ClearHave(i)
	}
	s.total.Have = 0
	h.log = h.log[:0]
	for p := range s.members.all {
		p.out.cursor = 0
		h.recount(p, at, eff)
	}
}

// wants changes how many of p's pieces we need, and tells the peer when our
// interest begins or ends (W11).
func (h *having) wants(p *peer, d int, at stamp, eff *Effects) {
	p.want += d
	if on := p.want > 0 && h.s.mode == Running; on != p.wire.interested {
		p.wire.interested = on
		id := peerwire.MsgNotInterested
		if on {
			id = peerwire.MsgInterested
		}
		h.s.sending.sendID(p, id, eff)
	}
}

// recount counts p's pieces that we need afresh.
func (h *having) recount(p *peer, at stamp, eff *Effects) {
	s := h.s
	want := 0
	if p.has.all {
		want = s.picker.NumNeeded()
	} else if p.has.bits != nil {
		for i := range s.layout.NumPieces() {
			if p.has.bits.Has(i) && s.picker.Needs(i) {
				want++
			}
		}
	}
	h.wants(p, want-p.want, at, eff)
	h.closeIfBothSeeds(p, eff)
}

func (h *having) closeIfBothSeeds(p *peer, eff *Effects) {
	if p.has.all && h.s.mode == Running && h.s.picker.Have().All() {
		eff.drop(p.id, ErrBothSeeds)
	}
}

func (h *having) onHave(p *peer, index uint32, at stamp, eff *Effects) error {
	s := h.s
	p.has.said = true
	if s.layout == nil {
		return p.has.note(index)
	}
	n := s.layout.NumPieces()
	if int64(index) >= int64(n) {
		return protocolError(peerwire.MsgHave, "piece %d of %d", index, n)
	}
	i := int(index)
	if p.has.has(i) {
		return nil
	}
	if p.has.bits == nil {
		p.has.bits = piece.NewBitfield(n)
	}
	p.has.bits.Set(i)
	p.has.count++
	if p.has.count == n {
		// The counters of a complete peer are kept apart.
		p.has.bits.Clear(i)
		s.picker.RemovePeer(p.has.bits)
		s.picker.AddSeed()
		p.has.bits, p.has.all = nil, true
	} else {
		s.picker.AddHave(i)
	}
	if s.picker.Needs(i) {
		h.wants(p, 1, at, eff)
	}
	s.showing.got(p, i, eff)
	h.closeIfBothSeeds(p, eff)
	return nil
}

// onBitfield: only as the first message about pieces (RW9); later ones are
// ignored.
func (h *having) onBitfield(p *peer, bits []byte, at stamp, eff *Effects) error {
	if p.has.said {
		return nil
	}
	p.has.said = true
	if h.s.layout == nil {
		p.has.raw = append([]byte(nil), bits...)
		p.has.count = -1 // the length is to be exact
		return nil
	}
	b, err := piece.FromWire(bits, h.s.layout.NumPieces())
	if err != nil {
		return protocolError(peerwire.MsgBitfield, "%v", err)
	}
	h.learn(p, b, at, eff)
	return nil
}

func (h *having) onHaveAll(p *peer, all bool, at stamp, eff *Effects) error {
	if p.has.said {
		return nil
	}
	p.has.said = true
	if !all {
		return nil
	}
	if h.s.layout == nil {
		p.has.all = true
		return nil
	}
	h.learn(p, nil, at, eff)
	return nil
}

// learn takes what a peer says it has; nil means everything.
func (h *having) learn(p *peer, b *piece.Bitfield, at stamp, eff *Effects) {
	if b == nil || b.All() {
		p.has.all, p.has.bits, p.has.count = true, nil, h.s.layout.NumPieces()
		h.s.picker.AddSeed()
	} else {
		p.has.all, p.has.bits, p.has.count = false, b, b.Count()
		h.s.picker.AddPeer(b)
	}
	h.s.showing.learned(p, eff)
	h.recount(p, at, eff)
}

// readPending reads what p said it has before the metadata was known (RW11).
func (h *having) readPending(p *peer, at stamp, eff *Effects) error {
	n := h.s.layout.NumPieces()
	all, exact := p.has.all, p.has.count < 0
	raw, haves := p.has.raw, p.has.haves
	p.has = possession{said: p.has.said}
	if all {
		h.learn(p, nil, at, eff)
		return nil
	}
	b := piece.NewBitfield(n)
	if exact {
		var err error
		if b, err = piece.FromWire(raw, n); err != nil {
			return errLied
		}
	}
	for _, i := range haves {
		if int64(i) >= int64(n) {
			return errLied
		}
		b.Set(int(i))
	}
	h.learn(p, b, at, eff)
	return nil
}

// forget takes what p has out of the availability.
func (h *having) forget(p *peer) {
	switch {
	case h.s.picker == nil:
	case p.has.all:
		h.s.picker.RemoveSeed()
	case p.has.bits != nil:
		h.s.picker.RemovePeer(p.has.bits)
	}
	p.has.all, p.has.bits = false, nil
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

// What is kept of a peer's pieces before the metadata.
const (
	maxPending      = 256 << 10 // bytes of a bitfield: the most pieces that a torrent may have
	maxPendingHaves = 4096
)

func (h *possession) has(i int) bool { return h.all || h.bits != nil && h.bits.Has(i) }

// note keeps a have that came before the metadata.
func (h *possession) note(index uint32) error {
	if index/8 >= maxPending {
		return protocolError(peerwire.MsgHave, "piece %d", index)
	}
	if h.all {
		return nil
	}
	if len(h.haves) < maxPendingHaves { // more are forgotten: we only know less of it
		h.haves = append(h.haves, index)
	}
	return nil
}
